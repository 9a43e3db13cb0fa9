/**
 * The calls on backends: create, update, restart, delete. Each checks everything before it writes anything. Replicas come and go when
 * the backend's key is looked at afterwards; here only what is wanted changes.
 */
import type { Offers } from "../../model/actor.ts";
import { type BackendConfigInput, resolveBackendConfig } from "../../model/backend-config.ts";
import type { Call } from "../../model/calls.ts";
import type { CodeRef } from "../../model/code-ref.ts";
import { type BackendTag, isName, NAME_RULE } from "../../model/ids.ts";
import { MAX_BACKEND_BYTES } from "../../model/limits.ts";
import type { BackendRecord, GoalRecord } from "../../model/records.ts";
import { changeBackend, hasFailed } from "../backend-change.ts";
import { changedFields, configProblems, mergeConfig, offerProblems, probedProblems } from "../backend-rules.ts";
import { isSameValue, utf8Length } from "../canonical.ts";
import { shortDigest } from "../code-digest.ts";
import type { Draft } from "../draft.ts";
import { openAlias, openGoal, openReached } from "../goals.ts";
import { provenBefore } from "../proven-version.ts";
import { ACCEPTED, type CallOutcome, listed, refuse, refuseAll } from "./outcome.ts";

type CallOf<K extends Call["kind"]> = Extract<Call, { readonly kind: K }>;

export const createBackend = (draft: Draft, call: CallOf<"createBackend">): CallOutcome => {
  const { tag, code, identity, envDigest, offers, config } = call;
  const existing = draft.view.backend(tag);
  const more = offers === undefined ? [] : probedProblems(resolveBackendConfig(config), offers);
  const refusal = refuseTag(tag) ?? refuseConfig(tag, config, more) ?? refuseSize(tag, { code, identity, config });
  if (refusal !== undefined) return refusal;
  if (existing === undefined) {
    openGoal(draft, call, { kind: "backend", tag, until: "running" });
    draft.put("backend", tag, {
      tag,
      code,
      identity,
      envDigest,
      config,
      configRevision: 1,
      rollout: 1,
      deleting: undefined,
      unproven: true,
      goal: call.goalId,
      app: undefined,
    });
    return ACCEPTED;
  }
  if (existing.deleting !== undefined) return refuseDeleting(existing);
  const difference = differenceOf(existing, call);
  if (difference === undefined) return repeat(draft, existing, call);
  if (!isFailedCreation(draft, existing) || existing.app !== undefined) {
    return refuse(
      "backend-exists",
      `backend "${tag}" exists with ${difference}. Change it with updateBackendConfig, create the new version under another tag and move traffic to it, or delete it first.`,
      { backend: tag },
    );
  }
  openGoal(draft, call, { kind: "backend", tag, until: "running" });
  draft.put("backend", tag, {
    ...existing,
    code,
    identity,
    envDigest,
    autoscaled: undefined,
    config,
    configRevision: existing.configRevision + 1,
    rollout: existing.rollout + 1,
    goal: call.goalId,
  });
  return ACCEPTED;
};

/** Its replicas have never all run, and nobody waits for them any more: whoever creates it anew may say something else. */
const isFailedCreation = (draft: Draft, record: BackendRecord): boolean =>
  record.unproven === true && draft.view.goal(record.goal)?.state !== "pending";

export const updateBackendConfig = (draft: Draft, call: CallOf<"updateBackendConfig">): CallOutcome => {
  const { tag } = call;
  const record = draft.view.backend(tag);
  if (record === undefined) return refuseUnknown(tag);
  if (record.deleting !== undefined) return refuseDeleting(record);
  const config = mergeConfig(record.config, call.config);
  const { code, identity } = record;
  const offers = offersOf(draft, tag);
  const more = offers === undefined ? [] : offerProblems(resolveBackendConfig(config), offers);
  const refusal = refuseConfig(tag, config, more) ?? refuseSize(tag, { code, identity, config });
  if (refusal !== undefined) return refusal;

  // What lies in the folder by now is not for an update to bring.
  const changed = changeBackend(draft.view, record, { code, identity, envDigest: call.envDigest, config });
  if (changed === undefined) return repeat(draft, { ...record, config }, call);
  openGoal(draft, call, { kind: "backend", tag, until: "applied" });
  draft.put("backend", tag, { ...changed, goal: call.goalId });
  return ACCEPTED;
};

export const restartBackend = (draft: Draft, call: CallOf<"restartBackend">): CallOutcome => {
  const { tag } = call;
  const record = draft.view.backend(tag);
  if (record === undefined) return refuseUnknown(tag);
  if (record.deleting !== undefined) return refuseDeleting(record);
  openGoal(draft, call, { kind: "backend", tag, until: "running" });
  const rollout = record.rollout + 1;
  draft.put("backend", tag, { ...record, proven: provenBefore(record), rollout, goal: call.goalId });
  return ACCEPTED;
};

export const deleteBackend = (draft: Draft, call: CallOf<"deleteBackend">): CallOutcome => {
  const { tag, force } = call;
  const record = draft.view.backend(tag);
  const subject = { kind: "backend", tag, until: "gone" } as const;
  if (record === undefined) {
    openReached(draft, call, subject);
    return ACCEPTED;
  }
  const users = [...draft.view.endpointsOf(tag)];
  if (users.length > 0) {
    return refuse(
      "backend-in-use",
      `backend "${tag}" is named by the traffic or shadows of ${users.length === 1 ? "endpoint" : "endpoints"} ${listed(users)}, a weight of 0 included. Move their traffic to other backends (setTraffic, shadowTraffic) or delete them first.`,
      { backend: tag, endpoints: users },
    );
  }
  const current = draft.view.goal(record.goal);
  if (record.deleting === undefined || current === undefined) openGoal(draft, call, subject);
  else openAlias(draft, call, current);
  const goal = record.deleting === undefined || current === undefined ? call.goalId : record.goal;
  draft.put("backend", tag, { ...record, goal, deleting: { force: force || record.deleting?.force === true } });
  return ACCEPTED;
};

/** The value is current already: the id shares the goal of that value, or tries again what failed. */
const repeat = (
  draft: Draft,
  record: BackendRecord,
  call: CallOf<"createBackend" | "updateBackendConfig">,
): CallOutcome => {
  const current = draft.view.goal(record.goal);
  if (current !== undefined && current.state !== "failed" && current.state !== "superseded") {
    openAlias(draft, call, current);
    return ACCEPTED;
  }
  const until = call.kind === "createBackend" ? "running" : "applied";
  openGoal(draft, call, { kind: "backend", tag: record.tag, until } satisfies GoalRecord["subject"]);
  const again = hasFailed(draft.view, record) ? 1 : 0;
  draft.put("backend", record.tag, { ...record, goal: call.goalId, configRevision: record.configRevision + again });
  return ACCEPTED;
};

/** How an existing backend differs from what a call wants to create; undefined: it does not. */
const differenceOf = (existing: BackendRecord, call: CallOf<"createBackend">): string | undefined => {
  if (!isSameValue(existing.code, call.code)) return `other code (${describeCode(existing.code)})`;
  const [was, is] = [existing.identity, call.identity];
  if (was !== undefined && is !== undefined && was.files !== is.files) {
    return `other code: the files of ${describeCode(existing.code)} were ${shortDigest(was)} then and are ${shortDigest(is)} now`;
  }
  const fields = changedFields(resolveBackendConfig(existing.config), resolveBackendConfig(call.config));
  const [before, now] = [existing.envDigest, call.envDigest];
  if (fields.length === 0 && before !== undefined && now !== undefined && before !== now)
    return `another content of its envFile ${call.config.envFile}`;
  return fields.length > 0 ? `another value of ${fields.join(", ")}` : undefined;
};

const describeCode = (code: CodeRef): string =>
  code.kind === "export" ? `${code.module}#${code.export}` : `${code.module}, backend "${code.backend}"`;

const refuseTag = (tag: string): CallOutcome | undefined =>
  isName(tag)
    ? undefined
    : refuse("tag-invalid", `${JSON.stringify(tag)} cannot be a backend's tag: use ${NAME_RULE}.`);

const refuseConfig = (tag: BackendTag, input: BackendConfigInput, more: readonly string[]): CallOutcome | undefined => {
  const problems = [...configProblems(resolveBackendConfig(input), input), ...more];
  return problems.length === 0 ? undefined : refuseAll("config-invalid", `backend "${tag}"`, problems);
};

/** What the code that runs declares; undefined while it has not run once. */
const offersOf = (draft: Draft, tag: BackendTag): Offers | undefined => {
  for (const actor of draft.view.replicasOf(tag)) {
    const offers = draft.view.status(actor)?.offers;
    if (offers !== undefined) return offers;
  }
  return undefined;
};

const refuseSize = (
  tag: BackendTag,
  value: Pick<BackendRecord, "code" | "identity" | "config">,
): CallOutcome | undefined => {
  const bytes = utf8Length(JSON.stringify(value));
  if (bytes <= MAX_BACKEND_BYTES) return undefined;
  return refuse(
    "value-too-large",
    `backend "${tag}": its code arguments and configuration have ${bytes} bytes; at most ${MAX_BACKEND_BYTES} can be saved. Put large values into a file and pass its path.`,
    { backend: tag, bytes, maxBytes: MAX_BACKEND_BYTES },
  );
};

const refuseUnknown = (tag: BackendTag): CallOutcome =>
  refuse("backend-unknown", `no backend is called "${tag}". Create it with createBackend, or look at listBackends.`, {
    backend: tag,
  });

const refuseDeleting = (record: BackendRecord): CallOutcome =>
  refuse(
    "backend-deleting",
    `backend "${record.tag}" is being deleted. Wait for goal ${record.goal}, then create it again.`,
    { backend: record.tag, goalId: record.goal },
  );
