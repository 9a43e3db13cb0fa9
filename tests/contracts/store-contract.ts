/**
 * What every implementation of ports/store.ts promises, through the port alone. Each test opens an empty store of its own and as
 * many clients of the same data as it needs. An implementation's test file calls `storeContract` and adds what only it promises.
 */
import { describe } from "vitest";
import type { Instant } from "../../src/ports/clock.ts";
import type { Store } from "../../src/ports/store.ts";
import { leaseContract } from "./store-lease.contract.ts";
import { propertyContract } from "./store-properties.contract.ts";
import { txnContract } from "./store-txn.contract.ts";
import { watchContract } from "./store-watch.contract.ts";

/** One set of data and its clients. */
export interface StoreLab {
  /** One more client of the same data, as another process would have it. */
  store(): Promise<Store>;
  /** Makes the store forget all changes but the newest: watches cannot start before it. */
  compact(): Promise<void>;
  /** The clock that leases' deadlines are instants of. */
  now(): Instant;
  /** The shortest TTL that this implementation keeps to. */
  readonly shortestLeaseMs: number;
  /** Closes every client and removes the data. */
  close(): Promise<void>;
}

/** @param open an empty store for each call. */
export function storeContract(name: string, open: () => Promise<StoreLab>): void {
  describe(`the store on ${name}`, () => {
    txnContract(open);
    watchContract(open);
    leaseContract(open);
    propertyContract(open);
  });
}
