/**
 * A SQLite store that outlives its connections: when the file cannot be used (damaged, replaced, moved away, closed to this user), they
 * are closed, and each further call tries to open it anew. Until then every call is rejected with `store-unavailable`. A full disk or a
 * busy file is no reason: those pass by themselves. A watch ends with `compacted` when its connections go; its follower begins again.
 * A file that was there is never made anew: an empty one in its place would be taken for the truth.
 */
import { existsSync } from "node:fs";
import { isServeError, ServeError } from "../base/serve-error.ts";
import type { KeyValue, Lease, LeaseId, Store, Txn, TxnResult, Watch, WatchEvent } from "../ports/store.ts";
import { isFileLost } from "./sqlite/store-errors.ts";
import type { SqliteStore, SqliteStoreOptions } from "./sqlite-store.ts";

type Open = (options: SqliteStoreOptions) => SqliteStore;

interface Follower {
  readonly prefix: string;
  readonly onEvent: (event: WatchEvent) => void;
  readonly options: { readonly fromRevision?: number };
  /** undefined: it waits for connections. */
  watch: Watch | undefined;
}

/**
 * @param file `made`: opens it at once, and makes it when it is not there; throws as `open` does. `found`: opens it when it is needed.
 * @param open `openSqliteStore`.
 */
export const openLastingStore = (open: Open, options: SqliteStoreOptions, file: "made" | "found"): Store =>
  new LastingStore(open, options, file);

class LastingStore implements Store {
  readonly #path: string;
  readonly #open: () => SqliteStore;
  readonly #followers = new Set<Follower>();
  #store: SqliteStore | undefined;
  #closed = false;

  constructor(open: Open, options: SqliteStoreOptions, file: "made" | "found") {
    this.#path = options.path;
    this.#open = () => {
      const store = open({
        ...options,
        onBackgroundError: (error) => {
          options.onBackgroundError?.(error);
          if (isFileLost(error)) this.#drop(store);
        },
      });
      return store;
    };
    if (file === "made") this.#store = this.#open();
  }

  get(key: string): Promise<KeyValue | undefined> {
    return this.#run((store) => store.get(key));
  }

  list(prefix: string): Promise<{ readonly revision: number; readonly entries: readonly KeyValue[] }> {
    return this.#run((store) => store.list(prefix));
  }

  txn(txn: Txn): Promise<TxnResult> {
    return this.#run((store) => store.txn(txn));
  }

  watch(prefix: string, onEvent: (event: WatchEvent) => void, options: { readonly fromRevision?: number } = {}): Watch {
    const follower: Follower = { prefix, onEvent, options, watch: undefined };
    const store = this.#openedIfPossible();
    this.#followers.add(follower);
    if (store !== undefined) this.#follow(store, follower);
    return {
      stop: () => {
        this.#followers.delete(follower);
        follower.watch?.stop();
      },
    };
  }

  /** Of connections that are gone it can still be given back, by its id; it cannot be renewed. */
  async lease(ttlMs: number): Promise<Lease> {
    const lease = await this.#run((store) => store.lease(ttlMs));
    let isRevoked = false;
    return {
      id: lease.id,
      deadline: () => (isRevoked ? Number.NEGATIVE_INFINITY : lease.deadline()),
      keepAlive: () => this.#run(() => lease.keepAlive()),
      revoke: () => {
        isRevoked = true;
        return this.revokeLease(lease.id);
      },
    };
  }

  revokeLease(id: LeaseId): Promise<void> {
    return this.#run((store) => store.revokeLease(id));
  }

  nudge(): void {
    this.#store?.nudge();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#followers.clear();
    await this.#store?.close();
  }

  async #run<T>(call: (store: SqliteStore) => Promise<T>): Promise<T> {
    const store = this.#opened();
    try {
      return await call(store);
    } catch (error) {
      if (isFileLost(error)) this.#drop(store);
      throw error;
    }
  }

  #opened(): SqliteStore {
    if (this.#store !== undefined) return this.#store;
    if (this.#closed) throw new ServeError("store-unavailable", "The store is closed in this process.");
    const store = this.#openAnew();
    this.#store = store;
    for (const follower of this.#followers) this.#follow(store, follower);
    return store;
  }

  #openedIfPossible(): SqliteStore | undefined {
    try {
      return this.#opened();
    } catch (error) {
      if (!isServeError(error)) throw error;
      return undefined; // the next call that can be rejected says why
    }
  }

  #follow(store: SqliteStore, follower: Follower): void {
    follower.watch = store.watch(
      follower.prefix,
      (event) => {
        if (event.kind === "compacted") this.#followers.delete(follower);
        follower.onEvent(event);
      },
      follower.options,
    );
  }

  #openAnew(): SqliteStore {
    if (!existsSync(this.#path)) {
      const sentence = `The store ${this.#path} is gone. Put it back, or restore it from a backup.`;
      throw new ServeError("store-unavailable", sentence, { retryable: true });
    }
    try {
      return this.#open();
    } catch (error) {
      // To whoever starts something it is another matter than to whoever calls a store that was there a moment ago.
      if (!isServeError(error) || error.code !== "state-unwritable") throw error;
      throw new ServeError("store-unavailable", error.message, { retryable: true, cause: error });
    }
  }

  #drop(store: SqliteStore): void {
    if (this.#store !== store) return;
    this.#store = undefined;
    void store.close();
    for (const follower of this.#followers) {
      follower.watch?.stop();
      // In a turn of its own, and not to somebody who has stopped meanwhile.
      setImmediate(() => {
        if (this.#followers.delete(follower)) follower.onEvent({ kind: "compacted", oldestRevision: 0 });
      });
    }
  }
}
