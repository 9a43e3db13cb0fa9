/**
 * The store: etcd's data model, implemented on SQLite and on etcd, held to one conformance suite (`tests/contracts/store-contract.ts`).
 * Keys are UTF-8 strings ordered bytewise, values are UTF-8 strings (JSON). One global revision counts transactions that changed something.
 * Limits (MAX_TXN_OPS, MAX_VALUE_BYTES, MAX_TXN_BYTES) are refused by every implementation with `value-too-large`; a put under a lease
 * that is gone with `lease-lost`, nothing written. One branch changes a key at most once.
 * A rejected promise with code `store-unavailable` means: unknown whether a transaction took effect.
 */

export interface KeyValue {
  readonly key: string;
  readonly value: string;
  /** Revision that created the key (since its last deletion). */
  readonly createRevision: number;
  readonly modRevision: number;
  /** 1 at creation, +1 with each put. */
  readonly version: number;
  readonly lease: LeaseId | undefined;
}

export type LeaseId = string & { readonly leaseId: true };

export type Compare =
  | { readonly key: string; readonly kind: "absent" }
  | { readonly key: string; readonly kind: "createRevision"; readonly equals: number }
  | { readonly key: string; readonly kind: "modRevision"; readonly equals: number };

export type Op =
  | { readonly kind: "put"; readonly key: string; readonly value: string; readonly lease?: LeaseId | undefined }
  | { readonly kind: "delete"; readonly key: string }
  | { readonly kind: "deletePrefix"; readonly prefix: string }
  | { readonly kind: "get"; readonly key: string };

export interface Txn {
  readonly compare: readonly Compare[];
  readonly then: readonly Op[];
  readonly else?: readonly Op[];
}

export interface TxnResult {
  readonly succeeded: boolean;
  /** Revision of the store after the transaction. */
  readonly revision: number;
  /** The answers of `get` ops of the branch that ran, in order. */
  readonly gets: readonly (KeyValue | undefined)[];
}

export type WatchChange =
  | { readonly kind: "put"; readonly entry: KeyValue }
  | { readonly kind: "delete"; readonly key: string; readonly modRevision: number };

export type WatchEvent =
  /** All keys of the prefix at `revision`; first event when no `fromRevision` was given. */
  | { readonly kind: "snapshot"; readonly revision: number; readonly entries: readonly KeyValue[] }
  /** All changes of one revision under the prefix, in order. */
  | { readonly kind: "changes"; readonly revision: number; readonly changes: readonly WatchChange[] }
  /** `fromRevision` is older than what is kept: start again without it. Last event. */
  | { readonly kind: "compacted"; readonly oldestRevision: number };

export interface Watch {
  /** Ends the watch; no event is delivered afterwards. */
  stop(): void;
}

export interface Lease {
  readonly id: LeaseId;
  /** Instant (monotonic, this process, ms) until which this lease is surely held. */
  deadline(): number;
  /** Extends by the TTL. Answers false when the lease is lost. */
  keepAlive(): Promise<boolean>;
  /** Deletes the lease and its keys. */
  revoke(): Promise<void>;
}

export interface Store {
  get(key: string): Promise<KeyValue | undefined>;
  list(prefix: string): Promise<{ readonly revision: number; readonly entries: readonly KeyValue[] }>;
  /** Durable when it resolves. */
  txn(txn: Txn): Promise<TxnResult>;
  /** `fromRevision`: first revision to deliver. Events come in order, one at a time, never before `watch` has returned. */
  watch(prefix: string, onEvent: (event: WatchEvent) => void, options?: { readonly fromRevision?: number }): Watch;
  /** Grants a lease; the caller renews it with keepAlive. */
  lease(ttlMs: number): Promise<Lease>;
  /** Ends a lease of somebody who is known to be dead (its id stands in KeyValue.lease). Unknown ids are fine. */
  revokeLease(id: LeaseId): Promise<void>;
  /** Another process has committed: look now instead of at the next poll. A no-op where the store pushes. */
  nudge(): void;
  close(): Promise<void>;
}
