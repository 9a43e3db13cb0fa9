/**
 * `shutdown` of an instance that nobody runs: one that was stopped, or whose store no agent can open any more. Nothing is read of the
 * store. The agent's lock is held meanwhile, so a start waits or comes too late, and the tombstone lets a next start finish what was cut off.
 */
import { isServeError, ServeError } from "../base/serve-error.ts";
import { runFiles } from "../model/places.ts";
import { chooseInstance, hasLivingProcess, type InstanceChoice, stoppedInstanceOf } from "./find-instance.ts";
import { openInstanceFolders } from "./instance-folders.ts";
import { tryAcquireLock } from "./kernel-lock.ts";
import { type Env, runDirOf, runRoot } from "./places.ts";
import { ensurePrivateFolder } from "./private-folder.ts";

/** What `shutdown` would erase. */
export interface Erasable {
  readonly kind: "runs" | "stopped";
  readonly name: string;
  readonly stateDir: string;
}

/** Throws as `chooseInstance`. */
export function findErasable(choice: InstanceChoice): Erasable {
  try {
    const { file, stateDir } = chooseInstance(choice);
    return { kind: "runs", name: file.name, stateDir };
  } catch (error) {
    const stopped = isServeError(error) && error.code === "instance-unknown" ? stoppedInstanceOf(choice) : undefined;
    if (stopped === undefined) throw error;
    return { kind: "stopped", ...stopped };
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
