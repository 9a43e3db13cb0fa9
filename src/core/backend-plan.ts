/**
 * What to do next about the replicas of one backend, from what is wanted and what is observed. Pure: the same picture gives the same
 * plan, a plan that is carried out changes the picture, and when the picture is as wanted the plan is empty.
 *
 * Promises: never more processes than wanted + maxSurge, those on their way out included; ready replicas are taken away only while
 * wanted - maxUnavailable others stay; to lose k exactly k go, not-ready ones first, then the youngest; a roll-out whose new replicas
 * fail stops by itself and touches no old one; a serving replica is withdrawn from routers before it is drained.
 */
import type { Intent } from "../model/actor.ts";
import type { BackendConfig } from "../model/backend-config.ts";
import type { ActorName } from "../model/ids.ts";
import type { BackendRecord } from "../model/records.ts";
import type { ObservedReplica } from "./observed-replica.ts";

export interface ObservedBackend {
  readonly record: BackendRecord;
  readonly config: BackendConfig;
  /** How many replicas shall run; `hold`: neither start nor end any for now. */
  readonly wanted: number | "hold";
  /** Oldest first. */
  readonly replicas: readonly ObservedReplica[];
  /** How far routers have been told that a replica goes; `complete`: all have applied it, or were given time enough. */
  readonly withdrawal: (actor: ActorName) => "none" | "under way" | "complete";
  readonly drainTimeoutMs: number;
}

export interface BackendPlan {
  /** How many new replicas to start. */
  readonly start: number;
  /** Running replicas whose assignment gets the present configuration. */
  readonly push: readonly ActorName[];
  readonly withdraw: readonly ActorName[];
  readonly restore: readonly ActorName[];
  readonly tell: readonly { readonly actor: ActorName; readonly intent: Intent }[];
  /** Assignments whose process is gone. */
  readonly remove: readonly ActorName[];
  /** Why the backend is not as wanted, one sentence; undefined: it is, or all is under way. */
  readonly reason: string | undefined;
}

export const planBackend = (seen: ObservedBackend): BackendPlan => {
  const choice = chooseReplicas(seen);
  const going = new Set(choice.going.map((replica) => replica.actor));
  const departures = choice.going.map((replica) => ({ replica, step: nextStepOut(seen, replica) }));
  const stepped = (step: "withdraw") => departures.filter((it) => it.step === step).map((it) => it.replica.actor);
  return {
    start: choice.start,
    push: seen.replicas.filter((replica) => !going.has(replica.actor) && needsPush(seen.record, replica)).map(nameOf),
    withdraw: stepped("withdraw"),
    restore: seen.replicas
      .filter((it) => isWanted(it) && !going.has(it.actor) && seen.withdrawal(it.actor) !== "none")
      .map(nameOf),
    tell: [
      ...departures.flatMap(({ replica, step }) =>
        typeof step === "string" ? [] : [{ actor: replica.actor, intent: step }],
      ),
      ...forcedOut(seen),
    ],
    remove: seen.replicas.filter((replica) => replica.phase === "ended").map(nameOf),
    reason: choice.reason,
  };
};

/** A replica of the present roll-out that could not start with the present configuration: it keeps its place until the next change. */
export const isFailure = (record: BackendRecord, replica: ObservedReplica): boolean =>
  replica.phase === "failed" &&
  isCurrent(record, replica) &&
  replica.assignment.configRevision >= record.configRevision;

export const isCurrent = (record: BackendRecord, replica: ObservedReplica): boolean =>
  replica.assignment.rollout === record.rollout;

/** "replica iris:v1#7 failed to start 3 times: bad weights" */
export const describeFailure = (replica: ObservedReplica): string =>
  `replica ${replica.actor} failed to start ${replica.failedStarts === 1 ? "once" : `${replica.failedStarts} times`}: ${replica.error?.message.replace(/\.$/, "") ?? "its process ended"}`;

interface Choice {
  readonly start: number;
  readonly going: readonly ObservedReplica[];
  readonly reason: string | undefined;
}

const chooseReplicas = (seen: ObservedBackend): Choice => {
  const { record, config, wanted, replicas } = seen;
  if (wanted === "hold") return { start: 0, going: [], reason: undefined };
  const kept = replicas.filter(isWanted);
  // Failed with an older configuration or code: no process, nothing to save. Whoever replaces it starts with the new one.
  const given = kept.filter((replica) => replica.phase === "failed" && !isFailure(record, replica));
  const current = kept.filter((replica) => isCurrent(record, replica) && !given.includes(replica));
  const old = kept.filter((replica) => !isCurrent(record, replica) && !given.includes(replica));
  const failure = current.find((replica) => isFailure(record, replica));

  const surplus = inOrderOfGoing(current).slice(0, Math.max(0, current.length - wanted));
  if (wanted === 0) return { start: 0, going: [...given, ...surplus, ...old], reason: undefined };
  if (old.length > 0 && failure !== undefined) {
    return { start: 0, going: [...given, ...surplus], reason: stoppedRollout(failure, old) };
  }

  const processes = replicas.filter((replica) => replica.phase !== "failed" && replica.phase !== "ended").length;
  const missing = Math.max(0, wanted - current.length);
  const start = Math.max(0, Math.min(missing, wanted + config.maxSurge - processes));
  const going = [...given, ...surplus, ...oldOnesToGo({ old, current, floor: wanted - config.maxUnavailable })];
  return { start, going, reason: reasonOf(seen, { failure, missing, start }) };
};

/** Old replicas that are not ready go at once; of the ready ones as many as leave `floor` ready. Those on silent nodes stay. */
const oldOnesToGo = ({
  old,
  current,
  floor,
}: {
  readonly old: readonly ObservedReplica[];
  readonly current: readonly ObservedReplica[];
  readonly floor: number;
}): readonly ObservedReplica[] => {
  const ready = old.filter((replica) => replica.phase === "ready");
  const newReady = current.filter((replica) => replica.phase === "ready").length;
  const spare = Math.max(0, newReady + ready.length - Math.max(0, floor));
  return [...old.filter((replica) => replica.phase === "starting"), ...inOrderOfGoing(ready).slice(0, spare)];
};

/** Who goes first when some must: the youngest that is not ready, then the youngest. */
const inOrderOfGoing = (replicas: readonly ObservedReplica[]): readonly ObservedReplica[] =>
  replicas.toSorted((a, b) => Number(a.serving) - Number(b.serving) || b.ordinal - a.ordinal);

/** Out of the published set first, then drained; who never served is told at once; who has no process, or is forced out, is killed. */
const nextStepOut = (seen: ObservedBackend, replica: ObservedReplica): "withdraw" | "wait" | Intent => {
  if (seen.record.deleting?.force === true || replica.phase === "failed") return { kind: "kill" };
  const withdrawal = seen.withdrawal(replica.actor);
  if (replica.serving && withdrawal !== "complete") return withdrawal === "none" ? "withdraw" : "wait";
  return { kind: "drain", timeoutMs: seen.drainTimeoutMs };
};

const forcedOut = ({ record, replicas }: ObservedBackend) =>
  record.deleting?.force === true
    ? replicas
        .filter((replica) => replica.phase === "leaving" && replica.assignment.intent.kind === "drain")
        .map((replica) => ({ actor: replica.actor, intent: { kind: "kill" } as const }))
    : [];

/** Old replicas keep the configuration that fits their code and environment: they are on their way out. */
const needsPush = (record: BackendRecord, replica: ObservedReplica): boolean =>
  isWanted(replica) &&
  replica.phase !== "failed" &&
  isCurrent(record, replica) &&
  replica.assignment.configRevision < record.configRevision;

const isWanted = (replica: ObservedReplica): boolean => replica.assignment.intent.kind === "run";
const nameOf = (replica: ObservedReplica): ActorName => replica.actor;

const stoppedRollout = (failure: ObservedReplica, old: readonly ObservedReplica[]): string =>
  `the roll-out stopped: ${describeFailure(failure)}. ${old.length} older ${old.length === 1 ? "replica goes" : "replicas go"} on serving. ${CHANGE_AGAIN}`;

const CHANGE_AGAIN = "Change the configuration, or restart the backend to try again.";
/** Of a backend that never ran: it can still become another one. */
const CREATE_AGAIN = "Create it again, also with other code or configuration, or delete it.";

const reasonOf = (
  { record, config, wanted, replicas }: ObservedBackend,
  {
    failure,
    missing,
    start,
  }: { readonly failure: ObservedReplica | undefined; readonly missing: number; readonly start: number },
): string | undefined => {
  if (failure !== undefined) {
    const cure = record.unproven === true ? CREATE_AGAIN : CHANGE_AGAIN;
    return `${describeFailure(failure)}. ${cure}`;
  }
  const silent = replicas.find((replica) => replica.phase === "silent");
  if (silent !== undefined) {
    return `the agent of node ${silent.assignment.node} is silent: what its replicas do is unknown; they stay published.`;
  }
  if (missing > start) {
    return `${missing - start} of ${wanted} replicas wait until others have ended: at most ${wanted}+${config.maxSurge} processes run at a time.`;
  }
  const starting = replicas.filter((replica) => replica.phase === "starting").length + start;
  return starting > 0 ? `${starting} of ${wanted} replicas are starting.` : undefined;
};
