/** What processes cost by the kernel's word (/proc, so Linux), and the statistics of few numbers. */
import { readFileSync } from "node:fs";

/** USER_HZ: the unit of utime and stime; 100 on every Linux that Node runs on. */
const TICK_MICROSECONDS = 10_000;

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

/** The smallest of the values that `share` (0..1) of them do not exceed: of 1 … 100 the 0.99 quantile is 99. */
export const quantile = (values: readonly number[], share: number): number => {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
};
