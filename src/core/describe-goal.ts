/** A goal as people and clients see it: its outcome, or while it is pending how far it is and who lags behind. */

import type { Instant } from "../base/time.ts";
import type { Goal } from "../model/calls.ts";
import type { GoalId } from "../model/ids.ts";
import type { GoalRecord } from "../model/records.ts";
import { targetReplicas } from "./autoscaling.ts";
import { subjectKey } from "./indexes.ts";
import { judgeBackend, judgeEndpoint, type Verdict } from "./judge-goals.ts";
import { observeReplicas } from "./observed-replica.ts";
import { wantedReplicas } from "./reconcile-backend.ts";
import type { SoftState } from "./soft-state.ts";
import type { View } from "./view.ts";

export interface Known {
  readonly view: View;
  readonly soft: SoftState;
  /** Why a thing is not as wanted now, by its key. */
  readonly reasonOf: (subject: string) => string | undefined;
}

/** undefined: no goal of this id is kept. */
export const describeGoal = (known: Known, id: GoalId, now: Instant): Goal | undefined => {
  const record = known.view.goal(id);
  if (record === undefined) return undefined;
  const decisive = decisiveOf(known.view, record);
  if (decisive.state === "pending")
    return { id, state: "pending", ...changesOf(record), ...progressOf(known, decisive, now) };
  const { state, supersededBy, error, laggards } = decisive;
  return {
    id,
    state,
    ...changesOf(record),
    ...(supersededBy === undefined ? {} : { supersededBy }),
    ...(error === undefined ? {} : { error }),
    ...(laggards === undefined ? {} : { laggards }),
  };
};

/** An alias that has not been given its outcome yet has that of its goal. */
const decisiveOf = (view: View, record: GoalRecord): GoalRecord => {
  if (record.state !== "pending" || record.aliasOf === undefined) return record;
  return view.goal(record.aliasOf) ?? record;
};

const changesOf = ({ subject }: GoalRecord): Pick<Goal, "changes"> =>
  subject.kind === "app" ? { changes: subject.changes } : {};

type Progress = Pick<Goal, "progress" | "reason" | "laggards">;

const progressOf = (known: Known, record: GoalRecord, now: Instant): Progress => {
  if (record.subject.kind === "app") return sumOf(record.subject.parts.map((part) => partProgress(known, part, now)));
  const verdict = verdictOf(known, record, now);
  if (verdict?.kind !== "pending") return {};
  const reason = known.reasonOf(subjectKey(record.subject));
  return {
    ...(reason === undefined ? {} : { reason }),
    ...(verdict.progress === undefined ? {} : { progress: verdict.progress }),
    ...(verdict.laggards.length === 0 ? {} : { laggards: verdict.laggards }),
  };
};

/** A part that is reached counts with the replicas that it wanted. */
const partProgress = (known: Known, id: GoalId, now: Instant): Progress => {
  const record = known.view.goal(id);
  if (record?.state === "pending") return named(record, progressOf(known, record, now));
  if (record?.subject.kind !== "backend" || record.subject.until === "gone") return {};
  const backend = known.view.backend(record.subject.tag);
  if (backend === undefined) return {};
  const count = targetReplicas(backend, known.view.config(backend.tag));
  return { progress: { done: count, total: count } };
};

const named = ({ subject }: GoalRecord, progress: Progress): Progress =>
  progress.reason === undefined || !("tag" in subject)
    ? progress
    : { ...progress, reason: `${subject.kind} "${subject.tag}": ${progress.reason}` };

const sumOf = (parts: readonly Progress[]): Progress => {
  const counts = parts.flatMap(({ progress }) => progress ?? []);
  const laggards = [...new Set(parts.flatMap((part) => part.laggards ?? []))];
  const reason = parts.find((part) => part.reason !== undefined)?.reason;
  const total = (field: "done" | "total") => counts.reduce((sum, count) => sum + count[field], 0);
  return {
    ...(counts.length === 0 ? {} : { progress: { done: total("done"), total: total("total") } }),
    ...(reason === undefined ? {} : { reason }),
    ...(laggards.length === 0 ? {} : { laggards }),
  };
};

const verdictOf = (known: Known, { subject }: GoalRecord, now: Instant): Verdict | undefined => {
  if (subject.kind === "instance" || subject.kind === "app") return undefined;
  if (subject.kind === "endpoint") return judgeEndpoint(known, subject.tag, now);
  const record = known.view.backend(subject.tag);
  if (record === undefined) return undefined;
  const wanted = wantedReplicas(known.view, record);
  const total = wanted === "hold" ? targetReplicas(record, known.view.config(subject.tag)) : wanted;
  return judgeBackend(record, total, observeReplicas(known.view, subject.tag));
};
