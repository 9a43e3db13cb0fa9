/**
 * The data of a simulated store: entries, leases, the log of revisions. Everything is done at once and in order; delays, lost answers
 * and who may hear of it are the clients' part (store-client.ts). Keeps what ports/store.ts promises; the same conformance suite holds
 * it to that. Checkers see each commit as it happens, with the values before it.
 */
import { ServeError } from "../../base/serve-error.ts";
import { MAX_LOG_REVISIONS } from "../../model/store-limits.ts";
import type { Instant } from "../../ports/clock.ts";
import type { Compare, KeyValue, LeaseId, Op, Txn, TxnResult, WatchChange } from "../../ports/store.ts";
import type { Scheduler } from "../kernel/scheduler.ts";
import { checkTxn, compareKeys } from "./store-rules.ts";

export interface Commit {
  readonly revision: number;
  readonly at: Instant;
  /** Name of the process whose transaction it is; undefined: a lease ran out. */
  readonly writer: string | undefined;
  readonly changes: readonly WatchChange[];
  /** What stood there before, in the order of `changes`. */
  readonly before: readonly (KeyValue | undefined)[];
}

export class SimStore {
  readonly #scheduler: Scheduler;
  readonly #entries = new Map<string, KeyValue>();
  readonly #leases = new Map<LeaseId, Instant>();
  readonly #listeners: ((commit: Commit) => void)[] = [];
  #log: { readonly revision: number; readonly changes: readonly WatchChange[] }[] = [];
  #oldest = 1;
  #revision = 1;
  #leaseCount = 0;

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
  }

  get revision(): number {
    return this.#revision;
  }

  /** The oldest revision that a watch can start from. */
  get oldest(): number {
    return this.#oldest;
  }

  onCommit(listener: (commit: Commit) => void): void {
    this.#listeners.push(listener);
  }

  get(key: string): KeyValue | undefined {
    return this.#entries.get(key);
  }

  list(prefix: string): readonly KeyValue[] {
    return [...this.#entries.values()]
      .filter((entry) => entry.key.startsWith(prefix))
      .sort((a, b) => compareKeys(a.key, b.key));
  }

  /** Changes of the prefix from this revision on, grouped by revision. */
  since(revision: number, prefix: string) {
    return this.#log
      .filter((entry) => entry.revision >= revision)
      .map((entry) => ({
        revision: entry.revision,
        changes: entry.changes.filter((change) => keyOf(change).startsWith(prefix)),
      }))
      .filter(({ changes }) => changes.length > 0);
  }

  txn(txn: Txn, writer: string | undefined): TxnResult {
    checkTxn(txn);
    const succeeded = txn.compare.every((compare) => this.#holds(compare));
    const ops = succeeded ? txn.then : (txn.else ?? []);
    for (const op of ops) {
      if (op.kind === "put" && op.lease !== undefined && !this.#leases.has(op.lease)) {
        throw new ServeError("lease-lost", `the lease that ${op.key} was to live by is gone; nothing was written.`);
      }
    }
    const gets = this.#run(ops, writer);
    return { succeeded, gets, revision: this.#revision };
  }

  grant(ttlMs: number): LeaseId {
    this.#leaseCount += 1;
    const id = `lease-${this.#leaseCount}` as LeaseId;
    this.#expireLater(id, ttlMs);
    return id;
  }

  /** false: it is gone. */
  extend(id: LeaseId, ttlMs: number): boolean {
    if (!this.#leases.has(id)) return false;
    this.#expireLater(id, ttlMs);
    return true;
  }

  revoke(id: LeaseId, writer: string | undefined): void {
    if (!this.#leases.delete(id)) return;
    const keys = this.list("").filter((entry) => entry.lease === id);
    this.#run(
      keys.map(({ key }) => ({ kind: "delete", key })),
      writer,
    );
  }

  /** Forgets all changes but the newest `keep`. */
  compact(keep: number): void {
    this.#oldest = Math.max(this.#oldest, this.#revision - keep + 1);
    this.#log = this.#log.filter((entry) => entry.revision >= this.#oldest);
  }

  #expireLater(id: LeaseId, ttlMs: number): void {
    const expiresAt = this.#scheduler.now() + ttlMs;
    this.#leases.set(id, expiresAt);
    this.#scheduler.at(expiresAt, () => {
      if (this.#leases.get(id) === expiresAt) this.revoke(id, undefined);
    });
  }

  /** An absent key has the revision 0, as in etcd. */
  #holds(compare: Compare): boolean {
    const entry = this.#entries.get(compare.key);
    if (compare.kind === "absent") return entry === undefined;
    return (entry?.[compare.kind] ?? 0) === compare.equals;
  }

  #run(ops: readonly Op[], writer: string | undefined): readonly (KeyValue | undefined)[] {
    const revision = this.#revision + 1;
    const gets: (KeyValue | undefined)[] = [];
    const changes: WatchChange[] = [];
    const before: (KeyValue | undefined)[] = [];
    const write = (change: WatchChange) => {
      before.push(this.#entries.get(keyOf(change)));
      changes.push(change);
      if (change.kind === "put") this.#entries.set(change.entry.key, change.entry);
      else this.#entries.delete(change.key);
    };
    for (const op of ops) {
      if (op.kind === "get") gets.push(this.#entries.get(op.key));
      else if (op.kind === "put") write({ kind: "put", entry: this.#entryOf(op, revision) });
      else {
        const gone = op.kind === "delete" ? [this.#entries.get(op.key)] : this.list(op.prefix);
        for (const entry of gone)
          if (entry !== undefined) write({ kind: "delete", key: entry.key, modRevision: revision });
      }
    }
    if (changes.length > 0) this.#commit({ revision, at: this.#scheduler.now(), writer, changes, before });
    return gets;
  }

  #entryOf({ key, value, lease }: Extract<Op, { kind: "put" }>, revision: number): KeyValue {
    const before = this.#entries.get(key);
    return {
      key,
      value,
      createRevision: before?.createRevision ?? revision,
      modRevision: revision,
      version: (before?.version ?? 0) + 1,
      lease,
    };
  }

  #commit(commit: Commit): void {
    this.#revision = commit.revision;
    this.#log.push({ revision: commit.revision, changes: commit.changes });
    if (this.#log.length > 2 * MAX_LOG_REVISIONS) this.compact(MAX_LOG_REVISIONS);
    for (const listener of this.#listeners) listener(commit);
  }
}

export const keyOf = (change: WatchChange): string => (change.kind === "put" ? change.entry.key : change.key);

const records = new WeakMap<KeyValue, unknown>();

/** What an entry says, parsed once for all who ask: only to be looked at. */
export const recordOf = <T>(entry: KeyValue): T => {
  if (!records.has(entry)) records.set(entry, JSON.parse(entry.value));
  return records.get(entry) as T;
};
