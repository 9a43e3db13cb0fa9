/**
 * Turns a decision's changes into one fenced transaction: it takes effect only while this controller's epoch is the leader's, and only
 * on the revisions that the decision was made on.
 */
import { isServeError, messageOf } from "../base/serve-error.ts";
import type { Change } from "../core/facts.ts";
import type { NodeName } from "../model/ids.ts";
import type { Keys } from "../model/keys.ts";
import type { Compare, Op, Store } from "../ports/store.ts";

export type Saved =
  | { readonly kind: "saved"; readonly revision: number }
  /** Somebody else leads, or has written what only the leader writes. Nothing was changed. */
  | { readonly kind: "fenced" }
  /** The answer was lost: it may have taken effect. */
  | { readonly kind: "unknown"; readonly message: string }
  /** The store would not take it: a bug of ours. Nothing was changed. */
  | { readonly kind: "refused"; readonly message: string };

export interface Fence {
  readonly store: Store;
  readonly keys: Keys;
  readonly epoch: number;
}

export const save = (fence: Fence, changes: readonly Change[]): Promise<Saved> =>
  commit(fence, {
    compare: changes.map(({ key, expectedRevision }) =>
      expectedRevision === 0 ? { key, kind: "absent" } : { key, kind: "modRevision", equals: expectedRevision },
    ),
    then: changes.map(({ key, text }) =>
      text === undefined ? { kind: "delete", key } : { kind: "put", key, value: text },
    ),
  });

/** The last transaction of an instance: everything under its prefix goes, the leader's key too. */
export const erase = (fence: Fence): Promise<Saved> =>
  commit(fence, { compare: [], then: [{ kind: "deletePrefix", prefix: fence.keys.root }] });

/**
 * All rows that the agents of these nodes wrote, of those that are still not registered. Not part of a decision's transaction: agents
 * write these rows, and one that is back must find its own. What fails is decided again later.
 */
export const collectNodes = async (fence: Fence, nodes: readonly NodeName[]): Promise<void> => {
  for (const node of nodes) {
    await commit(fence, {
      compare: [{ key: fence.keys.node(node), kind: "absent" }],
      then: [{ kind: "deletePrefix", prefix: fence.keys.statusesOf(node) }],
    });
  }
};

const commit = async (
  { store, keys, epoch }: Fence,
  { compare, then }: { readonly compare: readonly Compare[]; readonly then: readonly Op[] },
): Promise<Saved> => {
  const leads: Compare = { key: keys.leader, kind: "createRevision", equals: epoch };
  try {
    const result = await store.txn({ compare: [leads, ...compare], then });
    return result.succeeded ? { kind: "saved", revision: result.revision } : { kind: "fenced" };
  } catch (error) {
    const isUnknown = !isServeError(error) || error.code === "store-unavailable";
    return { kind: isUnknown ? "unknown" : "refused", message: messageOf(error) };
  }
};
