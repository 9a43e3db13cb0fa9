/** Reading what processes cost (/proc, so Linux), running children of the benchmark, and medians. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";

export const ROOT = join(import.meta.dirname, "..");
export const BIN = join(ROOT, "bin/maitred.js");

/** USER_HZ: the unit of utime and stime; 100 on every Linux that Node runs on. */
const TICK_MICROSECONDS = 10_000;
const CHILD_DEADLINE_MS = 60_000;

/** User and system time of the processes so far, in microseconds. */
export const cpuMicroseconds = (pids: readonly number[]): number =>
  pids.reduce((total, pid) => {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return total + (Number(fields[11]) + Number(fields[12])) * TICK_MICROSECONDS;
  }, 0);

/** Memory of the processes, shared pages divided among those who share them. */
export const proportionalBytes = (pids: readonly number[]): number =>
  pids.reduce((total, pid) => {
    const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, "latin1");
    return total + Number(/^Pss:\s+(\d+) kB$/m.exec(rollup)?.[1] ?? 0) * 1_024;
  }, 0);

export const median = (values: readonly number[]): number => {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
};

export interface LoadResult {
  readonly requests: number;
  readonly bad: number;
  readonly ms: number;
}

/** Runs a script of this folder to its end; its one line of JSON. */
export const runScript = async <T>(name: string, args: readonly (string | number)[]): Promise<T> => {
  const child = startScript(name, args);
  const timer = setTimeout(() => child.kill("SIGKILL"), CHILD_DEADLINE_MS);
  let text = "";
  child.stdout?.on("data", (part: Buffer) => {
    text += part;
  });
  const [status] = await once(child, "close");
  clearTimeout(timer);
  if (status !== 0) throw new Error(`${name} ended with ${status}: ${text}`);
  return JSON.parse(text) as T;
};

export const startScript = (name: string, args: readonly (string | number)[] = []): ChildProcess =>
  spawn(process.execPath, [join(import.meta.dirname, name), ...args.map(String)], {
    stdio: ["ignore", "pipe", "inherit"],
  });

/** The first line that a child prints, as JSON. */
export const firstLine = async <T>(child: ChildProcess): Promise<T> => {
  let text = "";
  for await (const part of child.stdout ?? []) {
    text += part;
    if (text.includes("\n")) break;
  }
  return JSON.parse(text) as T;
};
