/** What the SQLite store promises beyond the contract (tests/contracts/), in one process: bounds, bad files, leases of other boots. */
import {
  chmodSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, onTestFinished, test } from "vitest";
import { isServeError, type ServeError } from "../base/serve-error.ts";
import { MAX_LOG_BYTES, MAX_LOG_REVISIONS } from "../model/store-limits.ts";
import type { Clock } from "../ports/clock.ts";
import type { Op, WatchEvent } from "../ports/store.ts";
import { openSqliteStore, type SqliteStore } from "./sqlite-store.ts";
import { createSystemClock } from "./system-clock.ts";

const clock = createSystemClock();

/** No timer ever fires: neither poll nor retry. */
const stoppedClock: Clock = { ...clock, after: () => ({ cancel: () => {} }) };

const makeFolder = (parent = tmpdir()): string => {
  const folder = mkdtempSync(join(parent, "maitred-sqlite-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
};

interface Opening {
  readonly path: string;
  readonly clock?: Clock;
  readonly onCommit?: () => void;
}

const open = (options: Opening): SqliteStore => {
  const store = openSqliteStore({ clock, ...options });
  onTestFinished(() => store.close());
  return store;
};

/** Another hand on the file. */
const raw = (path: string): DatabaseSync => {
  const db = new DatabaseSync(path, { timeout: 5_000 });
  onTestFinished(() => {
    if (db.isOpen) db.close();
  });
  return db;
};

const put = (key: string, value: string): Op => ({ kind: "put", key, value });
const run = (store: SqliteStore, ...then: readonly Op[]) => store.txn({ compare: [], then });

const errorOf = (action: () => unknown): ServeError => {
  try {
    action();
  } catch (error) {
    if (isServeError(error)) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
};

const rejection = async (promise: Promise<unknown>): Promise<ServeError> => {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (isServeError(error)) return error;
  throw new Error("no ServeError was thrown", { cause: error });
};

const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

test("commits are synced before they are answered: write-ahead log, synchronous=FULL", async () => {
  const store = open({ path: join(makeFolder(), "store.db") });
  expect(store.facts()).toMatchObject({ journalMode: "wal", synchronous: 2, schemaVersion: 1 });
});

test("what was written is there when the file is opened again, and revisions go on", async () => {
  const path = join(makeFolder(), "store.db");
  const first = open({ path });
  const { revision } = await run(first, put("/a", "1"));
  await first.close();
  const second = open({ path });
  expect(await second.get("/a")).toMatchObject({ value: "1", modRevision: revision });
  expect((await run(second, put("/a", "2"))).revision).toBe(revision + 1);
});

test("the log is pruned to its bound of revisions by the transactions that write it", async () => {
  // In memory where there is such a file system: syncing is not what this is about.
  const shm = statSync("/dev/shm", { throwIfNoEntry: false });
  const store = open({ path: join(makeFolder(shm === undefined ? tmpdir() : "/dev/shm"), "store.db") });
  const { revision: first } = await run(store, put("/a", "0"));
  for (let n = 1; n <= MAX_LOG_REVISIONS + 20; n += 1) await run(store, put("/a", String(n)));
  const { revision, oldestRevision } = store.facts();
  expect(revision).toBe(first + MAX_LOG_REVISIONS + 20);
  expect(oldestRevision).toBe(revision - MAX_LOG_REVISIONS + 1);

  const events: WatchEvent[] = [];
  store.watch("/", (event) => events.push(event), { fromRevision: oldestRevision });
  store.watch("/", (event) => events.push(event), { fromRevision: oldestRevision - 1 });
  while (events.length < MAX_LOG_REVISIONS + 1) await nextTurn();
  expect(events.filter((event) => event.kind === "compacted")).toEqual([{ kind: "compacted", oldestRevision }]);
  const seen = events.flatMap((event) => (event.kind === "changes" ? [event.revision] : []));
  expect(seen).toEqual(Array.from({ length: MAX_LOG_REVISIONS }, (_, index) => oldestRevision + index));
});

test("the log is pruned to its bound of bytes when values are large", async () => {
  const shm = statSync("/dev/shm", { throwIfNoEntry: false });
  const store = open({ path: join(makeFolder(shm === undefined ? tmpdir() : "/dev/shm"), "store.db") });
  const bytes = 950_000;
  const value = "x".repeat(bytes);
  const rounds = Math.ceil(MAX_LOG_BYTES / bytes) + 5;
  for (let n = 0; n < rounds; n += 1) await run(store, put("/a", value));
  const { revision, oldestRevision, fileBytes } = store.facts();
  expect(revision - oldestRevision + 1).toBe(Math.floor(MAX_LOG_BYTES / (bytes + 20)));
  expect(fileBytes).toBeLessThan(MAX_LOG_BYTES * 1.2);
});

test("one commit is announced once, and only a commit that made a revision", async () => {
  let announced = 0;
  const store = open({
    path: join(makeFolder(), "store.db"),
    onCommit: () => {
      announced += 1;
    },
  });
  await run(store, { kind: "get", key: "/a" }, { kind: "delete", key: "/none" });
  const lease = await store.lease(60_000);
  await lease.keepAlive();
  await nextTurn();
  expect(announced).toBe(0);
  await run(store, { kind: "put", key: "/a", value: "1", lease: lease.id });
  await nextTurn();
  expect(announced).toBe(1);
  await lease.revoke();
  await nextTurn();
  expect(announced).toBe(2);
});

test("watches hear of own commits at once and of others' when nudged, without any timer", async () => {
  const path = join(makeFolder(), "store.db");
  const [store, other] = [open({ path, clock: stoppedClock }), open({ path, clock: stoppedClock })];
  const events: WatchEvent[] = [];
  store.watch("/", (event) => events.push(event), { fromRevision: 2 });
  await run(store, put("/a", "own"));
  while (events.length < 1) await nextTurn();
  await run(other, put("/a", "other's"));
  store.nudge();
  while (events.length < 2) await nextTurn();
  expect(events.map((event) => event.kind === "changes" && event.revision)).toEqual([2, 3]);
});

test("a lease that has run out cannot be renewed, also before anybody has swept it", async () => {
  const store = open({ path: join(makeFolder(), "store.db"), clock: stoppedClock });
  const lease = await store.lease(20);
  while (clock.now() <= lease.deadline() + 5) await nextTurn();
  expect(await lease.keepAlive()).toBe(false);
  expect(lease.deadline()).toBeLessThan(clock.now());
});

test("keys of a lease that has run out count in no compare, before anybody has swept", async () => {
  const path = join(makeFolder(), "store.db");
  const store = open({ path, clock: stoppedClock });
  const lease = await store.lease(30);
  await run(store, { kind: "put", key: "/leader", value: "old", lease: lease.id });
  const compare = [{ kind: "absent", key: "/leader" } as const];
  const tooEarly = await store.txn({ compare, then: [put("/leader", "new")] });
  expect([tooEarly.succeeded, clock.now() < lease.deadline()]).not.toEqual([true, true]);

  while (clock.now() <= lease.deadline() + 5) await nextTurn();
  expect(await store.get("/leader")).toMatchObject({ value: "old" });
  const { succeeded, revision } = await store.txn({ compare, then: [put("/leader", "new")] });
  expect(succeeded).toBe(true);
  // The end of the lease is a revision of its own, before the one that took over.
  const events: WatchEvent[] = [];
  store.watch("/", (event) => events.push(event), { fromRevision: revision - 1 });
  while (events.length < 2) await nextTurn();
  expect(events).toMatchObject([
    { revision: revision - 1, changes: [{ kind: "delete", key: "/leader" }] },
    { revision, changes: [{ kind: "put", entry: { value: "new", version: 1, createRevision: revision } }] },
  ]);
});

test("a lease of another boot has run out, whatever its instant says", async () => {
  const path = join(makeFolder(), "store.db");
  const store = open({ path, clock: stoppedClock });
  const lease = await store.lease(60_000);
  await run(store, { kind: "put", key: "/leader", value: "old", lease: lease.id });
  raw(path).exec("UPDATE leases SET boot = 'another'");
  expect(await lease.keepAlive()).toBe(false);
  const { succeeded } = await store.txn({ compare: [{ kind: "absent", key: "/leader" }], then: [] });
  expect(succeeded).toBe(true);
  expect(await store.get("/leader")).toBeUndefined();
});

test("a writer that holds the file blocks nobody: others wait without blocking and then go on, in order", async () => {
  const path = join(makeFolder(), "store.db");
  const store = open({ path });
  await run(store, put("/a", "0"));
  const holder = raw(path);
  holder.exec("BEGIN IMMEDIATE");

  let turns = 0;
  let waiting = true;
  const spin = () => {
    turns += 1;
    if (waiting) setImmediate(spin);
  };
  setImmediate(spin);
  const writes = ["1", "2", "3"].map((value) => run(store, put("/a", value)));
  const renewal = store.lease(60_000);
  // Reads do not wait for a writer.
  expect(await store.get("/a")).toMatchObject({ value: "0" });
  expect((await store.list("/")).entries).toHaveLength(1);
  const before = turns;
  const beginning = clock.now();
  while (clock.now() - beginning < 200) await nextTurn();
  expect(turns).toBeGreaterThan(before + 20);
  holder.exec("ROLLBACK");
  const revisions = (await Promise.all(writes)).map((result) => result.revision);
  waiting = false;
  expect(revisions).toEqual([...revisions].sort((a, b) => a - b));
  expect(await store.get("/a")).toMatchObject({ value: "3" });
  expect((await renewal).deadline()).toBeGreaterThan(clock.now());
});

test("calls that wait for the file when the store is closed are rejected", async () => {
  const path = join(makeFolder(), "store.db");
  const store = open({ path });
  const holder = raw(path);
  holder.exec("BEGIN IMMEDIATE");
  const waiting = rejection(run(store, put("/a", "1")));
  await store.close();
  expect(await waiting).toMatchObject({ code: "store-unavailable" });
  holder.exec("ROLLBACK");
  expect(await open({ path }).get("/a")).toBeUndefined();
});

test("a writer that never lets go is an outage in the end, said with the file's name", async () => {
  const path = join(makeFolder(), "store.db");
  // Retries come at once, so that the whole patience of ten seconds is spent in a moment.
  const hasty: Clock = { ...clock, after: (_delay, callback) => clock.after(0, callback) };
  const store = open({ path, clock: hasty });
  const holder = raw(path);
  holder.exec("BEGIN IMMEDIATE");
  const error = await rejection(run(store, put("/a", "1")));
  expect(error).toMatchObject({ code: "store-unavailable", retryable: true });
  expect(error.message).toContain(path);
  holder.exec("ROLLBACK");
  expect((await run(store, put("/a", "2"))).succeeded).toBe(true);
}, 30_000);

test("a prefix is read as a range of an index, never by looking at every key", () => {
  const path = join(makeFolder(), "store.db");
  open({ path });
  const plan = raw(path).prepare("EXPLAIN QUERY PLAN SELECT key FROM entries WHERE key >= ? AND key < ? ORDER BY key");
  expect(plan.all("a", "b").map((row) => row["detail"])).toEqual([
    expect.stringMatching(/^SEARCH entries USING COVERING INDEX \S+ \(key>\? AND key<\?\)$/),
  ]);
});

test.each([
  { name: "is missing", make: (folder: string) => join(folder, "none", "store.db") },
  {
    name: "is a file",
    make: (folder: string) => {
      writeFileSync(join(folder, "file"), "");
      return join(folder, "file", "store.db");
    },
  },
])("a state folder that $name is refused with its name", ({ make }) => {
  const folder = makeFolder();
  const path = make(folder);
  const error = errorOf(() => openSqliteStore({ path, clock }));
  expect(error.code).toBe("state-unwritable");
  expect(error.message).toContain(join(path, ".."));
});

// The kernel lets root write everywhere but on read-only file systems; /proc is one of a kind for everybody.
test("its files are the user's alone: the environment of backends is in them", async () => {
  const path = join(makeFolder(), "store.db");
  await run(open({ path }), put("/a", "1"));
  for (const file of [path, `${path}-wal`, `${path}-shm`]) expect(statSync(file).mode & 0o777).toBe(0o600);
});

test("a state folder that cannot be written is refused with its name", () => {
  const folder = process.getuid?.() === 0 ? "/proc/self" : makeFolder();
  if (folder !== "/proc/self") chmodSync(folder, 0o500);
  const error = errorOf(() => openSqliteStore({ path: join(folder, "store.db"), clock }));
  expect(error.code).toBe("state-unwritable");
  expect(error.message).toContain(folder);
});

test("a folder in the store's place is refused with its name", () => {
  const path = join(makeFolder(), "store.db");
  mkdirSync(path);
  const error = errorOf(() => openSqliteStore({ path, clock }));
  expect(error.code).toBe("store-unavailable");
  expect(error.message).toContain(path);
});

test.each([
  {
    name: "text",
    content: "this is not a database, and it is long enough to have a header of a hundred bytes\n".repeat(50),
  },
  { name: "a few bytes", content: "hello" },
])("a file that holds $name is refused with its name and left as it is", ({ content }) => {
  const path = join(makeFolder(), "store.db");
  writeFileSync(path, content);
  const error = errorOf(() => openSqliteStore({ path, clock }));
  expect(error).toMatchObject({ code: "store-unavailable", retryable: false });
  expect(error.message).toContain(path);
  expect(statSync(path).size).toBe(content.length);
});

test("another program's database is refused and left as it is", () => {
  const path = join(makeFolder(), "store.db");
  const db = raw(path);
  db.exec("CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)");
  const error = errorOf(() => openSqliteStore({ path, clock }));
  expect(error).toMatchObject({ code: "store-unavailable" });
  expect(error.message).toContain(path);
  expect(db.prepare("SELECT name FROM sqlite_schema").all()).toHaveLength(1);
  expect(db.prepare("PRAGMA journal_mode").get()).toEqual({ journal_mode: "delete" });
});

test("a store of a newer schema is refused with both numbers and left as it is", async () => {
  const path = join(makeFolder(), "store.db");
  const store = open({ path });
  await run(store, put("/a", "1"));
  await store.close();
  const db = raw(path);
  db.exec("PRAGMA user_version = 7");
  const error = errorOf(() => openSqliteStore({ path, clock }));
  expect(error).toMatchObject({ code: "schema-newer", details: { path, schemaVersion: 7, knownSchemaVersion: 1 } });
  expect(error.message).toContain(path);
  expect(db.prepare("PRAGMA user_version").get()).toEqual({ user_version: 7 });
});

test("a store whose pages are damaged answers with the file's name, and is not taken for an empty one", async () => {
  const path = join(makeFolder(), "store.db");
  const store = open({ path });
  for (let n = 0; n < 60; n += 1) await run(store, put(`/a/${n}`, "x".repeat(2_000)));
  await store.close();
  const fd = openSync(path, "r+");
  writeSync(fd, Buffer.alloc(statSync(path).size - 4_096, 0x5a), 0, undefined, 4_096);
  closeSync(fd);
  const failed = await Promise.resolve()
    .then(() => open({ path }))
    .then((damaged) => rejection(damaged.list("/a/")))
    .catch((error: unknown) => error as ServeError);
  expect(failed.code).toBe("store-unavailable");
  expect(failed.message).toContain(path);
});
