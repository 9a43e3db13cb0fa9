/**
 * Opening and settling goals. A goal id names one call for ever: the record is written in the transaction of the call, so that the same
 * id again finds it, whatever crashed in between. A newer change of the same thing supersedes what is still pending. An id that was
 * given to a call whose value was already current is an alias: it gets the outcome of that goal.
 * The goal of a deploy is made of one goal for each thing that it changes, its parts: they live and settle as if they were calls of
 * their own, and the whole settles by them.
 */

import { sha256 } from "../base/sha256.ts";
import type { AppPart } from "../model/app.ts";
import type { BackendConfigUpdate } from "../model/backend-config.ts";
import type { Call } from "../model/calls.ts";
import type { ErrorBody } from "../model/error-codes.ts";
import type { GoalId } from "../model/ids.ts";
import type { Json } from "../model/json.ts";
import { MAX_GOAL_CALL_CHARS } from "../model/limits.ts";
import type { GoalRecord } from "../model/records.ts";
import { canonicalJson, digestOf } from "./canonical.ts";
import type { Draft } from "./draft.ts";
import { subjectKey } from "./indexes.ts";

type Subject = GoalRecord["subject"];

export interface GoalOutcome {
  readonly state: "reached" | "failed" | "superseded";
  readonly supersededBy?: GoalId | undefined;
  readonly error?: ErrorBody | undefined;
  /** Programs that were not waited for any longer. */
  readonly laggards?: readonly string[] | undefined;
}

/**
 * What tells one call from another, without its id; and without what its code was found to be at the time, which the caller did not say.
 * Of a long call a digest, so that kept goals stay small.
 */
export const callIdentity = (call: Call): Json => {
  const said = asSaid(call);
  const { length } = JSON.stringify(said);
  if (length <= MAX_GOAL_CALL_CHARS) return said as Json;
  return { kind: call.kind, tag: tagOf(call), length, digest: digestOf(canonicalJson(said)) };
};

const asSaid = (call: Call): object => {
  const { goalId, ...said } = call;
  if (call.kind === "createBackend" || call.kind === "updateBackendConfig") return { ...said, ...told(call, goalId) };
  if (call.kind !== "deploy") return said;
  const backends = Object.entries(call.backends);
  return {
    ...said,
    backends: Object.fromEntries(backends.map(([tag, backend]) => [tag, { ...backend, ...told(backend, goalId) }])),
  };
};

const NOT_SAID = { identity: undefined, offers: undefined, envDigest: undefined } as const;

/** A goal is kept longer than what it set, and shown to more people: of the values of `env` it keeps what tells them apart. */
const told = ({ config }: { readonly config: BackendConfigUpdate }, goalId: GoalId): object => {
  if (config.env === undefined) return NOT_SAID;
  const env = Object.entries(config.env).map(([name, value]) => [
    name,
    sha256(JSON.stringify([goalId, name, value])).slice(0, ENV_DIGITS),
  ]);
  return { ...NOT_SAID, config: { ...config, env: Object.fromEntries(env) } };
};

const ENV_DIGITS = 16;

const tagOf = (call: Call): string => {
  if (call.kind === "deploy") return call.app;
  return "tag" in call ? call.tag : "";
};

/** A new goal for the subject; whatever was pending there is superseded by it. */
export const openGoal = (draft: Draft, call: Call, subject: Subject): void => {
  supersedeGoals(draft, subject, call.goalId);
  draft.put("goal", call.goalId, newGoal(draft, call, subject));
};

/** The goal of one part of a deploy; whatever was pending for that thing is superseded by the deploy. */
export const openPart = (draft: Draft, call: Call & { readonly kind: "deploy" }, part: AppPart): void => {
  const id = partGoalId(call.goalId, part);
  supersedeGoals(draft, part, call.goalId);
  const identity = { kind: call.kind, tag: call.app };
  draft.put("goal", id, { ...newGoal(draft, call, part), id, call: identity, partOf: call.app });
};

/** The id of a part's goal: no call can have it, since `#` is not for goal ids of callers. */
export const partGoalId = (whole: GoalId, part: AppPart): GoalId => `${whole}#${part.kind}:${part.tag}` as GoalId;

/** The id names the outcome of a goal that is pending or reached. */
export const openAlias = (draft: Draft, call: Call, current: GoalRecord): void => {
  const settled = current.state === "pending" ? {} : { state: current.state, settledAt: draft.now.timestamp };
  draft.put("goal", call.goalId, {
    ...newGoal(draft, call, current.subject),
    aliasOf: current.aliasOf ?? current.id,
    ...settled,
  });
};

/** A goal that is reached as it is opened: there was nothing to do. */
export const openReached = (draft: Draft, call: Call, subject: Subject): void =>
  draft.put("goal", call.goalId, {
    ...newGoal(draft, call, subject),
    state: "reached",
    settledAt: draft.now.timestamp,
  });

export const supersedeGoals = (draft: Draft, subject: Subject, by: GoalId | undefined): void => {
  for (const id of [...draft.view.pendingGoalsOf(subjectKey(subject))]) {
    settleGoal(draft, id, { state: "superseded", supersededBy: by });
  }
};

/** Settles a pending goal; its aliases follow when its key is looked at. */
export const settleGoal = (draft: Draft, id: GoalId, outcome: GoalOutcome): void => {
  const record = draft.view.goal(id);
  if (record === undefined || record.state !== "pending") return;
  draft.put("goal", id, { ...record, ...outcome, settledAt: draft.now.timestamp });
};

/** Looks at a goal that has settled, or at one whose parts may have. */
export const reconcileGoal = (draft: Draft, id: GoalId): void => {
  const record = draft.view.goal(id);
  const wholes = record?.partOf === undefined ? [id] : [...draft.view.pendingGoalsOf(`app/${record.partOf}`)];
  for (const whole of wholes) settleWhole(draft, whole);
  settleAliases(draft, id);
};

/** A deploy fails with the first part that fails, is superseded with the first that is, and is reached with the last that is reached. */
const settleWhole = (draft: Draft, id: GoalId): void => {
  const record = draft.view.goal(id);
  if (record?.state !== "pending" || record.subject.kind !== "app" || record.aliasOf !== undefined) return;
  // A part that is kept no more was reached long ago: any other outcome would have ended the whole.
  const parts = record.subject.parts.flatMap((part) => draft.view.goal(part) ?? []);
  const failed = parts.find((part) => part.state === "failed");
  const superseded = parts.find((part) => part.state === "superseded");
  if (failed !== undefined) settleGoal(draft, id, { state: "failed", error: failed.error });
  else if (superseded !== undefined) {
    settleGoal(draft, id, { state: "superseded", supersededBy: superseded.supersededBy });
  } else if (parts.every((part) => part.state === "reached")) {
    const laggards = [...new Set(parts.flatMap((part) => part.laggards ?? []))];
    settleGoal(draft, id, { state: "reached", ...(laggards.length === 0 ? {} : { laggards }) });
  }
};

/** Gives a settled goal's outcome to the ids that share it, as many as go into this transaction. */
const settleAliases = (draft: Draft, id: GoalId): void => {
  const record = draft.view.goal(id);
  if (record === undefined || record.state === "pending") return;
  const { state, supersededBy, error, laggards } = record;
  for (const alias of [...draft.view.pendingAliasesOf(id)]) {
    if (!draft.hasRoom(1)) {
      draft.postpone(`goal/${id}`);
      return;
    }
    settleGoal(draft, alias, { state, supersededBy, error, laggards });
  }
};

const newGoal = (draft: Draft, call: Call, subject: Subject): GoalRecord => ({
  id: call.goalId,
  call: callIdentity(call),
  subject,
  state: "pending",
  aliasOf: undefined,
  supersededBy: undefined,
  error: undefined,
  createdAt: draft.now.timestamp,
  settledAt: undefined,
});
