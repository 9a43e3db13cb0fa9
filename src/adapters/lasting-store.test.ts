/** A store whose file becomes unusable while it is open, and comes back. What every store promises is in tests/contracts/. */
import { existsSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { waitFor } from "../../tests/harness/wait-for.ts";
import type { ServeError } from "../base/serve-error.ts";
import type { WatchEvent } from "../ports/store.ts";
import { openLastingStore } from "./lasting-store.ts";
import { toStoreError } from "./sqlite/store-errors.ts";
import { openSqliteStore, type SqliteStore, type SqliteStoreOptions } from "./sqlite-store.ts";
import { createSystemClock } from "./system-clock.ts";

const DEADLINE_MS = 5_000;
const CORRUPT = 11;
const FULL = 13;
const clock = createSystemClock();
const UNAVAILABLE = { code: "store-unavailable", message: expect.stringContaining("store.db") };

const makePath = (): string => {
  const folder = mkdtempSync(join(tmpdir(), "maitred-lasting-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return join(folder, "store.db");
};

/** A store on a file that fails as SQLite says, while it says so. */
const onFailingFile = () => {
  const path = makePath();
  const file = { sqliteCode: undefined as number | undefined, opened: 0 };
  const failure = () =>
    toStoreError(Object.assign(new Error("as the test wants it"), { errcode: file.sqliteCode }), path);
  const open = (options: SqliteStoreOptions): SqliteStore => {
    file.opened += 1;
    const store = openSqliteStore(options);
    const fail = ["get", "list", "txn", "lease", "revokeLease"];
    return new Proxy(store, {
      get: (target, name) => {
        const member = target[name as keyof SqliteStore] as (...args: never[]) => unknown;
        return (...args: never[]) =>
          file.sqliteCode !== undefined && fail.includes(String(name))
            ? Promise.reject(failure())
            : member.apply(target, args);
      },
    });
  };
  const store = openLastingStore(open, { path, clock }, "made");
  onTestFinished(() => store.close());
  return { file, store };
};

test("a damaged file that is put back is opened anew; leases can be given back, watches begin again", async () => {
  const { file, store } = onFailingFile();
  const lease = await store.lease(60_000);
  const put = { kind: "put", key: "/a", value: "1", lease: lease.id } as const;
  expect((await store.txn({ compare: [], then: [put] })).succeeded).toBe(true);
  const events: WatchEvent["kind"][] = [];
  const stopped: WatchEvent["kind"][] = [];
  store.watch("/", (event) => events.push(event.kind));
  const watch = store.watch("/", (event) => stopped.push(event.kind));
  await waitFor("the watches have their snapshots", () => events.length + stopped.length === 2, DEADLINE_MS);

  file.sqliteCode = CORRUPT;
  await expect(store.get("/a")).rejects.toMatchObject(UNAVAILABLE);
  watch.stop();
  await expect(lease.keepAlive()).rejects.toMatchObject({ code: "store-unavailable" });
  await expect(lease.revoke()).rejects.toMatchObject(UNAVAILABLE);
  await waitFor("the watch has ended", () => events.length === 2, DEADLINE_MS);
  expect({ events, stopped }).toEqual({ events: ["snapshot", "compacted"], stopped: ["snapshot"] });

  file.sqliteCode = undefined;
  expect(await store.get("/a")).toMatchObject({ value: "1", lease: lease.id });
  await lease.revoke();
  expect(await store.get("/a")).toBeUndefined();
});

test("a full disk is no reason to open the file anew", async () => {
  const { file, store } = onFailingFile();
  await store.get("/a");
  file.sqliteCode = FULL;
  for (let times = 0; times < 3; times += 1) await expect(store.get("/a")).rejects.toMatchObject(UNAVAILABLE);
  file.sqliteCode = undefined;
  await store.get("/a");
  expect(file.opened).toBe(1);
});

test("a file that is moved away takes no writes, is not made anew, and is found again", async () => {
  const path = makePath();
  const errors: string[] = [];
  const onBackgroundError = (error: ServeError) => errors.push(error.message);
  const store = openLastingStore(openSqliteStore, { path, clock, onBackgroundError }, "made");
  onTestFinished(() => store.close());
  const put = (key: string) => store.txn({ compare: [], then: [{ kind: "put", key, value: "1" }] });
  await put("/a");
  renameSync(path, `${path}.away`);
  await expect(put("/b")).rejects.toMatchObject({ ...UNAVAILABLE, retryable: true });
  const events: WatchEvent["kind"][] = [];
  store.watch("/", (event) => events.push(event.kind));
  await expect(store.get("/a")).rejects.toMatchObject({ message: expect.stringMatching(/is gone\. Put it back/) });
  expect(existsSync(path)).toBe(false);
  renameSync(`${path}.away`, path);
  expect((await store.list("/")).entries.map(({ key }) => key)).toEqual(["/a"]);
  await waitFor("the watch that waited has its snapshot", () => events.includes("snapshot"), DEADLINE_MS);

  // Nobody calls: the store looks by itself.
  renameSync(path, `${path}.away`);
  await waitFor("it is noticed", () => errors.some((error) => error.includes("moved away")), DEADLINE_MS);
  await waitFor("the watch has ended", () => events.at(-1) === "compacted", DEADLINE_MS);
  renameSync(`${path}.away`, path);
  await put("/b");
});
