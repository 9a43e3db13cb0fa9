/** Why a backend is not as wanted, in one sentence for people: what `status` shows, `explain` answers and the log holds. */
import type { BackendRecord } from "../model/records.ts";
import type { ObservedBackend } from "./backend-plan.ts";
import type { ObservedReplica } from "./observed-replica.ts";
import { nameOfVersion, standsInFor } from "./proven-version.ts";
import { isCurrent, isSick, pauseAfter, type SickPlan } from "./sick-replicas.ts";

/** "replica iris:v1#7 failed to start 3 times: bad weights" */
export const describeFailure = (replica: ObservedReplica): string =>
  replica.phase === "failed"
    ? `replica ${replica.actor} failed to start ${replica.failedStarts === 1 ? "once" : `${replica.failedStarts} times`}: ${replica.error?.message.replace(/\.$/, "") ?? "its process ended"}`
    : `replica ${replica.actor}, like those that it replaced, is ${describeHealth(replica)}`;

/** "unhealthy: checkHealth() threw: no GPU" */
const describeHealth = ({ health, healthReason }: ObservedReplica): string =>
  `${health}: ${healthReason?.replace(/\.$/, "") ?? "no reason given"}`;

/** "it is being deleted: 2 replicas finish what they have begun, for at most 20 s." undefined: nobody deletes it, or nothing is left. */
export const deletionReason = ({ record, replicas, drainTimeoutMs }: ObservedBackend): string | undefined => {
  const left = replicas.filter(({ phase }) => phase !== "ended").length;
  if (record.deleting === undefined || left === 0) return undefined;
  const who = `${left} ${left === 1 ? "replica" : "replicas"}`;
  const what = left === 1 ? "finishes what it has begun" : "finish what they have begun";
  return record.deleting.force
    ? `it is being deleted: ${who} ${left === 1 ? "is" : "are"} killed.`
    : `it is being deleted: ${who} ${what}, for at most ${drainTimeoutMs / 1_000} s.`;
};

export const stoppedRollout = (failure: ObservedReplica, old: readonly ObservedReplica[]): string =>
  `the roll-out stopped: ${describeFailure(failure)}. ${old.length} older ${old.length === 1 ? "replica goes" : "replicas go"} on serving. ${CHANGE_AGAIN}`;

/** "the roll-out stopped: replica b#3 failed to start 3 times: no weights. 2 of 2 replicas run the version before it (configuration 1). …" */
export const standInReason = (
  { record, replicas }: ObservedBackend,
  situation: Pick<Situation, "wanted" | "care" | "shortage"> & { readonly sick: readonly ObservedReplica[] },
): string | undefined => {
  const { wanted, sick, care, shortage } = situation;
  const proven = standsInFor(record);
  if (proven === undefined) return undefined;
  const working = replicas.filter((it) => it.assignment.intent.kind === "run" && it.phase === "ready" && !isSick(it));
  // What they run counts: of the assignments a configuration that was refused is taken back.
  const newest = working.filter((it) => isCurrent(record, it) && it.appliedRevision >= record.configRevision).length;
  const isConfigAlone = proven.rollout === record.rollout;
  const before = `${working.length - newest} of ${wanted} replicas run ${isConfigAlone ? "with the one" : "the version"} before it (${nameOfVersion(proven)})`;
  const runs = newest === 0 ? before : `${before}, ${newest} ${isConfigAlone ? "with " : ""}the new one`;
  const what = isConfigAlone ? "the new configuration was not taken" : "the roll-out stopped";
  const missing =
    sick.length > 0 ? ` ${describeSick(record, { ...situation, sick })}` : describeMissing(care, shortage);
  return `${what}: ${record.stopped?.why}. ${runs}.${missing} ${CHANGE_AGAIN}`;
};

const describeMissing = ({ wants, start }: SickPlan, shortage: string | undefined): string => {
  if (shortage !== undefined) return ` ${wants - start} wait: ${shortage}.`;
  return start === 0 ? "" : ` ${start} more of it ${start === 1 ? "starts" : "start"}.`;
};

const CHANGE_AGAIN = "Change the configuration, or restart the backend to try again.";
/** Of a backend that never ran: it can still become another one. */
const CREATE_AGAIN = "Create it again, also with other code or configuration, or delete it.";

export interface Situation {
  readonly wanted: number;
  readonly final: ObservedReplica | undefined;
  readonly care: SickPlan;
  readonly shortage: string | undefined;
  /** Old replicas go, or something starts or ends by itself. */
  readonly isMoving: boolean;
}

export const reasonOf = (seen: ObservedBackend, situation: Situation): string | undefined => {
  const { wanted, final, care, shortage } = situation;
  const { record, config, replicas } = seen;
  if (final !== undefined) {
    const cure = record.unproven === true ? CREATE_AGAIN : CHANGE_AGAIN;
    return `${describeFailure(final)}. ${cure}`;
  }
  const kept = replicas.filter((replica) => replica.assignment.intent.kind === "run");
  const sick = kept.filter(isSick);
  if (sick.length > 0) return describeSick(record, { ...situation, sick });
  const silent = kept.find((replica) => replica.phase === "silent");
  if (silent !== undefined) {
    return `the agent of node ${silent.assignment.node} is silent: what its replicas do is unknown; they stay published.`;
  }
  if (shortage !== undefined) return describeShortage(seen, situation);
  const missing = wanted - kept.filter((replica) => replica.assignment.rollout === record.rollout).length;
  if (missing > care.start) {
    return `${missing - care.start} of ${wanted} replicas wait until others have ended: at most ${wanted}+${config.maxSurge} processes run at a time.`;
  }
  const starting = replicas.filter((replica) => replica.phase === "starting").length + care.start;
  return starting > 0 ? `${starting} of ${wanted} replicas are starting.` : undefined;
};

const describeShortage = (
  { record, replicas }: ObservedBackend,
  { wanted, care, shortage, isMoving }: Situation,
): string => {
  const waiting = `${care.wants - care.start} of ${wanted} replicas wait: ${shortage}.`;
  const isRolling = replicas.some((replica) => !isCurrent(record, replica) && replica.phase === "ready");
  return isRolling && !isMoving ? `${waiting} ${MAKE_ROOM}` : waiting;
};

const MAKE_ROOM =
  "The roll-out stands still: make room, or set maxUnavailable to 1 or more, so that an old replica goes first.";

const describeSick = (
  record: BackendRecord,
  {
    wanted,
    sick,
    care,
    shortage,
  }: Pick<Situation, "wanted" | "care" | "shortage"> & {
    readonly sick: readonly ObservedReplica[];
  },
): string => {
  const [first] = sick;
  const state =
    first?.phase === "failed" ? describeFailure(first) : `replica ${first?.actor} is ${first && describeHealth(first)}`;
  const others = sick.length > 1 ? ` (${sick.length} of ${wanted} replicas cannot do their work)` : "";
  const cure =
    shortage === undefined || care.start > 0 ? describeCure(record, care) : `Its replacement waits: ${shortage}.`;
  return `${state}${others}. ${cure}`;
};

const describeCure = (record: BackendRecord, { waits, start, going }: SickPlan): string => {
  if (waits) {
    const count = record.recovery?.count ?? 1;
    return `It is replaced ${pauseAfter(count) / 1_000} s after the replacement before it: ${count} in a row have not helped.`;
  }
  return start + going.length > 0 ? "It is being replaced." : "It goes when its replacement is ready.";
};
