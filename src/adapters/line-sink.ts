/**
 * Writes lines to a file descriptor, at once and in order, and never throws: a reader that has gone (EPIPE), a terminal that was
 * closed (EIO) or a full disk must not end a process that serves. Lines that cannot be written are counted, and the first one
 * that can is preceded by a line that tells the count.
 */
import { writeSync } from "node:fs";
import { LOG_WRITE_WAIT_MS } from "../model/limits.ts";

export interface LineSink {
  /** @param line ends with a newline. */
  write(line: string): void;
}

/** @param droppedLine the line, with its newline, that says that `count` lines are missing. */
export function createLineSink(fd: number, droppedLine: (count: number) => string): LineSink {
  let dropped = 0;
  /** A part of a line stands at the end of the output. */
  let torn = false;

  const tryWrite = (line: string, waitMs: number): boolean => {
    const { written, bytes } = writeAll(fd, Buffer.from(torn ? `\n${line}` : line), waitMs);
    if (written > 0) torn = written < bytes;
    return written === bytes;
  };

  return {
    write(line) {
      // One wait for each stoppage, not for each line.
      const waitMs = dropped === 0 ? LOG_WRITE_WAIT_MS : 0;
      // With the line, not before it: a short notice may find room in a full pipe again and again.
      const text = dropped === 0 ? line : droppedLine(dropped) + line;
      dropped = tryWrite(text, waitMs) ? 0 : dropped + 1;
    },
  };
}

function writeAll(fd: number, data: Buffer, waitMs: number): { readonly written: number; readonly bytes: number } {
  let written = 0;
  let waitedMs = 0;
  while (written < data.length) {
    try {
      written += writeSync(fd, data, written);
    } catch (error) {
      if (!isFull(error) || waitedMs >= waitMs) break;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
      waitedMs += 1;
    }
  }
  return { written, bytes: data.length };
}

const isFull = (error: unknown): boolean => error instanceof Error && "code" in error && error.code === "EAGAIN";
