import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { AgentLaunch, SavedLaunch } from "../model/launch.ts";
import { RESCUE_BACKOFF_MAX_MS } from "../model/limits.ts";
import { runFiles, stateFiles } from "../model/places.ts";
import { tryAcquireLock } from "./kernel-lock.ts";
import { createPinoLog } from "./pino-log.ts";
import { type Rescue, startRescue } from "./rescue.ts";
import { createSystemClock } from "./system-clock.ts";

let folder: string;
let born: string;
let rescue: Rescue | undefined;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "maitred-rescue-"));
  born = join(folder, "born");
  const entry = join(folder, "agent.mjs");
  await writeFile(
    entry,
    `import { appendFileSync } from "node:fs";
     appendFileSync(${JSON.stringify(born)}, process.argv[2] + "\\n");`,
  );
  const launch = {
    stateDir: folder,
    runDir: folder,
    resume: true,
    output: "files",
    execArgv: [],
  } as never as AgentLaunch;
  const saved: SavedLaunch = {
    launch,
    instanceId: "i1",
    createdAt: 0,
    execPath: process.execPath,
    entry,
    cwd: folder,
    env: {},
  };
  await writeFile(stateFiles(folder).launch, JSON.stringify(saved));
  await writeFile(runFiles(folder).instance, JSON.stringify({ id: "i1" }));
  await writeFile(runFiles(folder).lock, "");
});
afterEach(async () => {
  rescue?.stop();
  await rm(folder, { recursive: true, force: true });
});

const start = (): void => {
  rescue = startRescue({
    stateDir: folder,
    runDir: folder,
    instanceId: "i1",
    clock: createSystemClock(),
    random: { number: () => 0, id: () => "" },
    log: createPinoLog({ env: { MAITRED_LOG_LEVEL: "silent" } }),
  });
};
const births = async (): Promise<readonly string[]> =>
  (await readFile(born, "utf8").catch(() => "")).split("\n").filter((line) => line !== "");
const untilBorn = async (count: number): Promise<void> => {
  const deadline = performance.now() + 5_000;
  while ((await births()).length < count) {
    if (performance.now() > deadline) throw new Error(`only ${(await births()).length} agents were started`);
    await sleep(10);
  }
};

it("starts the agent again, as a rescue that does not resume", async () => {
  start();
  await untilBorn(1);
  expect(JSON.parse((await births())[0]!)).toMatchObject({ resume: false, stateDir: folder });
});

it("starts none while the link is up, or while somebody holds the lock", async () => {
  start();
  rescue?.linkUp();
  await sleep(600);
  const lock = tryAcquireLock(runFiles(folder).lock)!;
  rescue?.linkDown();
  await sleep(900);
  expect(await births()).toEqual([]);
  // The folder stays for the rescue, as it does when an agent is killed.
  await writeFile(join(folder, "keep"), "");
  lock.removeAndRelease();
  await untilBorn(1);
});

it("starts none for an instance that is over", async () => {
  await writeFile(runFiles(folder).instance, JSON.stringify({ id: "i2" }));
  start();
  await sleep(900);
  expect(await births()).toEqual([]);
});

it("remembers on disk how often it was in vain, and waits longer each time", async () => {
  await writeFile(runFiles(folder).rescue, JSON.stringify({ at: Date.now(), count: 9 }));
  start();
  await sleep(900);
  expect(await births()).toEqual([]);
  rescue?.stop();
  await writeFile(runFiles(folder).rescue, JSON.stringify({ at: Date.now() - RESCUE_BACKOFF_MAX_MS, count: 9 }));
  start();
  await untilBorn(1);
  expect(JSON.parse(await readFile(runFiles(folder).rescue, "utf8"))).toMatchObject({ count: 10 });
});
