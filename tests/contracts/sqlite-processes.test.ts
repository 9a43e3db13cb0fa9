/** The SQLite store between real processes: writers that are killed, writers that are stopped, one file. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, onTestFinished, test } from "vitest";
import { openSqliteStore, type SqliteStore } from "../../src/adapters/sqlite-store.ts";
import { createSystemClock } from "../../src/adapters/system-clock.ts";
import { kill } from "../harness/processes.ts";
import { acknowledged, lostWrites, startHolder, startWriter, untilAcknowledged } from "../harness/store-writers.ts";
import { waitFor } from "../harness/wait-for.ts";
import { put, record, run, WAIT_MS } from "./store-tools.ts";

const LIVES = 4;
const WRITES_PER_LIFE = 60;

const makeFolder = (): string => {
  const folder = mkdtempSync(join(tmpdir(), "maitred-store-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
};

const open = (path: string): SqliteStore => {
  const store = openSqliteStore({ path, clock: createSystemClock() });
  onTestFinished(() => store.close());
  return store;
};

test("writers killed in the middle of their writes lose none that was acknowledged, and no revision comes twice", async () => {
  const folder = makeFolder();
  const path = join(folder, "store.db");
  const file = join(folder, "acknowledged");
  const store = open(path);
  const watch = record(store, "/");
  await watch.until("the snapshot is there", (events) => events.length === 1);
  const begin = store.facts().revision;

  let newestOfLastLife = begin;
  for (let life = 0; life < LIVES; life += 1) {
    const before = acknowledged(file).length;
    const writers = ["a", "b"].map((name) => startWriter({ path, name, acknowledgements: file }));
    onTestFinished(async () => {
      for (const writer of writers) await writer.end();
    });
    await untilAcknowledged(file, before + WRITES_PER_LIFE);
    for (const writer of writers) await writer.end();

    const ofThisLife = acknowledged(file).slice(before);
    for (const { revision } of ofThisLife) expect(revision).toBeGreaterThan(newestOfLastLife);
    newestOfLastLife = store.facts().revision;
    expect(await lostWrites(store, file)).toEqual([]);
  }

  const revisions = acknowledged(file).map(({ revision }) => revision);
  expect(new Set(revisions).size).toBe(revisions.length);
  await watch.through(newestOfLastLife);
  expect(watch.revisions()).toEqual(Array.from({ length: newestOfLastLife - begin }, (_, index) => begin + 1 + index));

  const check = new DatabaseSync(path, { timeout: 5_000 });
  expect(check.prepare("PRAGMA integrity_check").get()).toEqual({ integrity_check: "ok" });
  check.close();
}, 60_000);

test("a process that is stopped inside its transaction freezes nobody: others read on, and write when it is gone", async () => {
  const path = join(makeFolder(), "store.db");
  const store = open(path);
  const lease = await store.lease(60_000);
  await run(store, put("/a", "before"));
  const holder = await startHolder(path);
  onTestFinished(() => holder.end());
  kill(holder.pid, "SIGSTOP");

  let settled = 0;
  const count = <T>(promise: Promise<T>): Promise<T> => promise.finally(() => (settled += 1));
  const write = count(run(store, put("/a", "after")));
  const renewal = count(lease.keepAlive());
  const other = open(path);
  for (let reads = 0; reads < 200; reads += 1) {
    expect((await other.get("/a"))?.value).toBe("before");
    expect((await store.get("/a"))?.value).toBe("before");
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(settled).toBe(0);

  await holder.end();
  await waitFor("the waiting calls are answered", () => settled === 2, WAIT_MS);
  expect((await write).succeeded).toBe(true);
  expect(await renewal).toBe(true);
  expect((await other.get("/a"))?.value).toBe("after");
}, 30_000);

test("processes that create the store at the same moment make one store", async () => {
  const folder = makeFolder();
  const path = join(folder, "store.db");
  const file = join(folder, "acknowledged");
  const writers = ["a", "b", "c", "d"].map((name) => startWriter({ path, name, acknowledgements: file, count: 5 }));
  onTestFinished(async () => {
    for (const writer of writers) await writer.end();
  });
  await untilAcknowledged(file, 20);
  const store = open(path);
  expect(await lostWrites(store, file)).toEqual([]);
  expect(store.facts().revision).toBe(1 + 20);
}, 30_000);
