/**
 * The SQLite store on a disk that is full: a small tmpfs where this user may mount one, else a limit on the size of files (which
 * the kernel answers with another error, and cannot be lifted again). The test's name says which.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, onTestFinished, test } from "vitest";
import { openSqliteStore } from "../../src/adapters/sqlite-store.ts";
import { createSystemClock } from "../../src/adapters/system-clock.ts";
import type { FillerOptions, FillerResult } from "../fixtures/store/filler.ts";
import { mayMount, mountDisk } from "../harness/small-disk.ts";
import { keysUnder } from "./store-tools.ts";

const DISK_BYTES = 4_000_000;
const BALLAST_BYTES = 1_000_000;
const BLOCK_BYTES = 512;
const FILLER = new URL("../fixtures/store/filler.ts", import.meta.url).pathname;

const makeFolder = (): string => {
  const folder = mkdtempSync(join(tmpdir(), "maitred-full-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
};

const check = async (path: string, { written, failed, code, message, revision }: FillerResult): Promise<void> => {
  expect(code).toBe("store-unavailable");
  expect(message).toContain(path);
  expect(written.length).toBeGreaterThan(5);

  const integrity = new DatabaseSync(path);
  expect(integrity.prepare("PRAGMA integrity_check").get()).toEqual({ integrity_check: "ok" });
  integrity.close();
  const store = openSqliteStore({ path, clock: createSystemClock() });
  onTestFinished(() => store.close());
  expect(await keysUnder(store, `/${failed}/`)).toEqual([]);
  expect(await keysUnder(store, "/")).toHaveLength(2 * written.length);
  for (const n of written) expect(await keysUnder(store, `/${n}/`)).toEqual([`/${n}/left`, `/${n}/right`]);
  expect(store.facts().revision).toBe(revision);
};

const fill = (command: string, before: readonly string[], options: FillerOptions): FillerResult =>
  JSON.parse(execFileSync(command, [...before, FILLER, JSON.stringify(options)], { encoding: "utf8" })) as FillerResult;

const kindOfDisk = mayMount ? "a small tmpfs" : "a limit on file sizes";
test(`a full disk fails the transaction, leaves nothing of it, and keeps all before it (${kindOfDisk})`, async () => {
  const folder = makeFolder();
  const disk = mayMount ? mountDisk(folder, DISK_BYTES) : undefined;
  if (disk === undefined) {
    const path = join(folder, "store.db");
    const limited = `ulimit -f ${Math.floor(DISK_BYTES / BLOCK_BYTES)} && exec "$0" "$@"`;
    await check(path, fill("sh", ["-c", limited, process.execPath], { path }));
    return;
  }
  onTestFinished(() => disk.unmount());
  const ballast = join(disk.path, "ballast");
  writeFileSync(ballast, Buffer.alloc(BALLAST_BYTES));
  const path = join(disk.path, "store.db");
  const result = fill(process.execPath, [], { path, ballast });
  expect(result.message).toContain("the disk is full");
  // Once there is room again the same store goes on.
  expect(result.written.at(-1)).toBeGreaterThan(result.failed);
  await check(path, result);
});
