/** Which CPUs who may use. Linux only, as the bench is. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { programPath } from "./tools.ts";

/**
 * Gives the loads of this process the last of its CPUs alone, and `served` the others. A load that watches the clock never sleeps: where
 * the kernel puts a server behind it, that waits for milliseconds, and what is then measured is the kernel's choice.
 * @returns how to undo it for this process; undefined: there is one CPU, or no `taskset` (Debian's util-linux).
 */
export const separateLoad = (served: readonly number[]): (() => void) | undefined => {
  const allowed = allowedCpus();
  const last = allowed.at(-1);
  if (last === undefined || allowed.length < 2 || programPath("taskset") === undefined) return undefined;
  for (const pid of served) confine(pid, allowed.slice(0, -1));
  confine(process.pid, [last]);
  return () => confine(process.pid, allowed);
};

/** `Cpus_allowed_list: 0-2,5`, see proc_pid_status(5). */
const allowedCpus = (): readonly number[] => {
  const [, list = ""] = /^Cpus_allowed_list:\s*(\S+)/m.exec(readFileSync("/proc/self/status", "utf8")) ?? [];
  return list.split(",").flatMap((range) => {
    const [first = 0, last = first] = range.split("-").map(Number);
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
};

/** With all its threads; what it starts from now on, too. */
const confine = (pid: number, cpus: readonly number[]): void => {
  const list = cpus.join(",");
  execFileSync("taskset", ["--all-tasks", "--cpu-list", "--pid", list, String(pid)], { stdio: "ignore" });
};
