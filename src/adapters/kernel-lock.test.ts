import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm, unlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, it } from "vitest";
import { isLockHeld, tryAcquireLock } from "./kernel-lock.ts";

let folder: string;
let path: string;
const children: ChildProcess[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "maitred-lock-"));
  path = join(folder, "agent.lock");
});
afterEach(async () => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  await rm(folder, { recursive: true, force: true });
});

/** Another process that holds the lock. */
async function holder(): Promise<ChildProcess> {
  const code = `
    const { tryAcquireLock } = await import(${JSON.stringify(new URL("kernel-lock.ts", import.meta.url).href)});
    const lock = tryAcquireLock(${JSON.stringify(path)});
    process.stdout.write(lock === undefined ? "refused" : "held");
    setInterval(() => lock, 1000);`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", code], { stdio: ["ignore", "pipe", "inherit"] });
  children.push(child);
  const said = await new Promise<string>((resolve) => child.stdout!.once("data", (data) => resolve(String(data))));
  expect(said).toBe("held");
  return child;
}

it("is held by one process, also while that process is stopped, and free the moment it is killed", async () => {
  const child = await holder();
  expect(isLockHeld(path)).toBe(true);
  expect(tryAcquireLock(path)).toBeUndefined();
  child.kill("SIGSTOP");
  expect(isLockHeld(path)).toBe(true);
  const gone = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await gone;
  expect(isLockHeld(path)).toBe(false);
  const lock = tryAcquireLock(path);
  expect(lock?.isOurs()).toBe(true);
  lock?.removeAndRelease();
});

it("asks without taking: a prober does not keep a starter out", async () => {
  await writeFile(path, "");
  let isProbing = true;
  const prober = (async () => {
    while (isProbing) {
      isLockHeld(path);
      await sleep(0);
    }
  })();
  for (let attempt = 0; attempt < 50; attempt++) {
    const child = tryAcquireLock(path);
    expect(child).toBeDefined();
    child?.removeAndRelease();
    await sleep(0);
    if (!existsSync(folder)) await import("node:fs/promises").then((fs) => fs.mkdir(folder));
  }
  isProbing = false;
  await prober;
});

it("is nobody's when its file is not there", () => {
  expect(isLockHeld(path)).toBe(false);
  expect(existsSync(path)).toBe(false);
});

it("knows when the file it holds is not the one that others would lock", async () => {
  const lock = tryAcquireLock(path)!;
  expect(lock.isOurs()).toBe(true);
  await unlink(path);
  expect(lock.isOurs()).toBe(false);
  await writeFile(path, "");
  expect(lock.isOurs()).toBe(false);
  lock.removeAndRelease();
  expect(existsSync(path)).toBe(true);
});

it("is free for a prober in whose sight the last holder removes the file and its folder", async () => {
  const run = join(folder, "run");
  const code = `
    const { mkdirSync } = await import("node:fs");
    const { tryAcquireLock } = await import(${JSON.stringify(new URL("kernel-lock.ts", import.meta.url).href)});
    for (let round = 0; round < 300; round++) {
      mkdirSync(${JSON.stringify(run)}, { recursive: true });
      tryAcquireLock(${JSON.stringify(join(run, "agent.lock"))}).removeAndRelease();
    }`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", code], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  children.push(child);
  let status: number | null | undefined;
  child.once("exit", (code) => {
    status = code;
  });
  while (status === undefined) {
    for (let probe = 0; probe < 50; probe++) isLockHeld(join(run, "agent.lock"));
    await sleep(0);
  }
  expect(status).toBe(0);
});
