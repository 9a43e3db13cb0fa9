/**
 * The tables as typed calls over prepared statements; nothing here begins or ends a transaction.
 * Made once for each connection, because a statement belongs to the connection that prepared it.
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { KeyValue, LeaseId } from "../../ports/store.ts";
import { keyRange } from "./key-range.ts";

const ENTRY = "key, value, create_revision, mod_revision, version, lease";

/** In the order of `ENTRY`: rows as arrays are read in half the time of rows as objects, and a new controller reads them all. */
type EntryRow = readonly [string, string, number, number, number, LeaseId | null];

/** The log's bounds: both revisions are in it. Bytes are counted from the first revision ever. */
export interface LogSpan {
  readonly oldest: number;
  readonly newest: number;
  /** Of all rows before the oldest. */
  readonly bytesBefore: number;
  /** Of all rows, the newest included. */
  readonly bytesAfter: number;
}

export interface LogRow {
  readonly revision: number;
  readonly changes: string;
}

export class Entries {
  readonly #get: StatementSync;
  readonly #list: StatementSync;
  readonly #put: StatementSync;
  readonly #delete: StatementSync;
  readonly #ofLease: StatementSync;

  constructor(db: DatabaseSync) {
    this.#get = db.prepare(`SELECT ${ENTRY} FROM entries WHERE key = ?`);
    this.#get.setReturnArrays(true);
    this.#list = db.prepare(`SELECT ${ENTRY} FROM entries WHERE key >= ? AND key < ? ORDER BY key`);
    this.#list.setReturnArrays(true);
    this.#put = db.prepare(
      `INSERT INTO entries (${ENTRY}) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value,
       mod_revision = excluded.mod_revision, version = excluded.version, lease = excluded.lease`,
    );
    this.#delete = db.prepare("DELETE FROM entries WHERE key = ?");
    this.#ofLease = db.prepare("SELECT key FROM entries WHERE lease = ? ORDER BY key");
  }

  get(key: string): KeyValue | undefined {
    const row = this.#get.get(key);
    return row === undefined ? undefined : toKeyValue(row as unknown as EntryRow);
  }

  list(prefix: string): readonly KeyValue[] {
    const { from, to } = keyRange(prefix);
    return (this.#list.all(from, to) as unknown as EntryRow[]).map(toKeyValue);
  }

  put({ key, value, createRevision, modRevision, version, lease }: KeyValue): void {
    this.#put.run(key, value, createRevision, modRevision, version, lease ?? null);
  }

  delete(key: string): void {
    this.#delete.run(key);
  }

  keysOfLease(lease: LeaseId): readonly string[] {
    return (this.#ofLease.all(lease) as unknown as { key: string }[]).map((row) => row.key);
  }
}

export class RevisionLog {
  readonly #span: StatementSync;
  readonly #bytesBefore: StatementSync;
  readonly #between: StatementSync;
  readonly #append: StatementSync;
  readonly #prune: StatementSync;

  constructor(db: DatabaseSync) {
    this.#span = db.prepare(
      `SELECT o.revision AS oldest, n.revision AS newest, o.bytes_before AS bytesBefore,
       n.bytes_before + octet_length(n.changes) AS bytesAfter FROM log AS o, log AS n
       WHERE o.revision = (SELECT min(revision) FROM log) AND n.revision = (SELECT max(revision) FROM log)`,
    );
    this.#bytesBefore = db.prepare("SELECT bytes_before AS bytes FROM log WHERE revision = ?");
    this.#between = db.prepare(
      "SELECT revision, changes FROM log WHERE revision >= ? AND revision < ? ORDER BY revision",
    );
    this.#append = db.prepare("INSERT INTO log (revision, bytes_before, changes) VALUES (?, ?, ?)");
    this.#prune = db.prepare("DELETE FROM log WHERE revision < ?");
  }

  span(): LogSpan {
    return this.#span.get() as unknown as LogSpan;
  }

  /** Rows with from <= revision < to. */
  between({ from, to }: { readonly from: number; readonly to: number }): readonly LogRow[] {
    return this.#between.all(from, to) as unknown as LogRow[];
  }

  /** Adds the revision that follows the span; answers the span with it. */
  append(span: LogSpan, changes: string): LogSpan {
    const { newest, bytesAfter } = span;
    this.#append.run(newest + 1, bytesAfter, changes);
    return { ...span, newest: newest + 1, bytesAfter: bytesAfter + Buffer.byteLength(changes) };
  }

  /** Forgets revisions from the oldest on until both bounds hold; the newest always stays. */
  prune(span: LogSpan, { maxRevisions, maxBytes }: { readonly maxRevisions: number; readonly maxBytes: number }): void {
    const { oldest, newest, bytesAfter } = span;
    let keepFrom = Math.max(oldest, newest - maxRevisions + 1);
    let bytesBefore = keepFrom === oldest ? span.bytesBefore : this.#bytesBeforeOf(keepFrom);
    while (keepFrom < newest && bytesAfter - bytesBefore > maxBytes) {
      keepFrom += 1;
      bytesBefore = this.#bytesBeforeOf(keepFrom);
    }
    if (keepFrom > oldest) this.#prune.run(keepFrom);
  }

  #bytesBeforeOf(revision: number): number {
    return (this.#bytesBefore.get(revision) as unknown as { bytes: number }).bytes;
  }
}

export class Leases {
  readonly #boot: string;
  readonly #grant: StatementSync;
  readonly #extend: StatementSync;
  readonly #has: StatementSync;
  readonly #delete: StatementSync;
  readonly #expired: StatementSync;

  constructor(db: DatabaseSync, boot: string) {
    this.#boot = boot;
    this.#grant = db.prepare("INSERT INTO leases (id, boot, expires_ms) VALUES (?, ?, ?)");
    this.#extend = db.prepare("UPDATE leases SET expires_ms = ? WHERE id = ? AND boot = ? AND expires_ms > ?");
    this.#has = db.prepare("SELECT 1 FROM leases WHERE id = ?");
    this.#delete = db.prepare("DELETE FROM leases WHERE id = ?");
    this.#expired = db.prepare("SELECT id FROM leases WHERE boot <> ? OR expires_ms <= ? ORDER BY expires_ms, id");
  }

  grant(id: LeaseId, expiresMs: number): boolean {
    return this.#grant.run(id, this.#boot, expiresMs).changes === 1;
  }

  /** Answers false, and changes nothing, when the lease has expired or is unknown. */
  extend(id: LeaseId, { nowMs, expiresMs }: { readonly nowMs: number; readonly expiresMs: number }): boolean {
    return this.#extend.run(expiresMs, id, this.#boot, nowMs).changes === 1;
  }

  has(id: LeaseId): boolean {
    return this.#has.get(id) !== undefined;
  }

  delete(id: LeaseId): void {
    this.#delete.run(id);
  }

  /** Leases of this boot whose time is up, and those of every other boot. */
  expired(nowMs: number): readonly LeaseId[] {
    return (this.#expired.all(this.#boot, nowMs) as unknown as { id: LeaseId }[]).map((row) => row.id);
  }
}

const toKeyValue = ([key, value, createRevision, modRevision, version, lease]: EntryRow): KeyValue => ({
  key,
  value,
  createRevision,
  modRevision,
  version,
  lease: lease ?? undefined,
});
