/**
 * The agent's lock: an exclusive SQLite transaction on `<run>/agent.lock`, never committed. The kernel holds it for the process
 * (POSIX record locks): nobody else gets it while the holder is stopped, everybody may the moment it is killed. Children do not inherit it.
 * Nothing in the holder may open and close this file by other means: that would drop the lock.
 */
import { closeSync, openSync, rmdirSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { messageOf, ServeError } from "../base/serve-error.ts";
import { LOCK_WAIT_MS } from "../model/limits.ts";
import type { NodeLock } from "../ports/node-lock.ts";
import { removeFile } from "./whole-files.ts";

/** Undefined = somebody else holds it. Blocks up to LOCK_WAIT_MS, for a prober to let go. */
export function tryAcquireLock(path: string): NodeLock | undefined {
  const wanted = createAndIdentify(path);
  const database = open(path);
  try {
    database.exec("BEGIN EXCLUSIVE");
  } catch (error) {
    database.close();
    if (isBusy(error)) return undefined;
    throw unusable(path, error);
  }
  const lock = new HeldLock(path, database, wanted);
  if (lock.isOurs()) return lock;
  // The last holder removed the file between our look and our lock: what we hold is a file that nobody else will find.
  database.close();
  return tryAcquireLock(path);
}

/** Whether a living process holds it. Takes nothing away from anybody for longer than a moment. */
export function isLockHeld(path: string): boolean {
  const found = identify(path);
  if (found === undefined) return false;
  try {
    return isBusyFor(path);
  } catch (cause) {
    // The last holder removed it since we looked, perhaps with its folder.
    if (identify(path) !== found) return isLockHeld(path);
    throw unusable(path, cause);
  }
}

const isBusyFor = (path: string): boolean => {
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    database.exec("BEGIN; SELECT 1 FROM sqlite_schema; ROLLBACK");
    return false;
  } catch (error) {
    if (isBusy(error)) return true;
    throw error;
  } finally {
    database.close();
  }
};

class HeldLock implements NodeLock {
  readonly #path: string;
  readonly #database: DatabaseSync;
  readonly #identity: string;

  constructor(path: string, database: DatabaseSync, identity: string) {
    this.#path = path;
    this.#database = database;
    this.#identity = identity;
  }

  isOurs(): boolean {
    return identify(this.#path) === this.#identity;
  }

  removeAndRelease(): void {
    if (this.isOurs()) {
      removeFile(this.#path);
      removeFile(`${this.#path}-journal`);
      try {
        rmdirSync(dirname(this.#path));
      } catch {
        // somebody has put something there since, a next agent for one: then it is theirs
      }
    }
    this.#database.close();
  }
}

const open = (path: string): DatabaseSync => {
  try {
    return new DatabaseSync(path, { timeout: LOCK_WAIT_MS });
  } catch (cause) {
    throw unusable(path, cause);
  }
};

/** Opens the file only when it is not there, so before anybody of this process can hold a lock on it. */
const createAndIdentify = (path: string): string => {
  try {
    const found = identify(path);
    if (found !== undefined) return found;
    closeSync(openSync(path, "a", 0o600));
    return identify(path) ?? createAndIdentify(path);
  } catch (cause) {
    throw unusable(path, cause);
  }
};

const identify = (path: string): string | undefined => {
  const found = statSync(path, { throwIfNoEntry: false });
  return found === undefined ? undefined : `${found.dev}:${found.ino}`;
};

/** SQLite's own number: SQLITE_BUSY is 5, in the low byte of its extended codes. */
const isBusy = (error: unknown): boolean => (((error as { errcode?: number }).errcode ?? 0) & 0xff) === 5;

const unusable = (path: string, cause: unknown): ServeError =>
  new ServeError("state-unwritable", `${path} cannot be locked: ${messageOf(cause)}.`, { cause });
