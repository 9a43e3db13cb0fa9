/** The log file of a process: appended to only, because the agent copies and truncates it while it is written. */
import { fstatSync, openSync, statSync } from "node:fs";

/** Whether the descriptor leads into this file. */
export function isFile(fd: number, path: string): boolean {
  try {
    const [ours, theirs] = [fstatSync(fd), statSync(path)];
    return ours.ino === theirs.ino && ours.dev === theirs.dev;
  } catch {
    return false; // no such file, or the output is closed
  }
}

/** Undefined when it cannot be written: no process ends for that. */
export function openLogFile(path: string): number | undefined {
  try {
    return openSync(path, "a", 0o600);
  } catch {
    return undefined; // no such folder, or not ours
  }
}
