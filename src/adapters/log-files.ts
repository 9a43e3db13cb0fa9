/**
 * Reads the log files of an instance, one a process: what is there, oldest first, then new lines as they come.
 * A line of ours is JSON with `time`; lines of user code belong to the time of the line before them. Files are copy-truncated by the
 * agent: a file that shrank is read from its start again.
 */
import { open, readdir } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { LOG_FOLLOW_INTERVAL_MS, LOG_READ_BYTES } from "../model/limits.ts";

export interface LogQuery {
  readonly folder: string;
  /** Backend tag or process name; undefined = all. */
  readonly of: string | undefined;
  /** Only lines of the last that many milliseconds. */
  readonly sinceMs: number | undefined;
  readonly follow: boolean;
  readonly signal: AbortSignal;
}

interface Line {
  readonly process: string;
  readonly time: number;
  readonly text: string;
}

interface Position {
  readonly process: string;
  offset: number;
  /** The end of what was read when it was no whole line. */
  partial: string;
  time: number;
}

export const readLogs = async (query: LogQuery, onLine: (line: string) => void): Promise<void> => {
  const positions = new Map<string, Position>();
  const oldest = query.sinceMs === undefined ? 0 : Date.now() - query.sinceMs;
  do {
    const lines: Line[] = [];
    for (const file of await filesOf(query))
      lines.push(...(await newLines(`${query.folder}/${file}`, positions, processOf(file))));
    lines.sort((a, b) => a.time - b.time);
    for (const line of lines) if (line.time >= oldest) onLine(`${line.process} | ${line.text}`);
    if (query.follow) await sleep(LOG_FOLLOW_INTERVAL_MS, undefined, { signal: query.signal }).catch(() => {}); // ended by the signal
  } while (query.follow && !query.signal.aborted);
};

/** The processes that have a log file in the folder: all, or those that `of` means. */
export const processesWithLogs = async (query: Pick<LogQuery, "folder" | "of">): Promise<readonly string[]> =>
  (await filesOf(query)).map(processOf);

const filesOf = async (query: Pick<LogQuery, "folder" | "of">): Promise<readonly string[]> => {
  const names = await readdir(query.folder).catch(() => []); // a folder that is not there has no lines
  return names.filter((name) => name.endsWith(".log") && isOf(processOf(name), query.of));
};

const isOf = (process: string, of: string | undefined): boolean =>
  of === undefined || process === of || process.startsWith(`${of}#`);

const processOf = (file: string): string => decodeURIComponent(file.replace(/\.log$/, ""));

const newLines = async (path: string, positions: Map<string, Position>, process: string): Promise<readonly Line[]> => {
  const file = await open(path).catch(() => undefined); // removed meanwhile
  if (file === undefined) return [];
  try {
    const { size } = await file.stat();
    const position = positions.get(path) ?? {
      process,
      offset: Math.max(0, size - LOG_READ_BYTES),
      partial: "",
      time: 0,
    };
    positions.set(path, position);
    if (size < position.offset) position.offset = 0;
    const bytes = Buffer.alloc(Math.min(size - position.offset, LOG_READ_BYTES));
    const { bytesRead } = await file.read(bytes, 0, bytes.length, position.offset);
    position.offset += bytesRead;
    const texts = (position.partial + bytes.toString("utf8", 0, bytesRead)).split("\n");
    position.partial = texts.pop() ?? "";
    return texts
      .filter((text) => text !== "")
      .map((text) => {
        position.time = timeOf(text) ?? position.time;
        return { process, time: position.time, text };
      });
  } finally {
    await file.close();
  }
};

const timeOf = (text: string): number | undefined => {
  const found = /^\{.*?"time":"([^"]+)"/.exec(text)?.[1];
  const time = found === undefined ? Number.NaN : Date.parse(found);
  return Number.isNaN(time) ? undefined : time;
};
