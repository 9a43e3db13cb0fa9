/** Which CPUs who may use. Linux only, as the bench is. */
import { execFileSync } from "node:child_process";
import { availableParallelism } from "node:os";
import { programPath } from "./tools.ts";

/**
 * Gives the loads of this process the last CPU alone, and `served` the others. A load that watches the clock never sleeps: where the
 * kernel puts a server behind it, that waits for milliseconds, and what is then measured is the kernel's choice.
 * @returns how to undo it for this process; undefined: there is one CPU, or no `taskset` (Debian's util-linux).
 */
export const separateLoad = (served: readonly number[]): (() => void) | undefined => {
  const count = availableParallelism();
  if (count < 2 || programPath("taskset") === undefined) return undefined;
  const last = count - 1;
  for (const pid of served) confine(pid, `0-${last - 1}`);
  confine(process.pid, String(last));
  return () => confine(process.pid, `0-${last}`);
};

/** With all its threads; what it starts from now on, too. */
const confine = (pid: number, cpus: string): void => {
  execFileSync("taskset", ["--all-tasks", "--cpu-list", "--pid", cpus, String(pid)], { stdio: "ignore" });
};
