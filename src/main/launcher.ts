/**
 * The process that stands before this one when the command was started on a Node that is too old for it: bin/maitred.js then runs the
 * command as its child, and names itself in the environment. To whoever typed the command the two are one: when one goes, so does the
 * other. (The other way round bin/maitred.js sees to it.)
 */
import { processHost } from "../adapters/processes.ts";
import { LIVENESS_INTERVAL_MS } from "../model/limits.ts";
import type { ProcessIdentity } from "../model/places.ts";

const LAUNCHER_VARIABLE = "MAITRED_LAUNCHER";

/** Undefined = there is none. From here on this process ends with it; what is started from here does not inherit its name. */
export const followLauncher = (): ProcessIdentity | undefined => {
  const named = process.env[LAUNCHER_VARIABLE];
  delete process.env[LAUNCHER_VARIABLE];
  if (named === undefined) return undefined;
  const processes = processHost();
  const launcher = named === String(process.ppid) ? processes.identityOf(process.ppid) : undefined;
  if (launcher === undefined) process.exit(1); // it went while this process was starting
  const look = (): void => {
    if (!processes.isAlive(launcher)) process.exit(1);
  };
  setInterval(look, LIVENESS_INTERVAL_MS).unref();
  return launcher;
};
