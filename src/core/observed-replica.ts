/**
 * A replica as the controller sees it: its assignment, and its agent's last word as far as that counts. A status counts while its
 * node is registered in the incarnation that wrote it; otherwise the node is suspect: the word confirms nothing new, but what was
 * published stays.
 */
import type { ActorStatus, Assignment, Health } from "../model/actor.ts";
import type { ErrorBody } from "../model/error-codes.ts";
import { type ActorName, type BackendTag, ordinalOf } from "../model/ids.ts";
import type { View } from "./view.ts";

export interface ObservedReplica {
  readonly actor: ActorName;
  readonly ordinal: number;
  readonly assignment: Assignment;
  readonly phase: ReplicaPhase;
  /** Its last word was "ready", whether that counts or not: routers may know it. */
  readonly serving: boolean;
  /** Configuration that the running process has applied. */
  readonly appliedRevision: number;
  /** Starts in a row that failed. */
  readonly failedStarts: number;
  readonly error: ErrorBody | undefined;
  /** Of one whose agent's word does not count: healthy, as far as anybody knows. */
  readonly health: Health;
  readonly healthReason: string | undefined;
}

export type ReplicaPhase =
  /** Wanted, not ready: not started yet, starting, or between two starts. */
  | "starting"
  | "ready"
  /** Wanted, but its agent has given up starting it. */
  | "failed"
  /** Wanted, and nothing that counts is known: its node is silent, or is heard again and its rows are not yet. */
  | "silent"
  /** Told to go. */
  | "leaving"
  /** Told to go, and its process is gone. */
  | "ended";

/** Of a proxy the phase alone is telling. */
export const observeReplica = (view: View, assignment: Assignment): ObservedReplica => {
  const status = view.status(assignment.actor);
  const counts = status !== undefined && statusCounts(view, status);
  return {
    actor: assignment.actor,
    ordinal: ordinalOf(assignment.actor),
    assignment,
    phase: phaseOf(view, assignment, status),
    serving: status?.state === "ready" && status.address !== undefined,
    appliedRevision: status?.configRevision ?? 0,
    failedStarts: status?.failedStarts ?? 0,
    error: status?.error,
    health: counts ? status.health : "healthy",
    healthReason: counts ? status.healthReason : undefined,
  };
};

/** The replicas of a backend, oldest first. */
export const observeReplicas = (view: View, backend: BackendTag): readonly ObservedReplica[] =>
  Array.from(view.replicasOf(backend), (actor) => view.assignment(actor))
    .filter((assignment) => assignment !== undefined)
    .map((assignment) => observeReplica(view, assignment))
    .sort((a, b) => a.ordinal - b.ordinal);

/** Whether the agent's word counts now. */
export const statusCounts = (view: View, status: ActorStatus): boolean =>
  view.node(status.node)?.incarnation === status.nodeIncarnation;

const phaseOf = (view: View, assignment: Assignment, status: ActorStatus | undefined): ReplicaPhase => {
  const counts = status !== undefined && statusCounts(view, status);
  if (assignment.intent.kind !== "run") return counts && status.state === "exited" ? "ended" : "leaving";
  // Of a node that is back, the registration may be heard before the rows that it confirms.
  if (!counts) return status === undefined && view.node(assignment.node) !== undefined ? "starting" : "silent";
  if (status.state === "ready") return "ready";
  return status.state === "exited" && hasGivenUp(assignment, status) ? "failed" : "starting";
};

/**
 * Agents restart in place up to `maxStartAttempts` failed starts in a row, then leave the actor exited. A newer configuration than the
 * one that failed, which was on its way to the agent, gets attempts of its own.
 */
const hasGivenUp = ({ spec, configRevision }: Assignment, status: ActorStatus): boolean =>
  spec.kind === "replica" &&
  status.failedStarts >= spec.config.maxStartAttempts &&
  (status.startedRevision ?? configRevision) >= configRevision;
