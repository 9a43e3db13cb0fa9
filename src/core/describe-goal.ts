/** A goal as people and clients see it: its outcome, or while it is pending how far it is and who lags behind. */

import type { Instant } from "../base/time.ts";
import type { Goal } from "../model/calls.ts";
import type { GoalId } from "../model/ids.ts";
import type { GoalRecord } from "../model/records.ts";
import { judgeBackend, judgeEndpoint, type Verdict } from "./judge-goals.ts";
import { observeReplicas } from "./observed-replica.ts";
import { wantedReplicas } from "./reconcile-backend.ts";
import type { SoftState } from "./soft-state.ts";
import type { View } from "./view.ts";

export interface Known {
  readonly view: View;
  readonly soft: SoftState;
}

/** undefined: no goal of this id is kept. */
export const describeGoal = (known: Known, id: GoalId, now: Instant): Goal | undefined => {
  const record = known.view.goal(id);
  if (record === undefined) return undefined;
  const decisive = decisiveOf(known.view, record);
  if (decisive.state === "pending") return { id, state: "pending", ...progressOf(known, decisive, now) };
  const { state, supersededBy, error, laggards } = decisive;
  return {
    id,
    state,
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

const progressOf = (known: Known, record: GoalRecord, now: Instant): Pick<Goal, "progress" | "laggards"> => {
  const verdict = verdictOf(known, record, now);
  if (verdict?.kind !== "pending") return {};
  return {
    ...(verdict.progress === undefined ? {} : { progress: verdict.progress }),
    ...(verdict.laggards.length === 0 ? {} : { laggards: verdict.laggards }),
  };
};

const verdictOf = (known: Known, { subject }: GoalRecord, now: Instant): Verdict | undefined => {
  if (subject.kind === "instance") return undefined;
  if (subject.kind === "endpoint") return judgeEndpoint(known, subject.tag, now);
  const record = known.view.backend(subject.tag);
  if (record === undefined) return undefined;
  const wanted = wantedReplicas(known.view, record);
  const total = wanted === "hold" ? known.view.config(subject.tag).numReplicas : wanted;
  return judgeBackend(record, total, observeReplicas(known.view, subject.tag));
};
