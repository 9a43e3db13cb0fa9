/**
 * A power cut loses nothing that was acknowledged. The names say how that was found out on this machine; the control shows that
 * the same test fails when nothing is synced.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { openSqliteStore } from "../../src/adapters/sqlite-store.ts";
import { createSystemClock } from "../../src/adapters/system-clock.ts";
import { countedCut, imageCut } from "./cut.ts";

/** Enough for several checkpoints of the write-ahead log. */
const MANY_WRITES = 400;

const cuts = [imageCut, countedCut].filter((cut) => cut.isPossible());

describe.each(cuts)("after a power cut ($name)", (cut) => {
  test.each([1, MANY_WRITES])("everything acknowledged is there, cut after %i writes", async (writes) => {
    const result = await cut.run({ writes, unsynced: false });
    expect(result.acknowledged).toBeGreaterThanOrEqual(writes);
    expect(result.lost).toBe(0);
  });

  test("acknowledged writes are missing when nothing was synced (the control)", async () => {
    const result = await cut.run({ writes: MANY_WRITES, unsynced: true });
    expect(result.acknowledged).toBeGreaterThanOrEqual(MANY_WRITES);
    expect(result.lost).toBeGreaterThan(0);
  });
});

const means = cuts.length > 0 ? "also tested above" : "not tested here: no root with loop devices, no strace";
test(`the store is set to sync each commit (its effect: ${means})`, async () => {
  const folder = mkdtempSync(join(tmpdir(), "maitred-cut-"));
  const store = openSqliteStore({ path: join(folder, "store.db"), clock: createSystemClock() });
  expect(store.facts()).toMatchObject({ journalMode: "wal", synchronous: 2 });
  await store.close();
  rmSync(folder, { recursive: true });
});
