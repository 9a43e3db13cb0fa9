/**
 * Connections to the store's file: opening, the schema, and the two ways to run statements together.
 * A `durable` connection syncs every commit (synchronous=FULL). A `fast` one syncs only at checkpoints (NORMAL), for what may
 * be lost with the machine: its commits are in the write-ahead log before those of durable connections that follow, so a
 * durable commit makes them durable too, and a power cut can only take the newest of them.
 * Opening may block for STORE_OPEN_TIMEOUT_MS; after that no call blocks longer than STORE_BUSY_TIMEOUT_MS on another process.
 * The file is never opened by other means in this process: closing it would drop SQLite's locks.
 */
import { accessSync, closeSync, constants, openSync, type Stats, statSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { ServeError } from "../../base/serve-error.ts";
import { STORE_BUSY_TIMEOUT_MS, STORE_OPEN_TIMEOUT_MS, STORE_WAL_BYTES } from "../../model/store-limits.ts";
import type { Clock } from "../../ports/clock.ts";
import { isBusy, toStoreError } from "./store-errors.ts";

/** "mtrd": tells our files from other programs' databases. */
const APPLICATION_ID = 0x6d_74_72_64;
export const SCHEMA_VERSION = 1;
/** Pause between two attempts to open. */
const OPEN_RETRY_MS = 5;

/**
 * `log` holds one row for each revision, oldest to newest without a gap, and never becomes empty: its newest row is the
 * revision of the store. `bytes_before` counts the bytes of all earlier rows ever, so that a difference of two is a size.
 */
const SCHEMA = `
  CREATE TABLE entries (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    value TEXT NOT NULL,
    create_revision INTEGER NOT NULL,
    mod_revision INTEGER NOT NULL,
    version INTEGER NOT NULL,
    lease TEXT
  ) STRICT;
  CREATE INDEX entries_by_lease ON entries (lease) WHERE lease IS NOT NULL;
  CREATE TABLE log (
    revision INTEGER PRIMARY KEY,
    bytes_before INTEGER NOT NULL,
    changes TEXT NOT NULL
  ) STRICT;
  CREATE TABLE leases (
    id TEXT PRIMARY KEY NOT NULL,
    boot TEXT NOT NULL,
    expires_ms REAL NOT NULL
  ) STRICT;
  INSERT INTO log (revision, bytes_before, changes) VALUES (1, 0, '[]');
  PRAGMA application_id = ${APPLICATION_ID};
  PRAGMA user_version = ${SCHEMA_VERSION};
`;

export interface Connection {
  readonly db: DatabaseSync;
  /** Runs `work` in one write transaction: all of it or nothing. The write lock is taken first, so `work` never fails as busy. */
  write<T>(work: () => T): T;
  /** Runs `work` on one state of the store. */
  read<T>(work: () => T): T;
  /** Another number after each commit of any other connection, in this process or another. */
  dataVersion(): number;
}

export interface Connections {
  readonly durable: Connection;
  readonly fast: Connection;
  close(): void;
}

/** Opens the file at `path`, creating it when it is not there. Throws a `ServeError` that names the file. */
export function openConnections(path: string, clock: Clock): Connections {
  checkPlace(path);
  const giveUpAt = clock.now() + STORE_OPEN_TIMEOUT_MS;
  for (;;) {
    try {
      return tryOpen(path);
    } catch (error) {
      if (!isBusy(error) || clock.now() >= giveUpAt) throw toStoreError(error, path);
      // Switching to the write-ahead log answers busy without waiting, so the wait is here.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, OPEN_RETRY_MS);
    }
  }
}

function tryOpen(path: string): Connections {
  const opened: DatabaseSync[] = [];
  const open = (synchronous: "FULL" | "NORMAL") => {
    const db = new DatabaseSync(path, { timeout: STORE_BUSY_TIMEOUT_MS });
    opened.push(db);
    db.exec(`PRAGMA synchronous = ${synchronous}; PRAGMA journal_size_limit = ${STORE_WAL_BYTES}`);
    // Without it fsync on macOS returns before the disk has the bytes; elsewhere it means nothing.
    db.exec("PRAGMA fullfsync = ON; PRAGMA checkpoint_fullfsync = ON");
    return db;
  };
  const close = () => {
    for (const db of opened) db.close();
  };
  try {
    createPrivately(path);
    const db = open("FULL");
    const durable = connection(db);
    if (!hasSchema(db, path)) createSchema(durable, path);
    return { durable, fast: connection(open("NORMAL")), close };
  } catch (error) {
    close();
    throw error;
  }
}

/** SQLite would make a file that everybody may read, and the environment of backends is in it. Its other files get the same mode. */
function createPrivately(path: string): void {
  try {
    closeSync(openSync(path, "wx", 0o600));
  } catch (error) {
    // There already, or not to be made: opening it says which.
    if (!["EEXIST", "EACCES", "EROFS", "ENOSPC"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
  }
}

function connection(db: DatabaseSync): Connection {
  const begin = db.prepare("BEGIN");
  const beginImmediate = db.prepare("BEGIN IMMEDIATE");
  const commit = db.prepare("COMMIT");
  const run = <T>(first: typeof begin, work: () => T): T => {
    first.run();
    try {
      const result = work();
      commit.run();
      return result;
    } catch (error) {
      // SQLite has rolled back by itself after some errors, such as a full disk.
      if (db.isTransaction) db.exec("ROLLBACK");
      throw error;
    }
  };
  const dataVersion = db.prepare("PRAGMA data_version");
  return {
    db,
    write: (work) => run(beginImmediate, work),
    read: (work) => run(begin, work),
    dataVersion: () => Number(dataVersion.get()?.["data_version"]),
  };
}

/** Whether the file is a store of ours; false when it is new and empty. */
function hasSchema(db: DatabaseSync, path: string): boolean {
  const version = pragma(db, "user_version");
  const applicationId = pragma(db, "application_id");
  if (applicationId === APPLICATION_ID) {
    if (version <= SCHEMA_VERSION) return true;
    throw new ServeError(
      "schema-newer",
      `The store ${path} was written by a newer maitred (schema ${version}, this one knows ${SCHEMA_VERSION}). Run that version, or use another state folder.`,
      { details: { path, schemaVersion: version, knownSchemaVersion: SCHEMA_VERSION } },
    );
  }
  const tables = db.prepare("SELECT count(*) AS n FROM sqlite_schema").get()?.["n"];
  if (applicationId === 0 && version === 0 && tables === 0) return false;
  throw new ServeError(
    "store-unavailable",
    `The file ${path} is another program's database. Use another state folder.`,
    { details: { path } },
  );
}

function createSchema({ db, write }: Connection, path: string): void {
  const mode = db.prepare("PRAGMA journal_mode = WAL").get()?.["journal_mode"];
  if (mode !== "wal") {
    throw new ServeError(
      "store-unavailable",
      `The store ${path} is on a file system that processes cannot share memory on (a network file system?). Use a state folder on a local disk.`,
      { details: { path, journalMode: mode } },
    );
  }
  write(() => {
    // Another process may have been faster.
    if (!hasSchema(db, path)) db.exec(SCHEMA);
  });
}

/** SQLite says "unable to open database file" to everything; people need to know what to repair. */
function checkPlace(path: string): void {
  const folder = dirname(path);
  if (statOf(folder)?.isDirectory() !== true) {
    throw unwritable(`The state folder ${folder} does not exist. Create it, or name another.`, path);
  }
  if (!may(folder, constants.W_OK | constants.X_OK)) {
    throw unwritable(
      `The state folder ${folder} cannot be written. Make it writable for this user, or name another.`,
      path,
    );
  }
  const file = statOf(path);
  if (file === undefined) return;
  if (!file.isFile() || !may(path, constants.R_OK)) {
    throw new ServeError(
      "store-unavailable",
      `The store ${path} cannot be read: it ${file.isFile() ? "is closed to this user" : "is not a file"}. Repair that, or use another state folder.`,
      { details: { path } },
    );
  }
  if (!may(path, constants.W_OK)) {
    throw unwritable(`The store ${path} cannot be written. Make the file writable for this user.`, path);
  }
}

const unwritable = (sentence: string, path: string) =>
  new ServeError("state-unwritable", sentence, { details: { path } });

/** Undefined also when the way there is closed: the folder above is then not usable either. */
function statOf(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch {
    return undefined;
  }
}

function may(path: string, mode: number): boolean {
  try {
    accessSync(path, mode);
    return true;
  } catch {
    return false;
  }
}

/** The number that a PRAGMA answers. */
export function pragma(db: DatabaseSync, name: string): number {
  return Number(db.prepare(`PRAGMA ${name}`).get()?.[name]);
}
