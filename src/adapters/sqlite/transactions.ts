/**
 * Everything that makes a revision: transactions, the end of a lease, the sweep of expired leases.
 * Each call is one SQLite transaction on the durable connection and blocks until it is on the disk; it throws "busy" with nothing
 * done when another process holds the write lock. Leases whose time is up are ended first, as revisions of their own, so their
 * keys count in no compare.
 */
import { assertNever } from "../../base/assert.ts";
import { ServeError } from "../../base/serve-error.ts";
import { MAX_LOG_BYTES, MAX_LOG_REVISIONS } from "../../model/store-limits.ts";
import type { Compare, KeyValue, LeaseId, Op, Txn, TxnResult, WatchChange } from "../../ports/store.ts";
import { encodeChanges } from "./changes-codec.ts";
import type { Connection } from "./connection.ts";
import { Entries, Leases, type LogSpan, RevisionLog } from "./tables.ts";

/** What a call answers, and the revisions that it made, oldest first. */
export interface Committed<T> {
  readonly result: T;
  readonly made: readonly Revision[];
}

export interface Revision {
  readonly revision: number;
  readonly changes: readonly WatchChange[];
}

/** Where the log is within one SQLite transaction. */
interface Making {
  span: LogSpan;
  readonly made: Revision[];
}

const KEPT = { maxRevisions: MAX_LOG_REVISIONS, maxBytes: MAX_LOG_BYTES };

export class Transactions {
  readonly #connection: Connection;
  readonly #monotonicMs: () => number;
  readonly #entries: Entries;
  readonly #log: RevisionLog;
  readonly #leases: Leases;

  constructor(connection: Connection, boot: string, monotonicMs: () => number) {
    this.#connection = connection;
    this.#monotonicMs = monotonicMs;
    this.#entries = new Entries(connection.db);
    this.#log = new RevisionLog(connection.db);
    this.#leases = new Leases(connection.db, boot);
  }

  txn(txn: Txn): Committed<TxnResult> {
    return this.#write((making) => {
      const succeeded = txn.compare.every((compare) => this.#holds(compare));
      const gets = this.#run(succeeded ? txn.then : (txn.else ?? []), making);
      return { succeeded, gets, revision: making.span.newest };
    });
  }

  /** Ends a lease before its time. Unknown ids are fine. */
  revoke(lease: LeaseId): Committed<void> {
    return this.#write((making) => this.#end(lease, making));
  }

  /** Ends what has expired and nothing else. */
  sweep(): Committed<void> {
    return this.#write(() => {});
  }

  /** Reads only: whether `sweep` would find something. */
  hasExpired(): boolean {
    return this.#leases.expired(this.#monotonicMs()).length > 0;
  }

  #write<T>(work: (making: Making) => T): Committed<T> {
    return this.#connection.write(() => {
      const making: Making = { span: this.#log.span(), made: [] };
      for (const lease of this.#leases.expired(this.#monotonicMs())) this.#end(lease, making);
      const result = work(making);
      if (making.made.length > 0) this.#log.prune(making.span, KEPT);
      return { result, made: making.made };
    });
  }

  #end(lease: LeaseId, making: Making): void {
    const revision = making.span.newest + 1;
    const changes = this.#entries.keysOfLease(lease).flatMap((key) => this.#delete(key, revision));
    this.#record(changes, making);
    this.#leases.delete(lease);
  }

  /** An absent key has the revision 0, as in etcd. */
  #holds(compare: Compare): boolean {
    const entry = this.#entries.get(compare.key);
    switch (compare.kind) {
      case "absent":
        return entry === undefined;
      case "createRevision":
        return (entry?.createRevision ?? 0) === compare.equals;
      case "modRevision":
        return (entry?.modRevision ?? 0) === compare.equals;
      default:
        return assertNever(compare);
    }
  }

  #run(ops: readonly Op[], making: Making): readonly (KeyValue | undefined)[] {
    const revision = making.span.newest + 1;
    const gets: (KeyValue | undefined)[] = [];
    const changes: WatchChange[] = [];
    for (const op of ops) {
      switch (op.kind) {
        case "get":
          gets.push(this.#entries.get(op.key));
          break;
        case "put":
          changes.push(this.#put(op, revision));
          break;
        case "delete":
          changes.push(...this.#delete(op.key, revision));
          break;
        case "deletePrefix":
          for (const { key } of this.#entries.list(op.prefix)) changes.push(...this.#delete(key, revision));
          break;
        default:
          assertNever(op);
      }
    }
    this.#record(changes, making);
    return gets;
  }

  #put({ key, value, lease }: Extract<Op, { kind: "put" }>, revision: number): WatchChange {
    if (lease !== undefined && !this.#leases.has(lease)) {
      throw new ServeError(
        "lease-lost",
        `The lease that ${key} was to live by has expired or was revoked; nothing was written. Ask for a new lease first.`,
        { details: { key, lease } },
      );
    }
    const before = this.#entries.get(key);
    const entry: KeyValue = {
      key,
      value,
      createRevision: before?.createRevision ?? revision,
      modRevision: revision,
      version: (before?.version ?? 0) + 1,
      lease,
    };
    this.#entries.put(entry);
    return { kind: "put", entry };
  }

  #delete(key: string, revision: number): readonly WatchChange[] {
    if (this.#entries.get(key) === undefined) return [];
    this.#entries.delete(key);
    return [{ kind: "delete", key, modRevision: revision }];
  }

  #record(changes: readonly WatchChange[], making: Making): void {
    if (changes.length === 0) return;
    making.span = this.#log.append(making.span, encodeChanges(changes));
    making.made.push({ revision: making.span.newest, changes });
  }
}
