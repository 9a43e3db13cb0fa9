/**
 * The store's promises as the simplest program that keeps them: a map and a list of revisions in memory. The property tests hold
 * every implementation to it. It knows no limits, no time and no second client.
 */
import type { Compare, KeyValue, Op, Txn, TxnResult, WatchChange } from "../../src/ports/store.ts";

export class StoreModel {
  #revision: number;
  #entries = new Map<string, KeyValue>();
  readonly #changes = new Map<number, readonly WatchChange[]>();

  /** @param revision of the empty store. */
  constructor(revision: number) {
    this.#revision = revision;
  }

  revision(): number {
    return this.#revision;
  }

  get(key: string): KeyValue | undefined {
    return this.#entries.get(key);
  }

  list(prefix: string): readonly KeyValue[] {
    return [...this.#entries.values()]
      .filter((entry) => entry.key.startsWith(prefix))
      .sort((a, b) => Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)));
  }

  /** What a watch of the prefix tells from this revision on. */
  changesFrom(revision: number, prefix: string): readonly { revision: number; changes: readonly WatchChange[] }[] {
    return [...this.#changes]
      .filter(([at]) => at >= revision)
      .map(([at, changes]) => ({ revision: at, changes: changes.filter((change) => keyOf(change).startsWith(prefix)) }))
      .filter(({ changes }) => changes.length > 0);
  }

  txn(txn: Txn): TxnResult {
    const succeeded = txn.compare.every((compare) => this.#holds(compare));
    const ops = succeeded ? txn.then : (txn.else ?? []);
    const revision = this.#revision + 1;
    const gets: (KeyValue | undefined)[] = [];
    const changes: WatchChange[] = [];
    for (const op of ops) {
      if (op.kind === "get") gets.push(this.#entries.get(op.key));
      else changes.push(...this.#write(op, revision));
    }
    if (changes.length > 0) {
      this.#revision = revision;
      this.#changes.set(revision, changes);
    }
    return { succeeded, revision: this.#revision, gets };
  }

  #holds(compare: Compare): boolean {
    const entry = this.#entries.get(compare.key);
    if (compare.kind === "absent") return entry === undefined;
    return (entry?.[compare.kind] ?? 0) === compare.equals;
  }

  #write(op: Exclude<Op, { kind: "get" }>, revision: number): readonly WatchChange[] {
    if (op.kind === "put") {
      const before = this.#entries.get(op.key);
      const entry: KeyValue = {
        key: op.key,
        value: op.value,
        createRevision: before?.createRevision ?? revision,
        modRevision: revision,
        version: (before?.version ?? 0) + 1,
        lease: op.lease,
      };
      this.#entries.set(op.key, entry);
      return [{ kind: "put", entry }];
    }
    const gone = op.kind === "delete" ? this.list(op.key).filter(({ key }) => key === op.key) : this.list(op.prefix);
    for (const { key } of gone) this.#entries.delete(key);
    return gone.map(({ key }) => ({ kind: "delete", key, modRevision: revision }));
  }
}

const keyOf = (change: WatchChange): string => (change.kind === "put" ? change.entry.key : change.key);
