/**
 * Looks at the instance as a whole: its record at the start of a life, and the end of `stop` and `shutdown` once every actor is gone.
 * Order of a stop: proxies finish first, then replicas are drained (reconcile-backend.ts), then the phase says so. `erasing` is the
 * tombstone of a shutdown: whatever life finds it goes on with it, and the last transaction deletes everything.
 */
import { assert } from "../base/assert.ts";
import type { InstanceId, InstanceName } from "../model/ids.ts";
import { DEFAULT_HTTP_CONFIG, type HttpConfig, type InstanceRecord, SCHEMA_VERSION } from "../model/records.ts";
import { isSameValue } from "./canonical.ts";
import type { Draft } from "./draft.ts";
import { settleGoal, supersedeGoals } from "./goals.ts";

/** What the process of a new life was started with. */
export interface Wanted {
  readonly instance: InstanceName;
  readonly instanceId: InstanceId;
  /** Replaces saved options where given. */
  readonly http: Partial<HttpConfig>;
  /** `resume`: somebody asked for this start: a stopped instance runs again, an absent one is made. `keep`: it stays as it is. */
  readonly phase: "resume" | "keep";
}

/** Makes the record of a new instance, or brings an old one to what this start says. */
export const beginLife = (draft: Draft, wanted: Wanted): void => {
  const record = draft.view.instance();
  if (record === undefined && wanted.phase === "keep") {
    // It was erased, and the controller that did it died before it could say so.
    const rest = draft.view.count("backend") + draft.view.count("assignment");
    assert(rest === 0, "an instance without a record has no backends and no actors");
    draft.erase = true;
    return;
  }
  if (record === undefined) {
    draft.put("instance", "", {
      id: wanted.instanceId,
      name: wanted.instance,
      schemaVersion: SCHEMA_VERSION,
      http: { ...DEFAULT_HTTP_CONFIG, ...defined(wanted.http) },
      nextOrdinal: 1,
      phase: "running",
      createdAt: draft.now.timestamp,
    });
    return;
  }
  const resumes = wanted.phase === "resume" && (record.phase === "stopping" || record.phase === "stopped");
  const updated: InstanceRecord = {
    ...record,
    schemaVersion: SCHEMA_VERSION,
    http: { ...record.http, ...defined(wanted.http) },
    phase: resumes ? "running" : record.phase,
  };
  if (resumes) supersedeGoals(draft, { kind: "instance", until: "stopped" }, undefined);
  if (!isSameValue(record, updated)) draft.put("instance", "", updated);
};

export const reconcileInstance = (draft: Draft): void => {
  const { view } = draft;
  const instance = view.instance();
  if (instance === undefined || view.count("assignment") > 0) return;
  if (instance.phase === "erasing") draft.erase = true;
  if (instance.phase !== "stopping") return;
  draft.put("instance", "", { ...instance, phase: "stopped" });
  for (const goal of [...view.pendingGoalsOf("instance")]) settleGoal(draft, goal, { state: "reached" });
};

const defined = (http: Partial<HttpConfig>): Partial<HttpConfig> =>
  Object.fromEntries(Object.entries(http).filter(([, value]) => value !== undefined));
