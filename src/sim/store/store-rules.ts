/** What every store refuses, in etcd's terms: too much in a transaction, a key written twice. And the order of keys. */
import { assert } from "../../base/assert.ts";
import { ServeError } from "../../base/serve-error.ts";
import { MAX_TXN_BYTES, MAX_TXN_OPS, MAX_VALUE_BYTES } from "../../model/store-limits.ts";
import type { Compare, Op, Txn } from "../../ports/store.ts";

/** Throws unless every store takes this transaction. */
export const checkTxn = (txn: Txn): void => {
  const otherwise = txn.else ?? [];
  for (const items of [txn.compare, txn.then, otherwise]) {
    if (items.length > MAX_TXN_OPS) tooLarge(`${items.length} ops, more than ${MAX_TXN_OPS} (maxTxnOps)`);
  }
  checkBranch(txn.then);
  checkBranch(otherwise);
  for (const { key } of txn.compare) checkKey(key);
  const bytes = [...txn.compare, ...txn.then, ...otherwise].reduce((sum, item) => sum + sizeOf(item), 0);
  if (bytes > MAX_TXN_BYTES) tooLarge(`${bytes} bytes, more than ${MAX_TXN_BYTES}`);
};

export const checkKey = (key: string): void => {
  assert(key !== "", "a key of the store is not empty");
  assert(key.isWellFormed(), "a key of the store is text that UTF-8 can hold");
};

/** Bytewise, as UTF-8: as UTF-16 where the first difference lies below the surrogates. */
export const compareKeys = (a: string, b: string): number => {
  let index = 0;
  while (index < a.length && index < b.length && a.charCodeAt(index) === b.charCodeAt(index)) index += 1;
  const [left, right] = [a.charCodeAt(index), b.charCodeAt(index)];
  if (left >= SURROGATES || right >= SURROGATES) return Buffer.compare(Buffer.from(a), Buffer.from(b));
  // Beyond the end is NaN: the shorter one is first.
  return Number.isNaN(left) || Number.isNaN(right) ? a.length - b.length : left - right;
};

const SURROGATES = 0xd800;

const checkBranch = (ops: readonly Op[]): void => {
  const put = new Set<string>();
  for (const op of ops) {
    if (op.kind !== "deletePrefix") checkKey(op.key);
    if (op.kind !== "put") continue;
    assert(!put.has(op.key), `a transaction puts a key once, and ${op.key} is there twice`);
    put.add(op.key);
    assert(op.value.isWellFormed(), `the value of ${op.key} is text that UTF-8 can hold`);
    if (Buffer.byteLength(op.value) > MAX_VALUE_BYTES) tooLarge(`a value above ${MAX_VALUE_BYTES} bytes at ${op.key}`);
  }
  for (const op of ops) {
    if (op.kind === "delete") assert(!put.has(op.key), `a transaction does not put and delete one key, ${op.key}`);
    if (op.kind !== "deletePrefix") continue;
    const clash = [...put].find((key) => key.startsWith(op.prefix));
    assert(clash === undefined, `a transaction does not put ${clash} and delete the prefix ${op.prefix}`);
  }
};

const tooLarge = (what: string): never => {
  throw new ServeError("value-too-large", `a transaction holds ${what}. Make the change in smaller parts.`);
};

const sizeOf = (item: Compare | Op): number => {
  if (item.kind === "deletePrefix") return Buffer.byteLength(item.prefix);
  return Buffer.byteLength(item.key) + (item.kind === "put" ? Buffer.byteLength(item.value) : 0);
};
