/**
 * Registers this node in the store, so that its status rows count (design: the store). The caller holds the node's kernel lock, so a
 * `nodes/<node>` that is there already is a dead agent's: it goes first; then every old row becomes true again or `exited`, under the
 * compare that no registration is there; then the new one comes, by a lease, under a new incarnation.
 */
import { ServeError } from "../base/serve-error.ts";
import type { ActorStatus, NodeRecord } from "../model/actor.ts";
import type { ActorName, NodeName } from "../model/ids.ts";
import type { Keys } from "../model/keys.ts";
import { MAX_STATUS_ROWS_PER_TXN } from "../model/limits.ts";
import { LEASE_TTL_MS } from "../model/store-limits.ts";
import type { KeyValue, Lease, Op, Store } from "../ports/store.ts";

export interface Registration {
  readonly lease: Lease;
  readonly nodeIncarnation: number;
  /** The fencing token: every status write compares it. */
  readonly createRevision: number;
}

export interface RegistrationWish {
  readonly store: Store;
  readonly keys: Keys;
  readonly record: NodeRecord;
  /** The row as it is now; undefined = this agent knows nothing of the actor. */
  readonly rowOf: (actor: ActorName) => ActorStatus | undefined;
}

/** Rejects with `store-unavailable` when the store does not answer, or when somebody else registers the node at the same time. */
export async function register(wish: RegistrationWish): Promise<Registration> {
  const { store, keys, record } = wish;
  const key = keys.node(record.node);
  await removeLeftOver(store, key);
  await settleRows(wish);
  const lease = await store.lease(LEASE_TTL_MS);
  const created = await store.txn({
    compare: [{ key, kind: "absent" }],
    then: [{ kind: "put", key, value: JSON.stringify(record), lease: lease.id }],
  });
  if (!created.succeeded) {
    await lease.revoke();
    throw contested(record.node);
  }
  return { lease, nodeIncarnation: record.incarnation, createRevision: created.revision };
}

async function removeLeftOver(store: Store, key: string): Promise<void> {
  const found = await store.get(key);
  if (found === undefined) return;
  await store.txn({
    compare: [{ key, kind: "createRevision", equals: found.createRevision }],
    then: [{ kind: "delete", key }],
  });
  if (found.lease !== undefined) await store.revokeLease(found.lease);
}

async function settleRows({ store, keys, record, rowOf }: RegistrationWish): Promise<void> {
  const rows = await store.list(keys.statusesOf(record.node));
  const assigns = await store.list(keys.assignsOf(record.node));
  const assigned = new Set(assigns.entries.map((entry) => actorOf(entry.key)));
  const ops = rows.entries.map((entry) => settle(entry, { rowOf, assigned, record }));
  for (let from = 0; from < ops.length; from += MAX_STATUS_ROWS_PER_TXN) {
    const settled = await store.txn({
      compare: [{ key: keys.node(record.node), kind: "absent" }],
      then: ops.slice(from, from + MAX_STATUS_ROWS_PER_TXN),
    });
    if (!settled.succeeded) throw contested(record.node);
  }
}

interface Facts {
  readonly rowOf: RegistrationWish["rowOf"];
  readonly assigned: ReadonlySet<ActorName>;
  readonly record: NodeRecord;
}

function settle({ key, value }: KeyValue, { rowOf, assigned, record }: Facts): Op {
  const actor = actorOf(key);
  if (!assigned.has(actor)) return { kind: "delete", key };
  const row = rowOf(actor) ?? exited(JSON.parse(value) as ActorStatus, record);
  return { kind: "put", key, value: JSON.stringify(row) };
}

const exited = (row: ActorStatus, { incarnation }: NodeRecord): ActorStatus => ({
  ...row,
  state: "exited",
  pid: undefined,
  address: undefined,
  nodeIncarnation: incarnation,
});

/** `/shop/status/local/iris:v1#7` → `iris:v1#7`: no part of a key holds a slash. */
export const actorOf = (key: string): ActorName => key.slice(key.lastIndexOf("/") + 1) as ActorName;

const contested = (node: NodeName): ServeError =>
  new ServeError(
    "store-unavailable",
    `node "${node}" was registered by somebody else meanwhile. If two machines have this name, give one another by --node.`,
    { retryable: true, details: { node } },
  );
