/** The store's contract on `node:sqlite`. What only this implementation promises is tested beside its code. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { openLastingStore } from "../../src/adapters/lasting-store.ts";
import { openSqliteStore } from "../../src/adapters/sqlite-store.ts";
import { createSystemClock } from "../../src/adapters/system-clock.ts";
import type { Store } from "../../src/ports/store.ts";
import { type StoreLab, storeContract } from "./store-contract.ts";

const clock = createSystemClock();

const labOf = (open: (path: string) => Store): StoreLab => {
  const folder = mkdtempSync(join(tmpdir(), "maitred-store-"));
  const path = join(folder, "store.db");
  const stores: Store[] = [];
  return {
    shortestLeaseMs: 150,
    now: () => clock.now(),
    store: async () => {
      const store = open(path);
      stores.push(store);
      return store;
    },
    compact: async () => {
      const db = new DatabaseSync(path, { timeout: 5_000 });
      db.exec("DELETE FROM log WHERE revision < (SELECT max(revision) FROM log)");
      db.close();
    },
    close: async () => {
      for (const store of stores) await store.close();
      rmSync(folder, { recursive: true });
    },
  };
};

/** As the controller has it: what it adds must not change what the store under it promises. */
storeContract("SQLite", async () => labOf((path) => openLastingStore(openSqliteStore, { path, clock }, "made")));
