import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { ProcessIdentity } from "../model/places.ts";
import type { ProcessExit, SpawnOptions } from "../ports/processes.ts";
import { processHost } from "./processes.ts";

const host = processHost();
let folder: string;
const started: ProcessIdentity[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "maitred-processes-"));
});
afterEach(async () => {
  for (const process of started.splice(0)) host.signal(process, "SIGKILL");
  await rm(folder, { recursive: true, force: true });
});

const until = async (what: string, look: () => boolean): Promise<void> => {
  const deadline = performance.now() + 5_000;
  while (!look()) {
    if (performance.now() > deadline) throw new Error(`did not come true: ${what}`);
    await sleep(5);
  }
};

async function run(code: string, options: Partial<SpawnOptions> = {}) {
  const entry = join(folder, "program.mjs");
  await writeFile(entry, code);
  const exit = Promise.withResolvers<ProcessExit>();
  const output = { kind: "file", path: join(folder, "log") } as const;
  const identity = host.spawn(
    entry,
    ["an argument"],
    { nodeArgs: [], cwd: folder, env: { file: undefined, set: {} }, output, ...options },
    exit.resolve,
  );
  started.push(identity);
  return { identity, exit: exit.promise, log: () => readFileSync(output.path, "utf8") };
}

it("starts a program with its output in a file, and tells how it ended", async () => {
  const { exit, log, identity } = await run(`console.log(process.argv[2], process.env.X); process.exit(3)`, {
    env: { file: undefined, set: { X: "y" } },
  });
  expect(identity.pid).toBeGreaterThan(0);
  expect(await exit).toEqual({ code: 3, signal: undefined });
  expect(log()).toBe("an argument y\n");
  expect(host.isAlive(identity)).toBe(false);
});

it("tells a process from another one of its pid, and from one of another boot", async () => {
  const { identity } = await run("setInterval(() => {}, 1000)");
  expect(host.isAlive(identity)).toBe(true);
  expect(host.isAlive({ ...identity, startTime: "1" })).toBe(false);
  expect(host.isAlive({ ...identity, bootId: "another" })).toBe(false);
  expect(host.identityOf(identity.pid)).toEqual(identity);
  expect(host.identityOf(2 ** 22 + 1)).toBeUndefined();
});

it("kills what the process has started as well", async () => {
  const pidFile = join(folder, "pid");
  const { identity, exit } = await run(`
    import { spawn } from "node:child_process";
    import { writeFileSync } from "node:fs";
    const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], { stdio: "ignore" });
    writeFileSync(${JSON.stringify(pidFile)}, String(child.pid));
    setInterval(() => {}, 1000);`);
  await until("the grandchild runs", () => existsSync(pidFile) && readFileSync(pidFile, "utf8") !== "");
  const grandchild = host.identityOf(Number(readFileSync(pidFile, "utf8")))!;
  host.signal(identity, "SIGKILL");
  expect(await exit).toEqual({ code: undefined, signal: "SIGKILL" });
  await until("the grandchild is dead", () => !host.isAlive(grandchild));
});

it("finds a process by what its environment said, whatever it calls itself, and not by what it started", async () => {
  const { identity } = await run(
    `process.title = "something else";
     const { spawn } = await import("node:child_process");
     spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], { stdio: "ignore" });
     setInterval(() => {}, 1000);`,
    { env: { file: undefined, set: { MARK: folder } } },
  );
  await until("it is found", () => host.find("MARK", folder)?.pid === identity.pid);
  await sleep(0);
  expect(host.find("MARK", folder)).toEqual(identity);
  expect(host.find("MARK", "elsewhere")).toBeUndefined();
});

it("says what is missing instead of blaming the program", async () => {
  const invalid = (message: string) => ({ code: "config-invalid", message: expect.stringMatching(message) });
  await expect(run("", { cwd: "/nowhere" })).rejects.toMatchObject(invalid("^cwd /nowhere does not exist"));
  await expect(run("", { cwd: "/etc/passwd" })).rejects.toMatchObject(invalid("^cwd /etc/passwd is not a folder"));
  const env = { file: "/no.env", set: {} };
  await expect(run("", { env })).rejects.toMatchObject(invalid("^envFile /no.env cannot be read"));
});
