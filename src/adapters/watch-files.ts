/**
 * Waits for files to change by looking at them again and again: that works on every file system, for editors that write in place and
 * for those that put a new file in the old one's place. Costs one `stat` of each file at each look.
 */
import { stat } from "node:fs/promises";
import { setTimeout as pause } from "node:timers/promises";
import { WATCH_INTERVAL_MS, WATCH_SETTLE_MS } from "../model/code-limits.ts";

/** Resolves when one of them was written after `since` (a timestamp), has come or gone, and all rest; or at the signal. */
export const untilChanged = async (files: readonly string[], since: number, signal: AbortSignal): Promise<void> => {
  const first = await look(files);
  let last = first;
  const isChanged = () => first.some(({ writtenAt }) => writtenAt > since) || !isSame(first, last);
  while (!isChanged()) {
    if (!(await waits(signal))) return;
    last = await look(files);
  }
  for (const deadline = Date.now() + WATCH_SETTLE_MS; Date.now() < deadline; ) {
    if (!(await waits(signal))) return;
    const now = await look(files);
    if (isSame(now, last)) return;
    last = now;
  }
};

interface Seen {
  /** 0: there is no such file. */
  readonly writtenAt: number;
  readonly size: number;
}

const look = (files: readonly string[]): Promise<readonly Seen[]> =>
  Promise.all(
    files.map(async (path) => {
      try {
        const { mtimeMs, size } = await stat(path);
        return { writtenAt: mtimeMs, size };
      } catch {
        return { writtenAt: 0, size: 0 }; // gone, or about to be put back
      }
    }),
  );

const isSame = (a: readonly Seen[], b: readonly Seen[]): boolean =>
  a.every(({ writtenAt, size }, index) => b[index]?.writtenAt === writtenAt && b[index].size === size);

/** false: the signal has come. */
const waits = async (signal: AbortSignal): Promise<boolean> => {
  await pause(WATCH_INTERVAL_MS, undefined, { signal }).catch(() => {}); // the signal is asked for below
  return !signal.aborted;
};
