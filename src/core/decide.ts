/**
 * The controller's one decision: what to change, answer and publish, given all it knows, what came in, and the time. Pure: the view is
 * as it was when it returns, and the same arguments give the same decision, so that `plan` and simulations ask it too.
 *
 * Calls come first, in order; then the dirty keys, and the keys that the changes themselves made dirty, until everything is at rest or
 * the transaction is full. What is left is handed back for the next turn. One throw inside one thing's reconcile undoes that thing's
 * part and is handed back as a fault: the others go on.
 */
import { messageOf } from "../base/serve-error.ts";
import type { Instant } from "../base/time.ts";
import type { Call } from "../model/calls.ts";
import type { ActorName, BackendTag, EndpointTag, GoalId, NodeName } from "../model/ids.ts";
import type { Keys } from "../model/keys.ts";
import { MAX_KEYS_PER_TURN } from "../model/limits.ts";
import { applyCall } from "./apply-call.ts";
import { type CallOutcome, refuse } from "./calls/outcome.ts";
import { type DirtyKey, type DirtyKeys, everything } from "./dirty.ts";
import { Draft, type Now, type Publication } from "./draft.ts";
import type { Change } from "./facts.ts";
import { forgetGoals } from "./forget-goals.ts";
import { reconcileGoal } from "./goals.ts";
import type { NoteChanges } from "./notes.ts";
import { reconcileBackend } from "./reconcile-backend.ts";
import { reconcileEndpoint } from "./reconcile-endpoint.ts";
import { beginLife, reconcileInstance, type Wanted } from "./reconcile-instance.ts";
import { reconcileNodes } from "./reconcile-nodes.ts";
import { reconcileProxies } from "./reconcile-proxies.ts";
import type { SoftState } from "./soft-state.ts";
import type { View } from "./view.ts";

export interface World {
  readonly view: View;
  readonly soft: SoftState;
  readonly keys: Keys;
}

export interface Inputs {
  /** In the first turn of a life: what its process was started with. */
  readonly begin?: Wanted | undefined;
  readonly calls: readonly Call[];
  readonly dirty: Iterable<DirtyKey>;
  /** Keys to leave alone: their reconcile threw a moment ago. */
  readonly quarantined: ReadonlySet<DirtyKey>;
}

export interface Reply {
  readonly call: Call;
  readonly outcome: CallOutcome;
}

export interface Decision {
  readonly changes: readonly Change[];
  readonly replies: readonly Reply[];
  readonly publications: readonly Publication[];
  readonly withdrawals: ReadonlyMap<ActorName, "withdraw" | "restore">;
  readonly notes: NoteChanges;
  /** When to look at a key again though nothing has changed. */
  readonly wakes: ReadonlyMap<DirtyKey, Instant>;
  /** Why a thing is not as wanted; undefined: it is. */
  readonly reasons: ReadonlyMap<string, string | undefined>;
  readonly faults: readonly { readonly key: DirtyKey; readonly message: string }[];
  /** Dead nodes: delete the rows that their agents wrote, unless they are back. */
  readonly collected: readonly NodeName[];
  /** The instance is over: delete everything under its prefix. */
  readonly erase: boolean;
  readonly leftCalls: readonly Call[];
  readonly leftDirty: DirtyKeys;
}

export const decide = (world: World, inputs: Inputs, now: Now): Decision => {
  const draft = new Draft(world, now);
  try {
    if (inputs.begin !== undefined) {
      beginLife(draft, inputs.begin);
      draft.dirty.addAll(everything(world.view));
    }
    draft.dirty.addAll(inputs.dirty);
    const { replies, leftCalls } = applyCalls(draft, inputs.calls);
    const faults = reconcileKeys(draft, inputs.quarantined);
    return { ...draft.finish(), replies, leftCalls, faults };
  } finally {
    draft.rollback(0);
  }
};

/** Room that a call needs: its thing, its goal, and the goals that it supersedes. */
const CALL_RESERVE = 8;

const applyCalls = (
  draft: Draft,
  calls: readonly Call[],
): { replies: readonly Reply[]; leftCalls: readonly Call[] } => {
  const replies: Reply[] = [];
  for (const [index, call] of calls.entries()) {
    if (!draft.hasRoom(CALL_RESERVE)) return { replies, leftCalls: calls.slice(index) };
    const mark = draft.mark();
    const isFirst = draft.isEmpty();
    const outcome = applyOne(draft, call);
    if (draft.isOverfull() && !isFirst) {
      draft.rollback(mark);
      return { replies, leftCalls: calls.slice(index) };
    }
    replies.push({ call, outcome });
  }
  return { replies, leftCalls: [] };
};

const applyOne = (draft: Draft, call: Call): CallOutcome => {
  const mark = draft.mark();
  try {
    return applyCall(draft, call);
  } catch (error) {
    draft.rollback(mark);
    return refuse("internal", `${call.kind}: a bug in maitred kept it from being applied: ${messageOf(error)}`);
  }
};

/** Room that the smallest step of a reconcile needs. */
const KEY_RESERVE = 6;

const reconcileKeys = (draft: Draft, quarantined: ReadonlySet<DirtyKey>): Decision["faults"] => {
  const faults: { key: DirtyKey; message: string }[] = [];
  const broken = new Set<DirtyKey>();
  for (let looked = 0; looked < MAX_KEYS_PER_TURN && draft.hasRoom(KEY_RESERVE); looked += 1) {
    const key = draft.dirty.take();
    if (key === undefined) break;
    if (quarantined.has(key) || broken.has(key)) continue;
    const mark = draft.mark();
    try {
      reconcile(draft, key);
    } catch (error) {
      draft.rollback(mark);
      broken.add(key);
      faults.push({ key, message: messageOf(error) });
    }
  }
  return faults;
};

const reconcile = (draft: Draft, key: DirtyKey): void => {
  const slash = key.indexOf("/");
  const kind = slash < 0 ? key : key.slice(0, slash);
  const id = key.slice(slash + 1);
  if (kind === "instance") reconcileInstance(draft);
  else if (kind === "nodes") reconcileNodes(draft);
  else if (kind === "proxies") reconcileProxies(draft);
  else if (kind === "backend") reconcileBackend(draft, id as BackendTag);
  else if (kind === "endpoint") reconcileEndpoint(draft, id as EndpointTag);
  else if (kind === "goal") reconcileGoal(draft, id as GoalId);
  else forgetGoals(draft);
};
