/** ports/instance-folders.ts on the file system. The state folder is ours alone (`preparePlaces` saw to it), so it goes whole. */
import { copyFileSync, lutimesSync, readdirSync, renameSync, rmdirSync, rmSync, statSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { fileNameOf } from "../model/ids.ts";
import type { SavedLaunch } from "../model/launch.ts";
import { LOG_FILE_BYTES, LOG_FILE_GENERATIONS, MAX_GONE_LOG_FILES } from "../model/limits.ts";
import type { SavedTotals } from "../model/metrics.ts";
import { type InstanceFile, runFiles, stateFiles } from "../model/places.ts";
import type { InstanceFolders } from "../ports/instance-folders.ts";
import { takeStartFailure } from "./start-failure.ts";
import { flushFolder, isAbsence, readJson, removeFile, writeWhole } from "./whole-files.ts";

export function openInstanceFolders({
  stateDir,
  runDir,
}: {
  readonly stateDir: string;
  readonly runDir: string;
}): InstanceFolders {
  const state = stateFiles(stateDir);
  const run = runFiles(runDir);
  return {
    instanceFile: () => readJson<InstanceFile>(run.instance),
    writeInstanceFile: (file) => writeWhole(run.instance, JSON.stringify(file), "quickly"),
    savedLaunch: () => readJson<SavedLaunch>(state.launch),
    writeLaunch: (saved) => writeWhole(state.launch, JSON.stringify(saved), "durably"),
    hasStore: () => exists(state.store),
    hasTombstone: () => exists(state.tombstone),
    writeTombstone: () => writeWhole(state.tombstone, "this instance is being erased\n", "durably"),
    takeStartFailure: (pid) => takeStartFailure(runDir, pid),
    forgetRescues: () => removeFile(run.rescue),
    trimLogs: (running) => trimLogs(state.logs, running),
    saveMetrics: (totals) => writeWhole(run.metrics, JSON.stringify(totals), "quickly"),
    savedMetrics: () => readJson<SavedTotals>(run.metrics),
    trimSockets: (living) => trimSockets(runDir, living),
    touchRun: () => touch([runDir, ...namesIn(runDir).map((name) => join(runDir, name))]),
    clearRun: () => removeAllBut(runDir, (name) => name.startsWith("agent.lock")),
    removeState: () => removeState(stateDir, state.tombstone),
  };
}

/** First all that a next agent would adopt or serve from; the order that lets it finish if this one is killed. */
function removeState(stateDir: string, tombstone: string): void {
  removeAllBut(stateDir, (name) => join(stateDir, name) === tombstone);
  if (!exists(stateDir)) return;
  flushFolder(stateDir);
  removeFile(tombstone);
  try {
    rmdirSync(stateDir);
  } catch (error) {
    if (!isAbsence(error)) throw error;
  }
}

function removeAllBut(folder: string, isKept: (name: string) => boolean): void {
  for (const name of namesIn(folder)) {
    if (!isKept(name)) rmSync(join(folder, name), { recursive: true, force: true });
  }
}

/** `7-2.sock` of an actor, `c-3.sock` of a controller; not the agent's own, nor the link to the leading controller. */
const INCARNATION_SOCKET = /^(?:\d+|c)-\d+\.sock$/;

function trimSockets(runDir: string, living: readonly string[]): void {
  const kept = new Set(living);
  for (const name of namesIn(runDir)) {
    const path = join(runDir, name);
    if (INCARNATION_SOCKET.test(name) && !kept.has(path)) removeFile(path);
  }
}

/** Modified and accessed now, links themselves too. Opens nothing: closing the lock file would drop the lock. */
function touch(paths: readonly string[]): void {
  const now = new Date();
  for (const path of paths) {
    try {
      lutimesSync(path, now, now);
    } catch (error) {
      if (!isAbsence(error)) throw error;
    }
  }
}

const GENERATION = /^(.+\.log)\.\d+$/;

/**
 * Copy, then truncate: writers append by descriptor and never notice. Lines written between the two are lost, which is the price of
 * writers without a pipe.
 */
function trimLogs(folder: string, running: readonly string[]): void {
  const living = new Set(running.map((name) => `${fileNameOf(name)}.log`));
  const gone: { readonly path: string; readonly at: number }[] = [];
  for (const name of namesIn(folder)) {
    const path = join(folder, name);
    const found = statSync(path, { throwIfNoEntry: false });
    if (found === undefined) continue;
    const base = GENERATION.exec(name)?.[1] ?? name;
    if (!living.has(base)) gone.push({ path, at: found.mtimeMs });
    else if (name === base && found.size > LOG_FILE_BYTES) rotate(path);
  }
  gone.sort((a, b) => b.at - a.at);
  for (const { path } of gone.slice(MAX_GONE_LOG_FILES)) removeFile(path);
}

/** iris.log → iris.log.1 → … → iris.log.4 → gone. */
function rotate(path: string): void {
  for (let generation = LOG_FILE_GENERATIONS - 1; generation > 1; generation--) {
    const from = `${path}.${generation - 1}`;
    if (exists(from)) renameSync(from, `${path}.${generation}`);
  }
  copyFileSync(path, `${path}.1`);
  truncateSync(path);
}

const exists = (path: string): boolean => statSync(path, { throwIfNoEntry: false }) !== undefined;

const namesIn = (folder: string): readonly string[] => {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (isAbsence(error)) return [];
    throw error;
  }
};
