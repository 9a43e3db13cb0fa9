import { closeSync, existsSync, openSync, writeSync } from "node:fs";
import {
  lstat,
  lutimes,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  truncate,
  utimes,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { ActorName } from "../model/ids.ts";
import { LOG_FILE_BYTES, LOG_FILE_GENERATIONS, MAX_GONE_LOG_FILES } from "../model/limits.ts";
import { runFiles, stateFiles } from "../model/places.ts";
import { openActorLedger } from "./actor-files.ts";
import { openInstanceFolders } from "./instance-folders.ts";

let stateDir: string;
let runDir: string;
beforeEach(async () => {
  stateDir = await mkdtemp(join(tmpdir(), "maitred-folders-"));
  runDir = join(stateDir, "run");
  await mkdir(runDir);
  await mkdir(stateFiles(stateDir).logs);
});
afterEach(() => rm(stateDir, { recursive: true, force: true }));
const folders = () => openInstanceFolders({ stateDir, runDir });

it("cuts a log that has grown too long while its writer goes on, and keeps a bounded number of generations", async () => {
  const log = stateFiles(stateDir).log("b#1");
  const fd = openSync(log, "a");
  for (let round = 0; round < LOG_FILE_GENERATIONS + 2; round++) {
    await truncate(log, LOG_FILE_BYTES + 1);
    writeSync(fd, `round ${round}\n`);
    folders().trimLogs(["b#1"]);
    expect((await stat(log)).size).toBe(0);
  }
  writeSync(fd, "after\n");
  closeSync(fd);
  expect(await readFile(log, "utf8")).toBe("after\n");
  const names = await readdir(stateFiles(stateDir).logs);
  expect(names).toHaveLength(LOG_FILE_GENERATIONS);
  const newest = await readFile(`${log}.1`, "utf8");
  expect(newest.endsWith(`round ${LOG_FILE_GENERATIONS + 1}\n`)).toBe(true);
});

it("keeps the newest logs of processes that are gone, and all of those that run", async () => {
  const { log, logs } = stateFiles(stateDir);
  for (let ordinal = 1; ordinal <= MAX_GONE_LOG_FILES + 5; ordinal++) {
    await writeFile(log(`b#${ordinal}`), "");
    await utimes(log(`b#${ordinal}`), ordinal, ordinal);
  }
  folders().trimLogs(["b#1"]);
  const names = await readdir(logs);
  expect(names).toHaveLength(MAX_GONE_LOG_FILES + 1);
  expect(existsSync(log("b#1"))).toBe(true);
  expect(existsSync(log("b#2"))).toBe(false);
});

it("removes the sockets of incarnations that have gone, and no other file", async () => {
  const kept = ["7-2.sock", "c-3.sock", "agent.sock", "controller.sock", "instance", "agent.lock"];
  for (const name of [...kept, "7-1.sock", "8-1.sock", "c-1.sock"]) await writeFile(join(runDir, name), "");
  const run = runFiles(runDir);
  folders().trimSockets([run.actorSocket("iris:v1#7" as ActorName, 2), run.controllerSocket(3)]);
  expect((await readdir(runDir)).toSorted()).toEqual(kept.toSorted());
});

it("touches all of the run folder, so that no cleaner of old files takes a part of it", async () => {
  const names = ["instance", "agent.lock", "controller.sock"].map((name) => join(runDir, name));
  await writeFile(names[0]!, "");
  await writeFile(names[1]!, "");
  await symlink("c-1.sock", names[2]!);
  for (const name of names) await lutimes(name, 1, 1);
  folders().touchRun();
  for (const name of names) expect((await lstat(name)).mtimeMs).toBeGreaterThan(1_000_000);
});

it("removes everything, and may be asked again", async () => {
  const ledger = openActorLedger(stateDir);
  expect(ledger.nextNodeIncarnation()).toBe(1);
  folders().writeTombstone();
  expect(folders().hasTombstone()).toBe(true);
  folders().removeState();
  folders().removeState();
  expect(existsSync(stateDir)).toBe(false);
});

it("counts the lives of a node and remembers the port that was chosen", () => {
  const ledger = openActorLedger(stateDir);
  expect([ledger.nextNodeIncarnation(), openActorLedger(stateDir).nextNodeIncarnation()]).toEqual([1, 2]);
  expect([ledger.nextAgentIncarnation(), openActorLedger(stateDir).nextAgentIncarnation()]).toEqual([1, 2]);
  ledger.saveChosenPort("127.0.0.1", 4711);
  expect(openActorLedger(stateDir).chosenPort("127.0.0.1")).toBe(4711);
  expect(ledger.chosenPort("0.0.0.0")).toBeUndefined();
});

it("reads the files of actors back and names those that are none", async () => {
  const ledger = openActorLedger(stateDir);
  const actor = "iris:v1#7" as ActorName;
  const file = { instanceId: "i", incarnation: 2, assignment: { actor }, failedStarts: 0 } as never;
  ledger.save(file);
  await writeFile(join(stateFiles(stateDir).actors, "half.json"), '{"incarn');
  expect(ledger.load()).toEqual({ actors: [file], unreadable: [join(stateFiles(stateDir).actors, "half.json")] });
  ledger.delete(actor);
  ledger.delete(actor);
  expect(ledger.load().actors).toEqual([]);
});
