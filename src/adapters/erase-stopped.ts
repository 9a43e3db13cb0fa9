/**
 * `shutdown` without the store. Of an instance that runs and whose store takes nothing any more: its agent finds the tombstone. Of one that
 * nobody runs: one that was stopped, or whose store no agent can open any more. Nothing is read of the store. The agent's lock is held meanwhile, so a start waits or comes too late, and the tombstone lets a next start finish what was cut off.
 */
import { existsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { isServeError, ServeError } from "../base/serve-error.ts";
import { GONE_INTERVAL_MS, MAX_SHOWN_STOPPED, PROXY_DRAIN_MOST_MS, REPLICA_DRAIN_MOST_MS } from "../model/limits.ts";
import { type InstanceFile, runFiles, stateFiles } from "../model/places.ts";
import {
  chooseInstance,
  hasLivingProcess,
  type InstanceChoice,
  listStopped,
  stoppedInstanceOf,
} from "./find-instance.ts";
import { openInstanceFolders } from "./instance-folders.ts";
import { isLockHeld, tryAcquireLock } from "./kernel-lock.ts";
import { type Env, givenStateDir, runDirOf, runRoot } from "./places.ts";
import { ensurePrivateFolder } from "./private-folder.ts";
import { rescuingUntil } from "./rescue.ts";
import { readJson } from "./whole-files.ts";

/** What `shutdown` would erase. Orphaned: processes of it live, and no agent. */
export interface Erasable {
  readonly kind: "runs" | "orphaned" | "stopped";
  readonly name: string;
  readonly stateDir: string;
}

/** Throws as `chooseInstance`. */
export function findErasable(choice: InstanceChoice): Erasable {
  try {
    const { file, runDir, stateDir } = chooseInstance(choice);
    return { kind: isLockHeld(runFiles(runDir).lock) ? "runs" : "orphaned", name: file.name, stateDir };
  } catch (error) {
    if (!isServeError(error) || error.code !== "instance-unknown") throw error;
    const stopped = stoppedInstanceOf(choice);
    if (stopped !== undefined) return { kind: "stopped", ...stopped };
    const isPlaceGiven = givenStateDir(choice.stateDir, choice.env) !== undefined;
    throw isPlaceGiven ? error : withStopped(error, listStopped(choice.env));
  }
}

/** None is picked, be it the only one: what is erased must have been named. */
const withStopped = (error: ServeError, stopped: readonly string[]): ServeError => {
  const [first] = stopped;
  if (first === undefined) return error;
  const shown = stopped.slice(0, MAX_SHOWN_STOPPED).join(", ");
  const list = stopped.length > MAX_SHOWN_STOPPED ? `${shown} and ${stopped.length - MAX_SHOWN_STOPPED} more` : shown;
  return new ServeError(
    error.code,
    `${error.message} Stopped ${stopped.length === 1 ? "is" : "are"}: ${list}; \`maitred shutdown --instance ${first} --yes\` erases it.`,
    { details: { ...error.details, stopped } },
  );
};

/**
 * Its agent, or the next one, finds the tombstone, drains, ends every process and erases everything. Resolves when that is so. Where no
 * agent is left nor anybody who would start one, it is started here.
 * Throws `state-unwritable`; `instance-stopping` when it takes longer than any drain.
 */
export async function eraseRunning(erasable: Erasable, env: Env): Promise<void> {
  const { stateDir } = erasable;
  const runDir = runDirOf(stateDir, env);
  openInstanceFolders({ stateDir, runDir }).writeTombstone();
  const instanceId = readJson<InstanceFile>(runFiles(runDir).instance)?.id ?? "";
  await rescuingUntil({ stateDir, runDir, instanceId }, () => untilErased(erasable, env));
}

async function untilErased(erasable: Erasable, env: Env): Promise<void> {
  const { name, stateDir } = erasable;
  const { lock } = runFiles(runDirOf(stateDir, env));
  const mostMs = PROXY_DRAIN_MOST_MS + REPLICA_DRAIN_MOST_MS;
  const endsAt = performance.now() + mostMs;
  // The agent lets go of its lock when nothing else is left.
  while (existsSync(stateFiles(stateDir).tombstone) || isLockHeld(lock)) {
    if (!isLockHeld(lock) && !hasLivingProcess(stateDir)) return eraseStopped(erasable, env);
    if (performance.now() > endsAt) throw busy(name, "its processes have not ended; whoever runs it goes on with that");
    await sleep(GONE_INTERVAL_MS);
  }
}

/** Throws `instance-stopping` when somebody starts or ends it just now, `state-unwritable`. */
export function eraseStopped({ name, stateDir }: Erasable, env: Env): void {
  const runDir = runDirOf(stateDir, env);
  ensurePrivateFolder(runRoot(env));
  ensurePrivateFolder(runDir);
  const lock = tryAcquireLock(runFiles(runDir).lock);
  if (lock === undefined) throw busy(name, "an agent has begun to run it");
  try {
    if (hasLivingProcess(stateDir)) throw busy(name, "a process of it still lives");
    const folders = openInstanceFolders({ stateDir, runDir });
    folders.writeTombstone();
    folders.removeState();
    folders.clearRun();
  } finally {
    lock.removeAndRelease();
  }
}

const busy = (name: string, what: string): ServeError =>
  new ServeError("instance-stopping", `nothing of instance "${name}" was erased: ${what}. Run the command again.`, {
    retryable: true,
  });
