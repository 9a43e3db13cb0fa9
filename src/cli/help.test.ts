/** Every command says by itself what it does and shows lines to type; a mistyped one is told what was meant. */
import { describe, expect, test } from "vitest";
import { runCli } from "./cli.ts";
import type { World } from "./world.ts";

const run = async (...argv: readonly string[]) => {
  let [out, err] = ["", ""];
  const terminal: World["terminal"] = {
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
    interactive: false,
    colour: { out: false, err: false },
    stacks: "hidden",
  };
  // Help and usage need nothing else of the world.
  const status = await runCli(argv, { terminal, version: "1.2.3" } as World);
  return { status, out, err };
};

/** The names under `Commands:`; longer descriptions go on in lines that are indented further. */
const subcommandsOf = (help: string): readonly string[] => {
  const list = /^Commands:\n((?: {2}.*\n)+)/m.exec(help)?.[1] ?? "";
  return [...list.matchAll(/^ {2}([a-z]+)/gm)].map((found) => found[1] ?? "").filter((name) => name !== "help");
};

const allCommands = async (path: readonly string[] = []): Promise<readonly (readonly string[])[]> => {
  const { out } = await run(...path, "--help");
  const below = await Promise.all(subcommandsOf(out).map((name) => allCommands([...path, name])));
  return [path, ...below.flat()];
};

test("every command has a description and examples, and its help ends with 0", async () => {
  const commands = await allCommands();
  expect(commands.length).toBeGreaterThan(20);
  for (const path of commands) {
    const { status, out, err } = await run(...path, "--help");
    expect({ path, status, err }).toEqual({ path, status: 0, err: "" });
    expect(out).toMatch(/^Usage: maitred.*\n\n\S.{10}/);
    expect(out).toMatch(new RegExp(`^Examples?:\n  (?:[A-Z]+=\\S+ )?maitred ${path.join(" ")}`, "m"));
  }
});

describe("a command line that means nothing ends with 2 and one sentence", () => {
  test.each([
    [["statu"], "error unknown command 'statu'. Did you mean status? --help shows examples. [usage]\n"],
    [["stat"], "error unknown command 'stat'. Did you mean status? --help shows examples. [usage]\n"],
    [["st"], "error unknown command 'st'. Did you mean one of start, status, stop? --help shows examples. [usage]\n"],
    [
      ["status", "--inst", "x"],
      "error unknown option '--inst'. Did you mean --instance? --help shows examples. [usage]\n",
    ],
    [["backend", "lst"], "error unknown command 'lst'. Did you mean list? --help shows examples. [usage]\n"],
    [["status", "--jsn"], "error unknown option '--jsn'. Did you mean --json? --help shows examples. [usage]\n"],
    [
      ["traffic", "set", "hello", "hello=0.5", "hello=0.5"],
      'error "hello" is named twice: hello=0.5 hello=0.5. Give each backend one share. [usage]\n',
    ],
    [["run"], "error missing required argument 'file'. --help shows examples. [usage]\n"],
  ])("%j", async (argv, sentence) => {
    expect(await run(...argv)).toEqual({ status: 2, out: "", err: sentence });
  });

  test("as JSON where JSON was asked for", async () => {
    const { status, err } = await run("status", "extra", "--json");
    expect([status, JSON.parse(err)]).toEqual([
      2,
      {
        error: {
          code: "usage",
          message: "too many arguments for 'status'. Expected 0 arguments but got 1. --help shows examples.",
        },
      },
    ]);
  });

  test("a command that lacks its own command shows its help", async () => {
    const { status, out, err } = await run("backend");
    expect([status, out]).toEqual([2, ""]);
    expect(err).toContain("Usage: maitred backend");
  });
});
