/** The command line against a detached instance: what each command prints and the status it exits with. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Status } from "../../src/model/status.ts";
import { BIN, type CommandResult, expectRefusal, maitred, spawnMaitred } from "../harness/command.ts";
import { fixture } from "../harness/echo.ts";
import { ask } from "../harness/http.ts";
import { useLab } from "../harness/lab.ts";
import { waitFor } from "../harness/wait-for.ts";

const lab = useLab("file");
const ECHO = `${fixture("apps/echo.ts").pathname}#echo`;
const MODEL = `${fixture("apps/model.ts").pathname}#Model`;
const GONE_DEADLINE_MS = 5_000;

let name: string;
let url: string;

beforeAll(async () => {
  name = lab().name("shop");
  const started = await maitred(["start", "--instance", name, "--port", "0", "--proxies", "2", "--json"]);
  expect(started).toMatchObject({ status: 0, stderr: "" });
  const answer = started.json<{ instance: string; alreadyRunning: boolean; urls: readonly [string] }>();
  expect(answer).toMatchObject({ instance: name, alreadyRunning: false });
  url = answer.urls[0];
}, 60_000);

// No --instance: the only one that lives here is meant.
const status = async (): Promise<Status> => (await maitred(["status", "--json"])).json();

describe("changes", () => {
  const CASES: readonly (readonly [string, readonly string[]])[] = [
    ["creates a backend", ["backend", "create", "v1", ECHO, "--set", "numReplicas=2"]],
    ["creates a backend with arguments", ["backend", "create", "v2", MODEL, "--args", '["v2", {}]']],
    [
      "creates an endpoint",
      ["endpoint", "create", "e", "--route", "/e", "--methods", "GET", "POST", "--backend", "v1"],
    ],
    ["splits traffic", ["traffic", "set", "e", "v1=90%", "v2=0.1"]],
    ["sets a shadow", ["shadow", "set", "e", "v2=50%"]],
    [
      "updates a configuration",
      [
        "backend",
        "update",
        "v2",
        "--set",
        'userConfig={"greeting":"hi"}',
        "maxConcurrentQueries=3",
        "codeVersion=null",
      ],
    ],
    ["scales", ["backend", "scale", "v1", "1"]],
    ["restarts", ["backend", "restart", "v1"]],
  ];

  test.each(CASES)("%s, and waits until it is so", async (_what, args) => {
    const done = await maitred([...args, "--json"]);
    expect(done).toMatchObject({ status: 0, stderr: "" });
    expect(done.json()).toMatchObject({ id: expect.any(String), state: "reached" });
  });

  test("status shows the sum of them", async () => {
    expect(await status()).toMatchObject({
      instance: name,
      endpoints: [
        { tag: "e", route: "/e", methods: ["GET", "POST"], traffic: { v1: 0.9, v2: 0.1 }, shadows: { v2: 0.5 } },
      ],
      backends: [
        { tag: "v1", replicas: { wanted: 1, running: 1 } },
        { tag: "v2", replicas: { wanted: 1, running: 1 }, config: { maxConcurrentQueries: 3 } },
      ],
    });
    expect((await ask(`${url}/e`)).status).toBe(200);
  });

  test("status, list and goal commands print tables for people", async () => {
    const text = (await maitred(["status"])).stdout;
    for (const word of [name, url, "/e", "v1 90%", "v2 10%", "v2 50%", "1/1", "controller", "agent", "proxy#"]) {
      expect(text).toContain(word);
    }
    expect((await maitred(["backend", "list"])).stdout).toMatch(/v1 +1\/1/);
    expect((await maitred(["endpoint", "list"])).stdout).toMatch(/e +\/e/);
    expect((await maitred(["goal", "list"])).stdout).toMatch(/reached/);
    expect((await maitred(["explain", "v1"])).status).toBe(0);
  });

  test("a goal is given its id, found again and waited for", async () => {
    const gate = join(lab().folder("gates"), "slow");
    const args = JSON.stringify(["slow", { startsWith: gate }]);
    const slow = ["backend", "create", "slow", MODEL, "--args", args, "--goal", "slow-1"];
    const pending = await maitred([...slow, "--timeout", "100ms", "--json"]);
    expect(pending).toMatchObject({ status: 3, stdout: "" });
    expect(JSON.parse(pending.stderr)).toMatchObject({ error: { code: "goal-pending" } });
    const again = await maitred([...slow, "--no-wait", "--json"]);
    expect(again.json()).toMatchObject({ id: "slow-1" });
    expect((await maitred([...slow, "--no-wait"])).stdout).toBe(
      "saved, not yet in force: backend slow runs goal slow-1\n",
    );
    const [, newest] = (await maitred(["goal", "list"])).stdout.split("\n");
    expect(newest).toMatch(/slow-1 +pending/);
    writeFileSync(gate, "");
    const reached = await maitred(["goal", "wait", "slow-1", "--json"]);
    expect(reached.json()).toMatchObject({ id: "slow-1", state: "reached" });
    expectRefusal(await maitred(["goal", "wait", "never-drawn"]), { status: 1, code: "goal-unknown" });
  });

  test.each([
    ["ends a shadow", ["shadow", "remove", "e", "v2"]],
    ["deletes an endpoint", ["endpoint", "delete", "e"]],
    ["deletes a backend", ["backend", "delete", "v2"]],
    ["deletes a backend by force", ["backend", "delete", "slow", "--force"]],
  ])("%s", async (_what, args) => {
    const done = await maitred(args);
    expect(done).toMatchObject({ status: 0, stderr: "" });
    expect(done.stdout).toMatch(/^done .*goal \S+\n$/);
  });
});

describe("logs", () => {
  test("shows the lines of all processes, of one, and goes on with --follow", async () => {
    expect((await maitred(["logs"])).stdout.split("\n").length).toBeGreaterThan(5);
    const following = spawnMaitred(["logs", "--follow", "v3"]);
    await maitred(["backend", "create", "v3", ECHO]);
    await waitFor("a line of the new backend", () => following.stdout().includes("v3#"), GONE_DEADLINE_MS);
    following.kill("SIGINT");
    expect((await following.ended()).status).toBe(0);
  });
});

describe("commands that cannot be done", () => {
  const USAGE: readonly (readonly [string, readonly string[]])[] = [
    ["an unknown command", ["sing"]],
    ["an unknown option", ["status", "--loud"]],
    ["a missing argument", ["backend", "create", "x"]],
    ["a port that is none", ["start", "--port", "seventy"]],
    ["shares that are none", ["traffic", "set", "e", "v1=lots"]],
    ["arguments that are not JSON", ["backend", "create", "x", ECHO, "--args", "[v1]"]],
    ["arguments that are no array", ["backend", "create", "x", ECHO, "--args", "{}"]],
    ["a timeout that is none", ["backend", "restart", "v1", "--timeout", "soon"]],
    ["shutdown without --yes", ["shutdown"]],
  ];

  test.each(USAGE)("%s exits with 2 and a sentence", async (_what, args) => {
    const refused = await maitred(args);
    expectRefusal(refused, { status: 2, code: "usage" });
    expect(refused.stdout).toBe("");
  });

  test("an instance that does not run exits with 4 and says how to start it", async () => {
    const refused = await maitred(["status", "--instance", "nobody"]);
    expect(expectRefusal(refused, { status: 4, code: "instance-unknown" })).toMatch(/"nobody"/);
    const json = await maitred(["status", "--instance", "nobody", "--json"]);
    expect(json).toMatchObject({ status: 4, stdout: "" });
    expect(JSON.parse(json.stderr)).toMatchObject({ error: { code: "instance-unknown", message: expect.any(String) } });
  });

  // It never runs, and what follows looks at those that do.
  afterAll(() => maitred(["backend", "delete", "exits", "--force"]));

  const refused = (file: string): string => new URL(`../fixtures/refused/${file}`, import.meta.url).pathname;

  test.each([
    [["backend", "create", "v1", MODEL, "--args", '["v1", {}]'], /Change it with `maitred backend update`/],
    [["backend", "update", "nope", "--set", "numReplicas=2"], /`maitred backend create`, .* `maitred backend list`/],
    [["traffic", "set", "nope", "v1=1"], /Create it with `maitred endpoint create`, .* `maitred endpoint list`/],
    [["goal", "wait", "nope"], /`maitred goal list` lists those that are/],
    [["explain", "nope"], /`maitred status` lists what there is/],
    [
      ["endpoint", "create", "x", "--backend", "v1", "--expose", "_x"],
      /expose\.0 .*nobody may call.*begin with _.*"_x"/,
    ],
    [
      ["backend", "create", "x", ECHO, "--set", "bogus=1"],
      /unknown key "bogus"\. Keys are: .*numReplicas, .*userConfig/,
    ],
    [["backend", "create", "x", ECHO, "--set", "numReplica=1"], /Did you mean "numReplicas"\?/],
    [["backend", "create", "x", refused("throws-at-import.ts")], /threw while it was imported: .* Mend what it does/],
    [
      ["backend", "create", "exits", refused("constructor-exits.ts"), "--set", "maxStartAttempts=1"],
      /exit status 3\. Let its code throw instead of calling process\.exit\(\)/,
    ],
  ])("%j says what to do instead, in the words of commands", async (args, says) => {
    const answer = await maitred(args);
    expect(answer).toMatchObject({ status: 1, stdout: "" });
    expect(answer.stderr).toMatch(says);
  });

  test("a reader that goes away after the first bytes is no failure", async () => {
    for (const args of [["status", "--json"], ["logs"], ["help"]]) {
      const child = spawn(process.execPath, [BIN, ...args], { stdio: ["ignore", "pipe", "pipe"] });
      let stderr = "";
      child.stderr.on("data", (chunk: Buffer) => {
        stderr += chunk;
      });
      child.stdout.once("data", () => child.stdout.destroy());
      const [status] = await once(child, "close");
      expect({ args, status, stderr }).toEqual({ args, status: 0, stderr: "" });
    }
  });

  test("logs of a process that nobody knows names those that there are", async () => {
    const refused = await maitred(["logs", "controler"]);
    const sentence = expectRefusal(refused, { status: 1, code: "process-unknown" });
    expect(sentence).toMatch(/Did you mean "controller"\? These have: .*agent.*proxy#/);
    expect(await maitred(["logs", "--since", "0s"])).toMatchObject({ status: 0, stdout: "" });
    expect((await maitred(["logs", "--since", "0s"])).stderr).toBe("there are no lines of the last 0s\n");
  });

  test("start of a running instance with other options says which it does not have", async () => {
    const api = ["--api", "127.0.0.1:8001"];
    const refused = await maitred(["start", "--instance", name, "--proxies", "3", "--location", "every", ...api]);
    const sentence = expectRefusal(refused, { status: 1, code: "instance-exists" });
    expect(sentence).toContain("--proxies 3 (it has 2)");
    expect(sentence).toContain("--location every (it has head)");
    expect(sentence).toContain("--api 127.0.0.1:8001 (it has none)");
    expect(await maitred(["start", "--instance", name, "--proxies", "2", "--port", "0"])).toMatchObject({ status: 0 });
  });

  test("two instances of one name are told apart by their state folders, by nothing else", async () => {
    const stateDir = lab().folder("elsewhere");
    const twin = await maitred(["start", "--instance", name, "--state-dir", stateDir, "--location", "none"]);
    expect(twin.stdout).toContain("nothing answers HTTP");
    const refused = expectRefusal(await maitred(["status", "--instance", name]), {
      status: 2,
      code: "instance-ambiguous",
    });
    expect(refused).toContain(stateDir);
    expect(refused).not.toContain("--instance");
    const found = await maitred(["status", "--instance", name, "--state-dir", stateDir, "--json"]);
    expect(found.json<Status>().processes.filter(({ kind }) => kind === "proxy")).toEqual([]);
    expect(found.json<Status>().http).toMatchObject({ location: "none" });
    const stopped = await maitred(["stop", "--state-dir", stateDir]);
    expect(stopped.stdout).toBe(
      `stopped ${name}; start it again with: maitred start --instance ${name} --state-dir ${stateDir}\n`,
    );
    // A stopped instance still has its logs.
    expect((await maitred(["logs", "agent", "--state-dir", stateDir])).stdout).toContain("ended");
    const other = await maitred(["status", "--instance", "other", "--state-dir", stateDir]);
    expect(expectRefusal(other, { status: 4, code: "instance-unknown" })).toContain(`in ${stateDir}`);
  }, 40_000);

  test("with two instances one must be named", async () => {
    const second = lab().name("second");
    expect(await maitred(["start", "--instance", second, "--port", "0"])).toMatchObject({ status: 0 });
    const refused = expectRefusal(await maitred(["status"]), { status: 2, code: "instance-ambiguous" });
    expect(refused).toContain(name);
    expect(refused).toContain(second);
    expect((await maitred(["status", "--json"], { env: { MAITRED_INSTANCE: second } })).json()).toMatchObject({
      instance: second,
    });
    expect(await maitred(["shutdown", "--instance", second, "--yes"])).toMatchObject({ status: 0 });
  }, 40_000);
});

describe("the life of an instance", () => {
  test("start on a running one answers it, stop ends its processes, start brings back what was saved", async () => {
    await maitred(["endpoint", "create", "kept", "--route", "/kept", "--backend", "v1"]);
    const before = await status();
    const again = await maitred(["start", "--instance", name, "--json"]);
    expect(again.json()).toMatchObject({ alreadyRunning: true });
    expect((await status()).processes.map(({ pid }) => pid)).toEqual(before.processes.map(({ pid }) => pid));

    expect(await maitred(["stop"])).toMatchObject({ status: 0, stderr: "" });
    expect(processesLeft()).toEqual([]);
    expect(await maitred(["status"])).toMatchObject({ status: 4 });

    const started: CommandResult = await maitred(["start", "--instance", name, "--port", "0", "--json"]);
    const { urls } = started.json<{ urls: readonly [string] }>();
    const answer = () => ask(`${urls[0]}/kept`).catch(() => undefined);
    await waitFor("the endpoint answers again", async () => (await answer())?.status === 200, 10_000);
    const after = await status();
    expect(after.endpoints).toEqual(before.endpoints);
    expect(after.backends.map(({ tag, replicas }) => ({ tag, replicas }))).toEqual(
      before.backends.map(({ tag, replicas }) => ({ tag, replicas })),
    );
    // As many of each kind as before, under new names: ordinals are never used again.
    const actors = (all: Status) => all.processes.filter((one) => one.name.includes("#"));
    const stems = (all: Status): readonly string[] =>
      actors(all)
        .map(({ name }) => name.replace(/#.*/, ""))
        .toSorted();
    expect(stems(after)).toEqual(stems(before));
    const old = actors(before).map((one) => one.name);
    expect(actors(after).filter((one) => old.includes(one.name))).toEqual([]);
  }, 40_000);

  test("shutdown erases it: no process, socket or file is left", async () => {
    expect(await maitred(["shutdown", "--yes", "--json"])).toMatchObject({ status: 0, stderr: "" });
    expect(lab().leftovers()).toEqual([]);
  });
});

const processesLeft = (): readonly string[] =>
  lab()
    .leftovers()
    .filter((left) => left.startsWith("process"));
