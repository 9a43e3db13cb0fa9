/**
 * Small files that are either whole or not there: written beside their place, then renamed onto it. Mode 0600.
 * `durably` also survives a power cut: the file and its folder are flushed before the call returns (about 1 ms).
 */
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, unlinkSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { messageOf, ServeError } from "../base/serve-error.ts";

/** Throws `state-unwritable`. */
export function writeWhole(path: string, text: string, how: "durably" | "quickly"): void {
  // The pid keeps two processes that write the same file from sharing the file beside it.
  const beside = `${path}.${process.pid}.tmp`;
  try {
    const fd = openSync(beside, "w", 0o600);
    try {
      writeSync(fd, text);
      if (how === "durably") fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(beside, path);
    if (how === "durably") flushFolder(dirname(path));
  } catch (cause) {
    removeFile(beside);
    const cure = (cause as NodeJS.ErrnoException).code === "ENOSPC" ? " Free some space on its disk." : "";
    throw new ServeError("state-unwritable", `${path} cannot be written: ${messageOf(cause)}.${cure}`, { cause });
  }
}

/** Undefined when there is no such file, or when it is not what `parse` takes. */
export function readWhole<T>(path: string, parse: (text: string) => T): T | undefined {
  try {
    return parse(readFileSync(path, "utf8"));
  } catch {
    return undefined; // absent, unreadable and malformed are one thing to all callers: there is nothing to go by
  }
}

export const readJson = <T>(path: string): T | undefined => readWhole(path, (text) => JSON.parse(text) as T);

/** What is not there is already removed. */
export function removeFile(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (!isAbsence(error)) throw error;
  }
}

/** Makes names in a folder (created, renamed, deleted) durable. */
export function flushFolder(folder: string): void {
  const fd = openSync(folder, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

export const isAbsence = (error: unknown): boolean =>
  (error as NodeJS.ErrnoException | undefined)?.code === "ENOENT" ||
  (error as NodeJS.ErrnoException | undefined)?.code === "ENOTDIR";
