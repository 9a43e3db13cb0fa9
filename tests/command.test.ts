/** The file `bin/maitred.js`: which Node it runs on, what it hands over, what it says when it cannot. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";

let root: string;
const started = new Set<ChildProcess>();

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "maitred-command-"));
  cpSync(join(import.meta.dirname, "../bin"), join(root, "bin"), { recursive: true });
  write("package.json", `{ "type": "module" }`);
});

afterEach(() => {
  for (const child of started) child.kill("SIGKILL");
  started.clear();
  rmSync(root, { recursive: true });
});

function write(name: string, text: string): string {
  const path = join(root, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  return path;
}

/** A checkout: the command finds its sources. `main` is the body of `main(argv)`. */
const writeCheckout = (main: string) =>
  write("src/main/cli.ts", `export async function main(argv: readonly string[]): Promise<number> { ${main} }`);

/** The Node of the dev dependency `node`: a script, so that it is another file than the Node under test. */
function writePinnedNode() {
  chmodSync(write("node_modules/node/bin/node", `#!/bin/sh\nexec "${process.execPath}" "$@"\n`), 0o755);
}

interface Options {
  /** Pretend that the first Node is Node 20. */
  readonly old?: { readonly canExec: "yes" | "no" };
  readonly signal?: { readonly name: NodeJS.Signals; readonly onceItPrints: string };
  readonly env?: Readonly<Record<string, string>>;
}

/** Runs `maitred hello world` to its end. */
async function runCommand(options: Options = {}) {
  // Only the first process is old: the preload removes the variable that the second one would find.
  const preload = write(
    "old-node.cjs",
    `const canExec = process.env.PRETEND_OLD_NODE;
     delete process.env.PRETEND_OLD_NODE;
     if (canExec) Object.defineProperty(process, "versions", { value: { ...process.versions, node: "20.11.0" } });
     if (canExec === "no") process.execve = undefined;`,
  );
  const child = spawn(process.execPath, ["--require", preload, join(root, "bin/maitred.js"), "hello", "world"], {
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      PATH: process.env["PATH"],
      HOME: root,
      ...(options.old === undefined ? {} : { PRETEND_OLD_NODE: options.old.canExec }),
      ...options.env,
    },
  });
  started.add(child);
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (chunk: Buffer) => {
    stdout += chunk;
    if (options.signal !== undefined && stdout.includes(options.signal.onceItPrints)) child.kill(options.signal.name);
  });
  child.stderr.on("data", (chunk: Buffer) => {
    stderr += chunk;
  });
  const [exitCode, signal] = await once(child, "close");
  return { exitCode, signal, stdout, stderr, pid: child.pid };
}

test("it hands the arguments to the sources of a checkout and exits with what main answers", async () => {
  writeCheckout(`console.log(argv.join(" ")); return 3;`);
  expect(await runCommand()).toMatchObject({ exitCode: 3, stdout: "hello world\n", stderr: "" });
});

test("it runs dist where there are no sources, as in the published package", async () => {
  write("dist/main/cli.js", `export async function main() { console.log("dist"); return 0; }`);
  expect(await runCommand()).toMatchObject({ exitCode: 0, stdout: "dist\n", stderr: "" });
});

test("compiled code is kept in the user's own cache folder, also for the processes started from it", async () => {
  writeCheckout(`console.log(process.env.NODE_COMPILE_CACHE); return 0;`);
  expect((await runCommand()).stdout).toBe(`${root}/.cache/maitred/compiled\n`);
  expect((await runCommand({ env: { XDG_CACHE_HOME: `${root}/x` } })).stdout).toBe(`${root}/x/maitred/compiled\n`);
  expect((await runCommand({ env: { NODE_COMPILE_CACHE: `${root}/y` } })).stdout).toBe(`${root}/y\n`);
});

test("an old Node without another one gets one sentence with the way out", async () => {
  expect(await runCommand({ old: { canExec: "no" } })).toMatchObject({
    exitCode: 1,
    stdout: "",
    stderr:
      "maitred needs Node 24 or newer; this is Node 20.11.0. Install a newer one (https://nodejs.org) and run the command again.\n",
  });
  writeCheckout("return 0;");
  expect((await runCommand({ old: { canExec: "no" } })).stderr).toBe(
    `maitred needs Node 24 or newer; this is Node 20.11.0. Run \`npm ci\` in ${root}: it installs the Node that this checkout uses.\n`,
  );
});

test.each(["yes", "no"] as const)("an old Node hands over to the pinned one (execve: %s)", async (canExec) => {
  writePinnedNode();
  writeCheckout(`console.log(argv.join(" "), parseInt(process.versions.node) >= 24, process.pid); return 3;`);
  const run = await runCommand({ old: { canExec } });
  expect(run).toMatchObject({ exitCode: 3, stdout: expect.stringMatching(/^hello world true \d+\n$/), stderr: "" });
  const isSameProcess = run.stdout.endsWith(` ${run.pid}\n`);
  expect(isSameProcess).toBe(canExec === "yes");
});

test.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)(
  "%s reaches the pinned Node, whose exit status counts",
  async (name) => {
    writePinnedNode();
    writeCheckout(`
    setInterval(() => {}, 1000);
    const ended = new Promise<void>((done) => process.once("${name}", () => done()));
    console.log("ready");
    await ended;
    process.exit(7);`);
    const run = await runCommand({ old: { canExec: "no" }, signal: { name, onceItPrints: "ready" } });
    expect(run).toMatchObject({ exitCode: 7, signal: null, stderr: "" });
  },
);

test("a signal that ends the pinned Node ends the command in the same way", async () => {
  writePinnedNode();
  writeCheckout(`console.log("ready"); setInterval(() => {}, 1000); return new Promise(() => {});`);
  const run = await runCommand({ old: { canExec: "no" }, signal: { name: "SIGTERM", onceItPrints: "ready" } });
  expect(run).toMatchObject({ exitCode: null, signal: "SIGTERM" });
});

test("a failure to start is one sentence, and its stack is kept for NODE_DEBUG", async () => {
  writeCheckout(`throw new Error("no luck");`);
  expect(await runCommand()).toMatchObject({ exitCode: 1, stderr: "maitred could not start: no luck\n" });
  expect((await runCommand({ env: { NODE_DEBUG: "maitred" } })).stderr).toContain("src/main/cli.ts:1");
});

test("a checkout without its dependencies says what to run", async () => {
  write("src/main/cli.ts", `import "no-such-package"; export async function main() { return 0; }`);
  const { exitCode, stderr } = await runCommand();
  expect(exitCode).toBe(1);
  expect(stderr).toMatch(
    /^maitred could not start: Cannot find package 'no-such-package' .* Run `npm ci` in .* first\.\n$/,
  );
});
