/**
 * Looks at one backend: observes it, plans (backend-plan.ts), writes the plan down as changes, and settles its goal. What does not fit
 * into the transaction is found again at the next look. A backend that is being deleted ends here, with its last replica.
 */
import type { Assignment, Intent, ReplicaSpec } from "../model/actor.ts";
import { type ActorName, actorName, type BackendTag, type EndpointTag } from "../model/ids.ts";
import {
  HEAR_NODES_WINDOW_MS,
  MAX_ROWS_PER_STEP,
  RECONNECT_WINDOW_MS,
  SHUTDOWN_DRAIN_MS,
  WITHDRAW_WINDOW_MS,
} from "../model/limits.ts";
import type { BackendRecord, InstanceRecord } from "../model/records.ts";
import { targetReplicas } from "./autoscaling.ts";
import { type BackendPlan, type ObservedBackend, planBackend } from "./backend-plan.ts";
import { utf8Length } from "./canonical.ts";
import { waitingEndpoints } from "./dirty.ts";
import type { Draft } from "./draft.ts";
import { settleGoal } from "./goals.ts";
import { judgeBackend, routersBehind } from "./judge-goals.ts";
import { observeReplicas } from "./observed-replica.ts";
import { describeShortage, type NodeLoad, placeActor, roomFor } from "./placement.ts";
import { isProven, versionToStart, withProof, withStop } from "./proven-version.ts";
import { rescale } from "./rescale.ts";
import { mayReplaceAt, withReplacement } from "./sick-replicas.ts";
import type { Withdrawal } from "./soft-state.ts";
import type { View } from "./view.ts";

export const reconcileBackend = (draft: Draft, tag: BackendTag): void => {
  const { view } = draft;
  const instance = view.instance();
  if (instance === undefined) return;
  rescale(draft, tag);
  const record = view.backend(tag);
  if (record === undefined) return;

  const seen = observeBackend(draft, record, instance);
  const plan = planBackend(seen);
  carryOut(draft, seen, plan);
  if (plan.isShortOfRoom !== draft.soft.notes.unplaced.has(tag)) {
    draft.note("unplaced", tag, plan.isShortOfRoom ? true : undefined);
  }
  draft.explain(`backend/${tag}`, plan.reason);
  settle(draft, seen);
};

/** Replicas that shall run: none while it is deleted or the instance stops; while proxies still finish, what runs runs on. */
export const wantedReplicas = (view: View, record: BackendRecord): number | "hold" => {
  if (record.deleting !== undefined) return 0;
  if (view.instance()?.phase === "running") return targetReplicas(record, view.config(record.tag));
  return view.proxies().size > 0 ? "hold" : 0;
};

const observeBackend = (draft: Draft, record: BackendRecord, instance: InstanceRecord): ObservedBackend => {
  const config = draft.view.config(record.tag);
  return {
    record,
    config,
    wanted: wantedReplicas(draft.view, record),
    replicas: observeReplicas(draft.view, record.tag),
    withdrawal: (actor) => withdrawalOf(draft, actor),
    drainTimeoutMs:
      instance.phase === "erasing"
        ? Math.min(config.gracefulShutdownTimeoutMs, SHUTDOWN_DRAIN_MS)
        : config.gracefulShutdownTimeoutMs,
    room: () => {
      const nodes = nodeLoads(draft.view);
      const { resources } = versionToStart(record, config).config;
      return { count: roomFor(nodes, resources), shortage: describeShortage(nodes, resources) };
    },
    mayReplace: draft.now.timestamp >= mayReplaceAt(record, draft.now.timestamp),
  };
};

const withdrawalOf = (draft: Draft, actor: ActorName): "none" | "under way" | "complete" => {
  if (!draft.isWithdrawn(actor)) return "none";
  const withdrawal = draft.soft.withdrawals.get(actor);
  // Decided in this very turn: nobody has been told yet.
  if (withdrawal === undefined) return "under way";
  const { view, soft, now } = draft;
  const told = toldOf(draft, actor, withdrawal);
  // Who is new to this life is told nothing before it can be told all.
  const completeSince = soft.routers.completeSince();
  if (told === undefined || completeSince === undefined) {
    const isLate = now.instant >= withdrawal.at + HEAR_NODES_WINDOW_MS + WITHDRAW_WINDOW_MS;
    // After a stop of this process all windows are over at once; what this turn publishes is told first.
    return isLate && !draft.mayPublish() ? "complete" : "under way";
  }
  if (now.instant >= Math.max(told.at, completeSince) + WITHDRAW_WINDOW_MS) return "complete";
  if (!soft.life.first && now.instant < soft.life.startedAt + RECONNECT_WINDOW_MS) return "under way";
  return routersBehind(view, soft, told.counter).length === 0 ? "complete" : "under way";
};

/** The snapshot by which every endpoint of the replica's backend is published without it; undefined: one is still held back. */
const toldOf = ({ view, soft }: Draft, actor: ActorName, withdrawal: Withdrawal): Withdrawal | undefined => {
  const spec = view.assignment(actor)?.spec;
  if (spec?.kind !== "replica") return withdrawal;
  let told = withdrawal;
  const names = view.endpointsOf(spec.backend);
  // An endpoint that names the backend no more may still be published as it was.
  for (const endpoint of new Set([...names, ...changedEndpoints(view)])) {
    const published = soft.published.get(endpoint);
    const replicas = published?.closure?.backends[spec.backend]?.replicas;
    if (replicas?.some(({ replica }) => replica === actor)) return undefined;
    if (!names.has(endpoint)) continue;
    if (published === undefined) return undefined;
    if (published.counter > told.counter) told = published;
  }
  return told;
};

/** Endpoints whose last change routers have not all applied. */
const changedEndpoints = (view: View): readonly EndpointTag[] =>
  waitingEndpoints(view).map((key) => key.slice("endpoint/".length) as EndpointTag);

/** Writes the plan down. */
const carryOut = (draft: Draft, seen: ObservedBackend, plan: BackendPlan): void => {
  const { tag } = seen.record;
  const steps: (() => void)[] = [
    ...plan.remove.map((actor) => () => draft.delete("assignment", actor)),
    ...plan.tell.map(
      ({ actor, intent }) =>
        () =>
          tell(draft, actor, intent),
    ),
    ...plan.push.map((actor) => () => push(draft, seen, actor)),
  ];
  const bytes = steps.length + plan.start === 0 ? 0 : rowBytes(seen);
  for (const [index, step] of steps.entries()) {
    if (index >= MAX_ROWS_PER_STEP || !draft.hasRoom(ROWS_RESERVE, bytes)) {
      draft.postpone(`backend/${tag}`);
      return;
    }
    step();
  }
  for (const actor of plan.withdraw) draft.withdraw(actor, "withdraw");
  for (const actor of plan.restore) draft.withdraw(actor, "restore");
  if (plan.withdraw.length + plan.restore.length > 0) {
    for (const endpoint of draft.view.endpointsOf(tag)) draft.dirty.add(`endpoint/${endpoint}`);
  }
  if (plan.waits) draft.wakeAt(`backend/${tag}`, nextLook(draft, seen));
  noteRecovery(draft, seen, plan);
  startReplicas(draft, seen, { count: plan.start, bytes });
};

const noteRecovery = (draft: Draft, { record }: ObservedBackend, { recovery }: BackendPlan): void => {
  const { instant, timestamp } = draft.now;
  if (recovery === "begins") draft.put("backend", record.tag, withReplacement(record, timestamp));
  else if (recovery === "waits") {
    draft.wakeAt(`backend/${record.tag}`, instant + mayReplaceAt(record, timestamp) - timestamp);
  }
};

/** One row, its instance counter, the backend and its goal. */
const ROWS_RESERVE = 4;

/** When time alone completes the first withdrawal. */
const nextLook = (draft: Draft, seen: ObservedBackend): number => {
  const { soft, now } = draft;
  const ends = seen.replicas.map(({ actor }) => (soft.withdrawals.get(actor)?.at ?? now.instant) + WITHDRAW_WINDOW_MS);
  const reconnected = soft.life.startedAt + RECONNECT_WINDOW_MS;
  // Publications that were held back may come at any time.
  const later = now.instant + WITHDRAW_WINDOW_MS;
  return Math.min(
    ...ends.filter((end) => end > now.instant),
    reconnected > now.instant ? reconnected : Infinity,
    later,
  );
};

const tell = (draft: Draft, actor: ActorName, intent: Intent): void => {
  const assignment = draft.view.assignment(actor);
  if (assignment !== undefined) draft.put("assignment", actor, { ...assignment, intent });
};

const push = (draft: Draft, seen: ObservedBackend, actor: ActorName): void => {
  const assignment = draft.view.assignment(actor);
  if (assignment === undefined || assignment.spec.kind !== "replica") return;
  const { config, configRevision } = versionToStart(seen.record, seen.config);
  const spec: ReplicaSpec = { ...assignment.spec, config };
  draft.put("assignment", actor, { ...assignment, spec, configRevision });
};

const startReplicas = (
  draft: Draft,
  seen: ObservedBackend,
  { count, bytes }: { readonly count: number; readonly bytes: number },
): void => {
  if (count === 0) return;
  const { record } = seen;
  const { resources } = versionToStart(record, seen.config).config;
  for (let started = 0; started < count; started += 1) {
    const instance = draft.view.instance();
    if (instance === undefined || started >= MAX_ROWS_PER_STEP || !draft.hasRoom(ROWS_RESERVE, bytes)) {
      draft.postpone(`backend/${record.tag}`);
      return;
    }
    const node = placeActor(nodeLoads(draft.view), resources);
    // The plan starts no more than there is room for.
    if (node === undefined) return;
    const ordinal = instance.nextOrdinal;
    draft.put("instance", "", { ...instance, nextOrdinal: ordinal + 1 });
    const replica = newReplica(record, seen, { ordinal, node });
    draft.put("assignment", replica.actor, replica);
  }
};

const newReplica = (
  record: BackendRecord,
  seen: ObservedBackend,
  place: { readonly ordinal: number; readonly node: Assignment["node"] },
): Assignment => {
  const { code, identity, config, rollout, configRevision } = versionToStart(record, seen.config);
  return {
    actor: actorName(record.tag, place.ordinal),
    node: place.node,
    spec: { kind: "replica", backend: record.tag, code, identity, config },
    rollout,
    configRevision,
    intent: { kind: "run" },
  };
};

/** Bytes of a row in a transaction, its key included. */
const rowBytes = (seen: ObservedBackend): number =>
  utf8Length(JSON.stringify(newReplica(seen.record, seen, { ordinal: 0, node: "" as Assignment["node"] }))) + KEY_BYTES;

/** Two keys, in compare and op, with the longest names. */
const KEY_BYTES = 600;

/** Registered nodes only: a silent one may be gone. */
const nodeLoads = (view: View): NodeLoad[] =>
  Array.from(view.all("node"), (record) => ({
    record,
    actors: view.actorsOn(record.node).size,
    used: view.usedOn(record.node),
  }));

const settle = (draft: Draft, { record: { tag } }: ObservedBackend): void => {
  const { view } = draft;
  // As this look has left it.
  const record = view.backend(tag);
  if (record === undefined) return;
  const wanted = wantedReplicas(view, record);
  if (wanted === "hold") return;
  if (record.deleting === undefined && view.instance()?.phase !== "running") return;
  const verdict = judgeBackend(record, wanted, observeReplicas(view, tag));
  if (verdict.kind === "pending") return;
  const outcome =
    verdict.kind === "failed" ? ({ state: "failed", error: verdict.error } as const) : ({ state: "reached" } as const);
  if (!draft.hasRoom(ROWS_RESERVE)) {
    draft.postpone(`backend/${tag}`);
    return;
  }
  for (const goal of [...view.pendingGoalsOf(`backend/${tag}`)]) settleGoal(draft, goal, outcome);
  if (record.deleting !== undefined) draft.delete("backend", tag);
  else if (verdict.kind === "failed") noteStop(draft, record, verdict.why);
  else if (!isProven(record)) draft.put("backend", tag, withProof(record));
};

/** The look that follows starts what runs instead. */
const noteStop = (draft: Draft, record: BackendRecord, why: string): void => {
  const stopped = withStop(record, why);
  if (stopped !== record) draft.put("backend", record.tag, stopped);
};
