/**
 * ports/store.ts on one SQLite file that several processes of a machine open (agent and controller of an instance).
 * A transaction is on the disk when its promise resolves. No call blocks the event loop for longer than STORE_BUSY_TIMEOUT_MS on
 * another process; a stopped or busy one is waited for without blocking. Watchers hear of own commits at once, of others' by
 * `nudge`, and by a slow poll in any case. Leases are measured on the clock that all processes of this boot share; renewing one
 * is neither a revision nor synced to the disk.
 */
import { randomBytes } from "node:crypto";
import { statSync } from "node:fs";
import { assert } from "../base/assert.ts";
import type { ServeError } from "../base/serve-error.ts";
import { STORE_POLL_INTERVAL_MS } from "../model/store-limits.ts";
import type { Clock, Timer } from "../ports/clock.ts";
import type { KeyValue, Lease, LeaseId, Store, Txn, TxnResult, Watch, WatchEvent } from "../ports/store.ts";
import { monotonicMs, readBootId } from "./boot-clock.ts";
import { type Connections, openConnections, pragma, SCHEMA_VERSION } from "./sqlite/connection.ts";
import { HeldLease } from "./sqlite/lease.ts";
import { RetryLane } from "./sqlite/retry-lane.ts";
import { isBusy, movedError, toStoreError } from "./sqlite/store-errors.ts";
import { Entries, Leases, RevisionLog } from "./sqlite/tables.ts";
import { type Committed, type Revision, Transactions } from "./sqlite/transactions.ts";
import { WatchHub } from "./sqlite/watch-hub.ts";
import { checkKey, checkTxn } from "./store-limits.ts";

export interface SqliteStoreOptions {
  /** The database file; its folder must exist. SQLite puts `-wal` and `-shm` beside it. */
  readonly path: string;
  readonly clock: Clock;
  /** This store made a revision: a good moment to nudge the other processes. Called in a turn of its own. */
  readonly onCommit?: (() => void) | undefined;
  /** Background work (watches, the sweep of expired leases) failed and will be tried again with the next poll. */
  readonly onBackgroundError?: ((error: ServeError) => void) | undefined;
}

export interface SqliteStoreFacts {
  readonly path: string;
  readonly schemaVersion: number;
  readonly journalMode: string;
  /** 2 = FULL: a commit is synced before it is answered. */
  readonly synchronous: number;
  readonly revision: number;
  /** The oldest revision that a watch can start from. */
  readonly oldestRevision: number;
  readonly fileBytes: number;
}

export interface SqliteStore extends Store {
  facts(): SqliteStoreFacts;
}

/** Opens the store at `path`, creating it when there is none. Throws a `ServeError` that names the file. */
export const openSqliteStore = (options: SqliteStoreOptions): SqliteStore => new FileStore(options);

class FileStore implements SqliteStore {
  readonly #path: string;
  readonly #identity: string | undefined;
  readonly #clock: Clock;
  readonly #onCommit: (() => void) | undefined;
  readonly #onBackgroundError: ((error: ServeError) => void) | undefined;
  readonly #connections: Connections;
  readonly #transactions: Transactions;
  readonly #entries: Entries;
  readonly #log: RevisionLog;
  readonly #leases: Leases;
  readonly #hub: WatchHub;
  /** Apart, because the write-ahead log lets reads go on while somebody holds the write lock. */
  readonly #writes: RetryLane;
  readonly #reads: RetryLane;
  #poll: Timer | undefined;
  #dataVersion: number | undefined;
  #sweeping = false;
  #closed = false;

  constructor({ path, clock, onCommit, onBackgroundError }: SqliteStoreOptions) {
    const boot = readBootId();
    this.#path = path;
    this.#clock = clock;
    this.#onCommit = onCommit;
    this.#onBackgroundError = onBackgroundError;
    this.#connections = openConnections(path, clock);
    this.#identity = identityOf(path);
    const { durable, fast } = this.#connections;
    this.#transactions = new Transactions(durable, boot, monotonicMs);
    this.#entries = new Entries(durable.db);
    this.#log = new RevisionLog(durable.db);
    this.#leases = new Leases(fast.db, boot);
    this.#hub = new WatchHub(durable, (error) => this.#backgroundFailed(error));
    this.#writes = new RetryLane(path, clock);
    this.#reads = new RetryLane(path, clock);
    this.#schedulePoll();
  }

  get(key: string): Promise<KeyValue | undefined> {
    return this.#reads.run(() => {
      checkKey(key);
      return this.#entries.get(key);
    });
  }

  list(prefix: string): Promise<{ readonly revision: number; readonly entries: readonly KeyValue[] }> {
    return this.#reads.run(() =>
      this.#connections.durable.read(() => ({
        revision: this.#log.span().newest,
        entries: this.#entries.list(prefix),
      })),
    );
  }

  txn(txn: Txn): Promise<TxnResult> {
    return this.#commit(() => {
      checkTxn(txn);
      return this.#transactions.txn(txn);
    });
  }

  watch(
    prefix: string,
    onEvent: (event: WatchEvent) => void,
    { fromRevision }: { readonly fromRevision?: number } = {},
  ): Watch {
    if (this.#closed) return { stop: () => {} };
    return this.#hub.watch(prefix, onEvent, fromRevision);
  }

  async lease(ttlMs: number): Promise<Lease> {
    const id = randomBytes(12).toString("hex") as LeaseId;
    /** Answers the holder's deadline when `work` says yes. The holder's instant is taken first: it gives up before others take over. */
    const write = (work: (nowMs: number) => boolean) =>
      this.#writes.run(() => {
        const deadline = this.#clock.now() + ttlMs;
        const nowMs = monotonicMs();
        return this.#connections.fast.write(() => work(nowMs)) ? deadline : undefined;
      });
    const deadline = await write((nowMs) => this.#leases.grant(id, nowMs + ttlMs));
    assert(deadline !== undefined, "a lease is granted or refused with an error");
    return new HeldLease(id, deadline, {
      extend: () => write((nowMs) => this.#leases.extend(id, { nowMs, expiresMs: nowMs + ttlMs })),
      end: () => this.revokeLease(id),
    });
  }

  revokeLease(id: LeaseId): Promise<void> {
    return this.#commit(() => this.#transactions.revoke(id));
  }

  nudge(): void {
    if (!this.#closed) this.#hub.look();
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#poll?.cancel();
    this.#hub.close();
    this.#writes.close();
    this.#reads.close();
    this.#connections.close();
  }

  facts(): SqliteStoreFacts {
    const { db } = this.#connections.durable;
    const { oldest, newest } = this.#log.span();
    return {
      path: this.#path,
      schemaVersion: SCHEMA_VERSION,
      journalMode: String(db.prepare("PRAGMA journal_mode").get()?.["journal_mode"]),
      synchronous: pragma(db, "synchronous"),
      revision: newest,
      oldestRevision: oldest,
      fileBytes: statSync(this.#path).size,
    };
  }

  #commit<T>(attempt: () => Committed<T>): Promise<T> {
    return this.#writes.run(() => {
      this.#checkPlace();
      const { result, made } = attempt();
      if (made.length > 0) this.#committed(made);
      return result;
    });
  }

  #committed(made: readonly Revision[]): void {
    this.#hub.committed(made);
    const onCommit = this.#onCommit;
    // In a turn of its own: what is thrown there must not look like a failed transaction.
    if (onCommit !== undefined) setImmediate(onCommit);
  }

  /** A few microseconds, against answering for what is written to a file that nobody will find. */
  #checkPlace(): void {
    if (identityOf(this.#path) !== this.#identity) throw movedError(this.#path);
  }

  #schedulePoll(): void {
    this.#poll = this.#clock.after(STORE_POLL_INTERVAL_MS, () => {
      this.#lookAtFile();
      this.#schedulePoll();
    });
  }

  /** What nobody told this process: commits of others, and leases that have run out. */
  #lookAtFile(): void {
    try {
      this.#checkPlace();
      const version = this.#connections.durable.dataVersion();
      if (version !== this.#dataVersion) this.#hub.look();
      this.#dataVersion = version;
      if (this.#transactions.hasExpired()) this.#sweep();
    } catch (error) {
      this.#backgroundFailed(error);
    }
  }

  /** At most one at a time: a write lock that somebody holds for long must not collect them. */
  #sweep(): void {
    if (this.#sweeping) return;
    this.#sweeping = true;
    const done = () => {
      this.#sweeping = false;
    };
    this.#commit(() => this.#transactions.sweep()).then(done, (error) => {
      done();
      if (!this.#closed) this.#onBackgroundError?.(toStoreError(error, this.#path));
    });
  }

  #backgroundFailed(error: unknown): void {
    // Makes the next poll look again, whatever the file says.
    this.#dataVersion = undefined;
    if (!isBusy(error)) this.#onBackgroundError?.(toStoreError(error, this.#path));
  }
}

const identityOf = (path: string): string | undefined => {
  const found = statSync(path, { throwIfNoEntry: false });
  return found === undefined ? undefined : `${found.dev}:${found.ino}`;
};
