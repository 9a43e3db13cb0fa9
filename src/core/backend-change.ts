/**
 * What a change of a backend's record makes of its counters: `configRevision` counts what running replicas must be told, `rollout` what
 * needs new processes. Both calls that change a backend ask it, so that one change costs the same whoever makes it.
 */
import { type BackendConfigInput, resolveBackendConfig, UPDATE_KIND } from "../model/backend-config.ts";
import type { CodeIdentity, CodeRef } from "../model/code-ref.ts";
import type { BackendRecord } from "../model/records.ts";
import { targetReplicas } from "./autoscaling.ts";
import { changedFields } from "./backend-rules.ts";
import { isSameValue } from "./canonical.ts";
import { identityUnder } from "./code-digest.ts";
import { judgeBackend } from "./judge-goals.ts";
import { observeReplicas } from "./observed-replica.ts";
import { provenBefore, standsInFor } from "./proven-version.ts";
import type { View } from "./view.ts";

export interface BackendWish {
  readonly code: CodeRef;
  /** undefined: nobody has looked; the code that is there stays. */
  readonly identity: CodeIdentity | undefined;
  /** Of the content of its environment file; undefined: nobody has looked. */
  readonly envDigest: string | undefined;
  readonly config: BackendConfigInput;
}

/** The record as wished, its goal left to the caller; undefined: it is so already, defaults filled in. */
export const changeBackend = (view: View, record: BackendRecord, wish: BackendWish): BackendRecord | undefined => {
  const fields = changedFields(resolveBackendConfig(record.config), resolveBackendConfig(wish.config));
  const known = wish.identity ?? (isSameValue(record.code, wish.code) ? record.identity : undefined);
  const identity = identityUnder(known, wish);
  const isNewCode = hasOtherCode(record, { code: wish.code, identity });
  const envDigest = wish.config.envFile === undefined ? undefined : (wish.envDigest ?? record.envDigest);
  // What nobody had looked at before is noted, and is no change by itself.
  const isNewEnv = record.envDigest !== undefined && envDigest !== undefined && envDigest !== record.envDigest;
  const isSame = isSameValue([identity, envDigest], [record.identity, record.envDigest]);
  if (fields.length === 0 && !isNewCode && isSame) return undefined;
  const kinds = new Set(fields.map((field) => UPDATE_KIND[field]));
  const rolls = kinds.has("rolling") || isNewCode || isNewEnv;
  // Replicas that could not start hold the old revision's verdict: a new revision lets others take their place.
  const told = kinds.has("replica") || kinds.has("controller") || kinds.has("rolling") || hasGivenUp(view, record);
  return {
    ...record,
    proven: provenBefore(record),
    autoscaled: autoscaledAfter(record, wish.config),
    code: wish.code,
    identity,
    envDigest,
    config: wish.config,
    configRevision: record.configRevision + (told ? 1 : 0),
    rollout: record.rollout + (rolls ? 1 : 0),
  };
};

/** Whoever is scaled by load, from now on or within other bounds, begins with the replicas that it has. */
const autoscaledAfter = (record: BackendRecord, config: BackendConfigInput): BackendRecord["autoscaled"] => {
  if (config.autoscaling === undefined) return undefined;
  const replicas = targetReplicas(record, resolveBackendConfig(record.config));
  return { replicas, queries: record.autoscaled?.queries ?? 0 };
};

/** Another place or arguments, or another content of the same place; also when the same place, a link, leads elsewhere now. */
export const hasOtherCode = (
  record: BackendRecord,
  { code, identity }: Pick<BackendWish, "code" | "identity">,
): boolean =>
  !isSameValue(record.code, code) ||
  (identity !== undefined &&
    (identity.digest !== record.identity?.digest || identity.entry !== record.identity?.entry));

/** What failed has failed with this revision, and is tried again with another; its goal may be forgotten by now. */
export const hasFailed = (view: View, record: BackendRecord): boolean => {
  if (standsInFor(record) !== undefined) return true;
  const verdict = judgeBackend(
    record,
    targetReplicas(record, view.config(record.tag)),
    observeReplicas(view, record.tag),
  );
  return verdict.kind === "failed" || (verdict.kind === "pending" && view.goal(record.goal)?.state === "failed");
};

const hasGivenUp = (view: View, record: BackendRecord): boolean =>
  standsInFor(record) !== undefined || observeReplicas(view, record.tag).some((replica) => replica.phase === "failed");
