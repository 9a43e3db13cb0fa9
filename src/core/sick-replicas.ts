/**
 * Replicas that nobody wants gone and that cannot do their work: unhealthy by the user's `checkHealth()`, stalled, or given up by their
 * agent because they could not start again. They are replaced by new names, with a growing pause between one replacement of the backend
 * and the next, so that a check that always fails costs one process a minute and no more.
 *
 * A replica of a roll-out that has never been complete is another matter: there it is the roll-out that fails, and it stops.
 */
import { REPLACE_BACKOFF_MAX_MS, REPLACE_BACKOFF_MIN_MS, REPLACE_BACKOFF_RESET_MS } from "../model/limits.ts";
import type { BackendRecord } from "../model/records.ts";
import type { ObservedReplica } from "./observed-replica.ts";

export const isCurrent = (record: BackendRecord, replica: ObservedReplica): boolean =>
  replica.assignment.rollout === record.rollout;

/** It is meant to run the present roll-out with the present configuration. */
export const isNewest = (record: BackendRecord, replica: ObservedReplica): boolean =>
  isCurrent(record, replica) && replica.assignment.configRevision >= record.configRevision;

/** It could not start so. */
export const isFailure = (record: BackendRecord, replica: ObservedReplica): boolean =>
  replica.phase === "failed" && isNewest(record, replica);

export const isSick = (replica: ObservedReplica): boolean =>
  replica.phase === "failed" || (replica.phase === "ready" && replica.health !== "healthy");

/** Because of it the last change of the backend has failed: it could not start, or is not healthy, however often it was tried. */
export const isFailing = (record: BackendRecord, replica: ObservedReplica): boolean => {
  if (replica.phase === "failed") return isFailure(record, replica);
  return isCurrent(record, replica) && isSick(replica) && replacementsOf(record) >= maxStartAttemptsOf(replica);
};

/** It keeps its place until the next change: the present roll-out has never been complete, and has stopped. */
export const isFinal = (record: BackendRecord, replica: ObservedReplica): boolean =>
  record.provenRollout !== record.rollout && isFailing(record, replica);

/** Replacements of sick replicas since the last change of the backend, each soon after the one before it. */
const replacementsOf = (record: BackendRecord): number => (isOfNow(record) ? (record.recovery?.count ?? 0) : 0);

/** A change begins to count anew. */
const isOfNow = ({ recovery, rollout, configRevision }: BackendRecord): boolean =>
  recovery?.rollout === rollout && recovery.configRevision === configRevision;

const maxStartAttemptsOf = ({ assignment: { spec } }: ObservedReplica): number =>
  spec.kind === "replica" ? spec.config.maxStartAttempts : 1;

/** When the next sick replica may be replaced: at once the first time, then after 1 s, 2 s, 4 s … since the last one. */
export const mayReplaceAt = (record: BackendRecord, timestamp: number): number => {
  const { recovery } = record;
  if (recovery === undefined || !isOfNow(record)) return timestamp;
  // A clock that was set back must not make the pause longer than it is.
  return Math.min(recovery.at + pauseAfter(recovery.count), timestamp + pauseAfter(recovery.count));
};

export const pauseAfter = (replacements: number): number =>
  Math.min(REPLACE_BACKOFF_MIN_MS * 2 ** (replacements - 1), REPLACE_BACKOFF_MAX_MS);

/** The record after one more replacement. */
export const withReplacement = (record: BackendRecord, timestamp: number): BackendRecord => {
  const { recovery, rollout, configRevision } = record;
  const isFirst = recovery === undefined || !isOfNow(record) || timestamp - recovery.at >= REPLACE_BACKOFF_RESET_MS;
  const count = isFirst ? 1 : recovery.count + 1;
  return { ...record, recovery: { rollout, configRevision, count, at: timestamp } };
};

export interface SickPlan {
  /** Replicas to start, also those that simply are not there yet. */
  readonly start: number;
  /** Replicas that would be started if processes could be added without bound. */
  readonly wants: number;
  /** How many of those to start take the place of a sick one. */
  readonly replacing: number;
  readonly going: readonly ObservedReplica[];
  /** Those of `going` that go without a replacement: whoever is told so has begun one. */
  readonly unreplaced: readonly ObservedReplica[];
  /** Some would be replaced if the pause were over. */
  readonly waits: boolean;
}

export interface Sickness {
  /** Of the present roll-out. */
  readonly sick: readonly ObservedReplica[];
  /** Wanted replicas that are neither there nor on their way, the sick ones' places among them. */
  readonly missing: number;
  /** Processes that may be added now. */
  readonly budget: number;
  /** Serving replicas that may go now. */
  readonly spare: number;
  readonly mayReplace: boolean;
}

/**
 * Who serves nobody goes first: its end makes room. Who is merely unhealthy goes when its replacement is ready, or before that if no
 * process may be added and it can be spared. A sick one whose place is taken goes without a pause: that was made before its
 * replacement.
 */
export const planSick = ({ sick, missing, budget, spare, mayReplace }: Sickness): SickPlan => {
  const useless = sick.filter((replica) => replica.health === "stalled" || replica.phase === "failed");
  const unhealthy = sick.filter((replica) => !useless.includes(replica));
  // Places without a replacement: of the absent, of the useless, of the unhealthy.
  const open = Math.min(missing, sick.length);
  const absent = missing - open;
  const replacedUseless = Math.min(useless.length, sick.length - open);
  const openUnhealthy = open - (useless.length - replacedUseless);
  const replacedUnhealthy = unhealthy.length - openUnhealthy;

  const start = Math.min(absent, budget);
  const replacing = mayReplace ? Math.min(openUnhealthy, budget - start) : 0;
  const early = mayReplace && budget === 0 ? openUnhealthy : 0;
  const leaving = unhealthy.slice(0, Math.max(0, Math.min(replacedUnhealthy + early, spare)));
  return {
    start: start + replacing,
    wants: absent + (mayReplace ? openUnhealthy : 0),
    replacing,
    going: [...useless.slice(0, mayReplace ? useless.length : replacedUseless), ...leaving],
    unreplaced: mayReplace ? [...useless.slice(replacedUseless), ...leaving.slice(replacedUnhealthy)] : [],
    waits: open > 0 && !mayReplace,
  };
};
