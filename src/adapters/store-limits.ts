/**
 * What every store refuses before it looks at its data, in etcd's terms: too many ops, too large a value or transaction,
 * one key written twice in a branch, an empty key. So a caller that works on SQLite works on etcd.
 * Too large is the caller's input and gets `value-too-large`; the rest is a bug in the caller and gets `internal`.
 */
import { assert } from "../base/assert.ts";
import { ServeError } from "../base/serve-error.ts";
import { MAX_TXN_BYTES, MAX_TXN_OPS, MAX_VALUE_BYTES } from "../model/store-limits.ts";
import type { Compare, Op, Txn } from "../ports/store.ts";

/** Throws unless every store takes this transaction. */
export function checkTxn(txn: Txn): void {
  const otherwise = txn.else ?? [];
  checkCount(txn.compare, "compares");
  checkCount(txn.then, "ops");
  checkCount(otherwise, "ops of else");
  checkBranch(txn.then);
  checkBranch(otherwise);
  for (const compare of txn.compare) checkKey(compare.key);

  const bytes = [...txn.compare, ...txn.then, ...otherwise].reduce((sum, item) => sum + sizeOf(item), 0);
  if (bytes > MAX_TXN_BYTES) {
    throw new ServeError(
      "value-too-large",
      `A transaction holds ${bytes} bytes of keys and values; the store takes at most ${MAX_TXN_BYTES}. Make the change in smaller parts.`,
      { details: { bytes, maxBytes: MAX_TXN_BYTES } },
    );
  }
}

/** Throws unless every store can have this key. */
export function checkKey(key: string): void {
  assert(key !== "", "a key of the store is not empty");
  assert(key.isWellFormed(), "a key of the store is text that UTF-8 can hold");
}

function checkCount(items: readonly unknown[], what: string): void {
  if (items.length <= MAX_TXN_OPS) return;
  throw new ServeError(
    "value-too-large",
    `A transaction has ${items.length} ${what}; the store takes at most ${MAX_TXN_OPS} (maxTxnOps). Make the change in smaller parts.`,
    { details: { count: items.length, maxTxnOps: MAX_TXN_OPS } },
  );
}

/** etcd refuses a branch that puts a key twice, or puts what it also deletes: there is one change of a key in a revision. */
function checkBranch(ops: readonly Op[]): void {
  const written = new Set<string>();
  for (const op of ops) {
    if (op.kind !== "deletePrefix") checkKey(op.key);
    if (op.kind !== "put") continue;
    assert(!written.has(op.key), `a transaction puts a key once, and ${op.key} is there twice`);
    written.add(op.key);
    checkValue(op.key, op.value);
  }
  for (const op of ops) {
    if (op.kind === "delete") assert(!written.has(op.key), `a transaction does not put and delete one key, ${op.key}`);
    if (op.kind === "deletePrefix") {
      const clash = [...written].find((key) => key.startsWith(op.prefix));
      assert(clash === undefined, `a transaction does not put ${clash} and delete the prefix ${op.prefix}`);
    }
  }
}

function checkValue(key: string, value: string): void {
  assert(value.isWellFormed(), `the value of ${key} is text that UTF-8 can hold`);
  const bytes = Buffer.byteLength(value);
  if (bytes <= MAX_VALUE_BYTES) return;
  throw new ServeError(
    "value-too-large",
    `The value of ${key} has ${bytes} bytes; the store takes at most ${MAX_VALUE_BYTES} (maxValueBytes). Make it smaller, or keep the large part in a file.`,
    { details: { key, bytes, maxValueBytes: MAX_VALUE_BYTES } },
  );
}

function sizeOf(item: Compare | Op): number {
  if (item.kind === "deletePrefix") return Buffer.byteLength(item.prefix);
  return Buffer.byteLength(item.key) + (item.kind === "put" ? Buffer.byteLength(item.value) : 0);
}
