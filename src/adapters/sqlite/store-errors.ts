/**
 * SQLite's result codes as errors of the store. `isBusy` alone means "nothing happened, try again"; every other code ends the call.
 * After `store-unavailable` it is unknown whether a transaction took effect; the other codes mean that it did not.
 */
import { isServeError, messageOf, ServeError } from "../../base/serve-error.ts";

const BUSY = 5;
const LOCKED = 6;
const READONLY = 8;
const IOERR = 10;
const CORRUPT = 11;
const FULL = 13;
const CANTOPEN = 14;
const NOTADB = 26;

/** Somebody else holds the file right now. */
export function isBusy(error: unknown): boolean {
  const code = primaryCode(error);
  return code === BUSY || code === LOCKED;
}

/** The file that is open is not the one at `path` any more: what is written to it would be lost with the last connection. */
export const movedError = (path: string): ServeError =>
  new ServeError(
    "store-unavailable",
    `The store ${path} was moved away or replaced while it was open. Put it back, or restore it from a backup.`,
    { retryable: true, details: { path, sqliteCode: CANTOPEN } },
  );

/** Whether only new connections can help: what is full, fails to be written or is held by somebody passes by itself, and can be read. */
export function isFileLost(error: unknown): boolean {
  const code = isServeError(error) && error.code === "store-unavailable" ? error.details["sqliteCode"] : undefined;
  return typeof code === "number" && ![FULL, IOERR, BUSY, LOCKED].includes(code);
}

/** What a caller of the store sees of anything that was thrown while it worked on the file at `path`. */
export function toStoreError(thrown: unknown, path: string): ServeError {
  if (isServeError(thrown)) return thrown;
  const code = primaryCode(thrown);
  // A bug of ours must not pass for an outage.
  if (code === undefined) return new ServeError("internal", messageOf(thrown), { cause: thrown });

  const options = { cause: thrown, details: { path, sqliteCode: code } };
  const unavailable = (sentence: string, retryable: boolean) =>
    new ServeError("store-unavailable", `The store ${path} ${sentence}`, { ...options, retryable });
  switch (code) {
    case READONLY:
      return unavailable("cannot be written any more. Make the file, its folder and its disk writable.", true);
    case BUSY:
    case LOCKED:
      return unavailable("is held by another process that does not let go. Look for a stopped maitred process.", true);
    case FULL:
      return unavailable("cannot grow: the disk is full. Free some space.", true);
    case CANTOPEN:
      return unavailable("cannot be opened. Check that it is a file this user may read and write.", true);
    case CORRUPT:
    case NOTADB:
      return unavailable(
        "is damaged or not a maitred store. Restore it from a backup, or move it away to start anew.",
        false,
      );
    default:
      return unavailable(`cannot be used: ${messageOf(thrown)}. Check the disk it is on.`, true);
  }
}

/** The low byte of SQLite's extended result code; undefined for anything that SQLite did not throw. */
function primaryCode(error: unknown): number | undefined {
  if (typeof error !== "object" || error === null || !("errcode" in error)) return undefined;
  return typeof error.errcode === "number" ? error.errcode & 0xff : undefined;
}
