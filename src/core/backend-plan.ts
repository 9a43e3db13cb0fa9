/**
 * What to do next about the replicas of one backend, from what is wanted and what is observed. Pure: the same picture gives the same
 * plan, a plan that is carried out changes the picture, and when the picture is as wanted the plan is empty.
 *
 * Promises: never more processes than wanted + maxSurge, those on their way out included; ready replicas are taken away only while
 * wanted - maxUnavailable others stay; to lose k exactly k go, not-ready ones first, then the youngest; a roll-out whose new replicas
 * fail stops by itself and touches no old one, and what is missing then is started of the version that ran before; a serving replica is withdrawn from routers before it is drained. What is done about
 * replicas that nobody wants gone, and that cannot do their work, is in sick-replicas.ts.
 */
import type { Intent } from "../model/actor.ts";
import type { BackendConfig } from "../model/backend-config.ts";
import type { ActorName } from "../model/ids.ts";
import type { BackendRecord } from "../model/records.ts";
import { deletionReason, reasonOf, standInReason, stoppedRollout } from "./backend-reasons.ts";
import type { ObservedReplica } from "./observed-replica.ts";
import { standsInFor, versionInForce } from "./proven-version.ts";
import { isCurrent, isFailure, isFinal, isNewest, isSick, planSick, type SickPlan } from "./sick-replicas.ts";

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
  /** How many more replicas the nodes have room for, and why no more. */
  readonly room: () => Room;
  /** Whether the pause after the last replacement of a sick replica is over. */
  readonly mayReplace: boolean;
}

export interface Room {
  readonly count: number;
  /** The end of a sentence: "2 of 3 replicas wait: …". */
  readonly shortage: string;
}

export interface BackendPlan {
  /** How many new replicas to start. */
  readonly start: number;
  /** Replicas whose assignment gets the configuration in force. */
  readonly push: readonly ActorName[];
  readonly withdraw: readonly ActorName[];
  readonly restore: readonly ActorName[];
  readonly tell: readonly { readonly actor: ActorName; readonly intent: Intent }[];
  /** Assignments whose process is gone. */
  readonly remove: readonly ActorName[];
  /** Some are withdrawn and go when all routers know it: time alone may bring that about. */
  readonly waits: boolean;
  /** `begins`: sick replicas are replaced by this plan, and the next ones only after a pause · `waits`: for the end of that pause. */
  readonly recovery: "none" | "begins" | "waits";
  /** More replicas would be started if there were room. */
  readonly isShortOfRoom: boolean;
  /** Why the backend is not as wanted, one sentence; undefined: it is, or all is under way. */
  readonly reason: string | undefined;
}

export const planBackend = (seen: ObservedBackend): BackendPlan => {
  const choice = chooseReplicas(seen);
  const going = new Set(choice.going.map(nameOf));
  const benched = new Set(choice.benched.filter((replica) => !going.has(replica.actor)).map(nameOf));
  const departures = choice.going.map((replica) => ({ replica, step: nextStepOut(seen, replica) }));
  const isOut = (replica: ObservedReplica) => going.has(replica.actor) || benched.has(replica.actor);
  return {
    start: choice.start,
    push: seen.replicas.filter((replica) => !going.has(replica.actor) && needsPush(seen.record, replica)).map(nameOf),
    withdraw: [
      ...departures.filter(({ step }) => step === "withdraw").map(({ replica }) => replica.actor),
      ...[...benched].filter((actor) => seen.withdrawal(actor) === "none"),
    ],
    restore: seen.replicas
      .filter((it) => isWanted(it) && !isOut(it) && seen.withdrawal(it.actor) !== "none")
      .map(nameOf),
    tell: [
      ...departures.flatMap(({ replica, step }) =>
        typeof step === "string" ? [] : [{ actor: replica.actor, intent: step }],
      ),
      ...forcedOut(seen),
    ],
    remove: seen.replicas.filter((replica) => replica.phase === "ended").map(nameOf),
    waits: departures.some(({ step }) => step === "withdraw" || step === "wait"),
    recovery: recoveryOf(choice, departures),
    isShortOfRoom: choice.shortage !== undefined,
    reason: choice.reason,
  };
};

type StepOut = "withdraw" | "wait" | Intent;

const recoveryOf = (
  { care }: Choice,
  departures: readonly { readonly replica: ObservedReplica; readonly step: StepOut }[],
): BackendPlan["recovery"] => {
  if (care === undefined) return "none";
  const isTold = departures.some(({ replica, step }) => typeof step !== "string" && care.unreplaced.includes(replica));
  if (isTold || care.replacing > 0) return "begins";
  return care.waits ? "waits" : "none";
};

interface Choice {
  readonly start: number;
  readonly going: readonly ObservedReplica[];
  /** Out of the published set for now, but not gone. */
  readonly benched: readonly ObservedReplica[];
  readonly care: SickPlan | undefined;
  /** Why more replicas are wanted than there is room for. */
  readonly shortage: string | undefined;
  readonly reason: string | undefined;
}

const NOTHING: Choice = { start: 0, going: [], benched: [], care: undefined, shortage: undefined, reason: undefined };

const chooseReplicas = (seen: ObservedBackend): Choice => {
  const { record, config, wanted, replicas } = seen;
  if (wanted === "hold") return NOTHING;
  const kept = replicas.filter(isWanted);
  // Failed with an older configuration or code: no process, nothing to save. Whoever replaces it starts with the new one.
  const given = kept.filter((replica) => replica.phase === "failed" && !isFailure(record, replica));
  const current = kept.filter((replica) => isCurrent(record, replica) && !given.includes(replica));
  const old = kept.filter((replica) => !isCurrent(record, replica) && !given.includes(replica));
  if (wanted === 0) {
    return { ...NOTHING, going: [...given, ...inOrderOfGoing(current), ...old], reason: deletionReason(seen) };
  }
  if (standsInFor(record) !== undefined) return chooseStandIns(seen, wanted, kept);

  const final = current.find((replica) => isFinal(record, replica));
  const sick = current.filter((replica) => isSick(replica) && !isFinal(record, replica));
  const fit = current.filter((replica) => !sick.includes(replica));
  const surplus = inOrderOfGoing(fit).slice(0, Math.max(0, fit.length - wanted));
  const benched = benchedOf(kept, wanted);
  if (old.length > 0 && final !== undefined) {
    return { ...NOTHING, going: [...given, ...surplus], benched, reason: stoppedRollout(final, old) };
  }

  const missing = Math.max(0, wanted - fit.length);
  const surge = surgeOf(seen, wanted);
  const room = missing > 0 && surge > 0 ? seen.room() : undefined;
  const care = planSick({
    sick,
    missing,
    budget: Math.min(surge, room?.count ?? surge),
    spare: kept.filter(isServing).length - floorOfServing(seen, wanted),
    mayReplace: seen.mayReplace,
  });
  const oldOnes = oldOnesToGo({ old, current, floor: wanted - config.maxUnavailable });
  const shortage = room !== undefined && room.count < Math.min(care.wants, surge) ? room.shortage : undefined;
  return {
    start: care.start,
    going: [...given, ...surplus, ...care.going, ...oldOnes],
    benched,
    care,
    shortage,
    reason: reasonOf(seen, { wanted, final, care, shortage, isMoving: oldOnes.length > 0 || isMoving(replicas) }),
  };
};

/**
 * The newest version stands failed: whatever works has a place, of any version; what is missing or sick is replaced by the version that
 * ran before. A replica that failed with the newest one stays to be looked at, unless it takes the room of one that would work.
 */
const chooseStandIns = (seen: ObservedBackend, wanted: number, kept: readonly ObservedReplica[]): Choice => {
  const { record } = seen;
  const fit = kept.filter((replica) => !isSick(replica));
  const newest = kept.filter((replica) => isSick(replica) && isNewest(record, replica));
  const sick = kept.filter((replica) => isSick(replica) && !newest.includes(replica));
  const missing = Math.max(0, wanted - fit.length);
  const surge = surgeOf(seen, wanted);
  const room = missing > 0 ? seen.room() : undefined;
  const budget = Math.min(surge, room?.count ?? surge);
  const spare = Math.max(0, kept.filter(isServing).length - floorOfServing(seen, wanted));
  const care = planSick({ sick, missing, budget, spare, mayReplace: seen.mayReplace });
  const inTheWay = missing > 0 && budget === 0 ? makingRoom(newest, { missing, spare }) : [];
  const shortage = room !== undefined && room.count < Math.min(care.wants, surge) ? room.shortage : undefined;
  const surplus = inOrderOfGoing(fit).slice(0, Math.max(0, fit.length - wanted));
  return {
    start: care.start,
    going: [...surplus, ...care.going, ...inTheWay],
    benched: benchedOf(kept, wanted),
    care,
    shortage,
    reason: standInReason(seen, { wanted, sick, care, shortage }),
  };
};

/** How many processes may be added. One that has failed has none, and its agent starts none. */
const surgeOf = ({ config, replicas }: ObservedBackend, wanted: number): number => {
  const processes = replicas.filter(({ phase }) => phase !== "failed" && phase !== "ended").length;
  return Math.max(0, wanted + config.maxSurge - processes);
};

/** Who still answers, however badly, goes only as far as it can be spared. */
const makingRoom = (
  newest: readonly ObservedReplica[],
  { missing, spare }: { readonly missing: number; readonly spare: number },
): readonly ObservedReplica[] =>
  [...newest.filter((replica) => !isServing(replica)), ...newest.filter(isServing).slice(0, spare)].slice(0, missing);

/** Something will end or begin by itself. */
const isMoving = (replicas: readonly ObservedReplica[]): boolean =>
  replicas.some((replica) => replica.phase === "leaving" || replica.phase === "starting");

/** With surge a replacement is ready before the last one that serves goes, whatever maxUnavailable says. */
const floorOfServing = ({ config }: ObservedBackend, wanted: number): number =>
  Math.max(config.maxSurge > 0 ? 1 : 0, wanted - config.maxUnavailable);

/**
 * Who gets no queries though it has not been told to go: stalled ones always; unhealthy ones while at least half of the wanted replicas
 * are ready and healthy. Below that the fault is more likely to be elsewhere, and some answers are better than none.
 */
const benchedOf = (kept: readonly ObservedReplica[], wanted: number): readonly ObservedReplica[] => {
  const healthy = kept.filter((replica) => replica.phase === "ready" && replica.health === "healthy").length;
  const spares = healthy > 0 && healthy * 2 >= wanted;
  return kept.filter(
    (replica) => replica.serving && (replica.health === "stalled" || (replica.health === "unhealthy" && spares)),
  );
};

/** Old replicas that do not serve go at once; of the others as many as leave `floor`, unhealthy ones first. Those on silent nodes stay. */
const oldOnesToGo = ({
  old,
  current,
  floor,
}: {
  readonly old: readonly ObservedReplica[];
  readonly current: readonly ObservedReplica[];
  readonly floor: number;
}): readonly ObservedReplica[] => {
  const serving = old.filter(isServing);
  const newReady = current.filter((replica) => replica.phase === "ready" && replica.health === "healthy").length;
  const spare = Math.max(0, newReady + serving.length - Math.max(0, floor));
  const useless = old.filter(
    (replica) => replica.phase === "starting" || (replica.phase === "ready" && !isServing(replica)),
  );
  return [...useless, ...inOrderOfGoing(serving).slice(0, spare)];
};

/** Ready, and its event loop turns. */
const isServing = (replica: ObservedReplica): boolean => replica.phase === "ready" && replica.health !== "stalled";

/** Who goes first when some must: the youngest that is not ready, then the youngest that is not healthy, then the youngest. */
const inOrderOfGoing = (replicas: readonly ObservedReplica[]): readonly ObservedReplica[] =>
  replicas.toSorted(
    (a, b) =>
      Number(a.serving) - Number(b.serving) || Number(isHealthy(a)) - Number(isHealthy(b)) || b.ordinal - a.ordinal,
  );

/**
 * Out of the published set first, then drained; who never served is told at once; who has no process, or is forced out, is killed. So is
 * one that is stalled: it would not hear of a drain, and its queries fail sooner than at their deadlines.
 */
const nextStepOut = (seen: ObservedBackend, replica: ObservedReplica): StepOut => {
  if (seen.record.deleting?.force === true || replica.phase === "failed") return { kind: "kill" };
  const withdrawal = seen.withdrawal(replica.actor);
  if (replica.serving && withdrawal !== "complete") return withdrawal === "none" ? "withdraw" : "wait";
  return replica.health === "stalled" ? { kind: "kill" } : { kind: "drain", timeoutMs: seen.drainTimeoutMs };
};

const forcedOut = ({ record, replicas }: ObservedBackend) =>
  record.deleting?.force === true
    ? replicas
        .filter((replica) => replica.phase === "leaving" && replica.assignment.intent.kind === "drain")
        .map((replica) => ({ actor: replica.actor, intent: { kind: "kill" } as const }))
    : [];

/**
 * Old replicas keep the configuration that fits their code and environment: they are on their way out. A configuration that was refused
 * is taken back, from assignments alone: the process goes on with what it has, and its next start is not tried with what is refused.
 */
const needsPush = (record: BackendRecord, replica: ObservedReplica): boolean => {
  const { rollout, configRevision } = versionInForce(record);
  const { assignment } = replica;
  if (!isWanted(replica) || replica.phase === "failed") return false;
  return assignment.rollout === rollout && assignment.configRevision !== configRevision;
};

const isWanted = (replica: ObservedReplica): boolean => replica.assignment.intent.kind === "run";
const isHealthy = (replica: ObservedReplica): boolean => replica.health === "healthy";
const nameOf = (replica: ObservedReplica): ActorName => replica.actor;
