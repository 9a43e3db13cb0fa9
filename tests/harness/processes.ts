/**
 * Processes as the kernel shows them (/proc, so Linux). A lab marks everything it starts with an environment variable that children
 * inherit; so whatever was started, by whomever, is found and ended by its pid, and nothing else is ever touched.
 */
import { readdirSync, readFileSync } from "node:fs";
import { waitFor } from "./wait-for.ts";

export const MARK_VARIABLE = "MAITRED_TEST_MARK";

/** A killed process is gone within milliseconds; a machine under load takes longer to notice. */
const END_DEADLINE_MS = 5_000;

const read = (path: string): string | undefined => {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return undefined; // the process has gone meanwhile, or is another user's
  }
};

/** State letter of /proc/<pid>/stat; the command name before it may hold anything, so it is cut at the last parenthesis. */
const stateOf = (pid: number): string | undefined => {
  const stat = read(`/proc/${pid}/stat`);
  return stat?.slice(stat.lastIndexOf(")") + 2, stat.lastIndexOf(")") + 3);
};

/** A zombie is dead: only its parent has not looked yet. */
export const isAlive = (pid: number): boolean => !["Z", "X", undefined].includes(stateOf(pid));

export const kill = (
  pid: number,
  signal: "SIGKILL" | "SIGSTOP" | "SIGCONT" | "SIGTERM" | "SIGINT" = "SIGKILL",
): void => {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
};

/** Kills and waits until the kernel has taken it. */
export const killAndWait = async (pid: number): Promise<void> => {
  kill(pid);
  await waitFor(`process ${pid} has ended`, () => !isAlive(pid), END_DEADLINE_MS);
};

/** Living processes that carry the mark, this one excluded. */
export const markedPids = (mark: string): readonly number[] =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => pid !== process.pid && isAlive(pid))
    .filter((pid) => read(`/proc/${pid}/environ`)?.includes(`${MARK_VARIABLE}=${mark}\0`) === true);

export const commandOf = (pid: number): string =>
  read(`/proc/${pid}/cmdline`)?.replaceAll("\0", " ").trim() ?? "(gone)";

/** Ends every marked process, also those that others of them start meanwhile. */
export const endMarked = (mark: string): Promise<true> =>
  waitFor(
    `all processes marked ${mark} have ended`,
    () => {
      const pids = markedPids(mark);
      for (const pid of pids) kill(pid);
      return pids.length === 0;
    },
    END_DEADLINE_MS,
  );

/** Memory that the process has in use now. */
export const residentBytes = (pid: number): number =>
  Number(/^VmRSS:\s+(\d+) kB$/m.exec(read(`/proc/${pid}/status`) ?? "")?.[1] ?? 0) * 1_024;
