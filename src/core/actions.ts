/**
 * A decision in words: each change, publication and withdrawal as an action with its target and its reason. Reads what was so before the
 * decision. Bookkeeping (goals, the ordinal counter, an app's record, rows of processes that are gone) is no action.
 */
import { assertNever } from "../base/assert.ts";
import type { Action } from "../model/action.ts";
import type { Assignment } from "../model/actor.ts";
import { type BackendConfigField, resolveBackendConfig, UPDATE_KIND } from "../model/backend-config.ts";
import type { ActorName, BackendTag } from "../model/ids.ts";
import type { BackendRecord, EndpointRecord, InstanceRecord } from "../model/records.ts";
import { targetReplicas } from "./autoscaling.ts";
import { changedFields } from "./backend-rules.ts";
import { isSameValue } from "./canonical.ts";
import type { Decision, World } from "./decide.ts";
import type { Change, Values } from "./facts.ts";
import { type SubjectKey, subjectKey } from "./indexes.ts";
import { nameOfVersion, standsInFor } from "./proven-version.ts";

export const actionsOf = (
  world: Pick<World, "view" | "soft">,
  decision: Pick<Decision, "changes" | "publications" | "withdrawals">,
): readonly Action[] => {
  const backends = new Map<string, BackendRecord | undefined>();
  const deployed = new Set<string>();
  for (const { fact } of decision.changes) {
    if (fact.kind === "backend") backends.set(fact.id, fact.after);
    if (fact.kind === "goal" && fact.after?.partOf !== undefined) deployed.add(subjectKey(fact.after.subject));
  }
  const known: Known = {
    ...world,
    isDeployed: (subject) => deployed.has(subject),
    backendNow: (tag) => (backends.has(tag) ? backends.get(tag) : world.view.backend(tag)),
  };
  return [
    ...decision.changes.flatMap((change) => changeActions(known, change)),
    ...decision.publications.map((publication) => publishAction(known, publication)),
    ...Array.from(decision.withdrawals, ([actor, step]) => withdrawAction(known, actor, step)),
  ];
};

type Known = Pick<World, "view" | "soft"> & {
  /** Whether this very decision is a deploy's about the thing. */
  readonly isDeployed: (subject: SubjectKey) => boolean;
  /** With what this very decision makes of it. */
  readonly backendNow: (tag: BackendTag) => BackendRecord | undefined;
};

const changeActions = (known: Known, { fact }: Change): readonly Action[] => {
  const before = known.view.entry(fact.kind, fact.id)?.value;
  switch (fact.kind) {
    case "backend":
      return backendActions(known, before as Values["backend"] | undefined, fact.after);
    case "endpoint":
      return endpointActions({ known, target: fact.id }, before as Values["endpoint"] | undefined, fact.after);
    case "assignment":
      return assignmentActions(known, before as Values["assignment"] | undefined, fact.after);
    case "instance":
      return instanceActions(before as Values["instance"] | undefined, fact.after);
    case "app":
    case "goal":
    case "node":
    case "status":
      return [];
    default:
      return assertNever(fact);
  }
};

const backendActions = (
  known: Known,
  before: BackendRecord | undefined,
  after: BackendRecord | undefined,
): readonly Action[] => {
  if (after === undefined) return [];
  const target = after.tag;
  if (before === undefined) {
    return [{ action: "create backend", target, reason: `it is new and wants ${countOf(wantedOf(after))}` }];
  }
  if (after.deleting !== undefined) {
    if (before.deleting !== undefined) return [];
    return [{ action: "delete backend", target, reason: goneReason(known, `backend/${target}`, after) }];
  }
  if (before.deleting !== undefined) {
    return [{ action: "create backend", target, reason: "it was being deleted and is wanted again" }];
  }
  if (after.goal === before.goal && after.autoscaled !== undefined && wantedOf(after) !== wantedOf(before)) {
    const why = `${after.autoscaled.queries} queries run or wait, it wants ${countOf(wantedOf(after))} instead of ${wantedOf(before)}`;
    return [{ action: "scale backend", target, reason: why }];
  }
  const parts = backendChanges(before, after);
  return parts.length === 0 ? [] : [{ action: "update backend", target, reason: parts.join("; ") }];
};

const backendChanges = (before: BackendRecord, after: BackendRecord): readonly string[] => {
  const [was, is] = [resolveBackendConfig(before.config), resolveBackendConfig(after.config)];
  const fields = changedFields(was, is).map((field) => fieldChange(field, was[field], is[field]));
  const isOtherPlace = !isSameValue(before.code, after.code);
  const isOtherContent = before.identity?.digest !== after.identity?.digest;
  const code =
    isOtherPlace || isOtherContent ? [`its code ${isOtherPlace ? "is another" : "has changed"}${ROLLS}`] : [];
  const env =
    before.envDigest !== after.envDigest && was.envFile === is.envFile ? [`its envFile has changed${ROLLS}`] : [];
  if (fields.length + code.length + env.length > 0) return [...code, ...env, ...fields];
  if (before.identity?.from !== after.identity?.from) {
    return [
      after.identity?.from === "kept" ? "its code is kept from now on" : "its code is read from its folder from now on",
    ];
  }
  if (after.rollout !== before.rollout) return ["every replica is replaced"];
  return after.configRevision === before.configRevision ? [] : ["what failed is tried again"];
};

const ROLLS = " (replicas are replaced)";

/** Values of `env` may be secrets, and long ones tell nothing. */
const fieldChange = (field: BackendConfigField, was: unknown, is: unknown): string => {
  const isShort = [was, is].every(
    (value) => typeof value === "number" || typeof value === "string" || value === undefined,
  );
  const change = isShort ? `${field} ${shown(was)} → ${shown(is)}` : `${field} has changed`;
  return UPDATE_KIND[field] === "rolling" ? `${change}${ROLLS}` : change;
};

const shown = (value: unknown): string => (value === undefined ? "unset" : String(value));

const goneReason = ({ isDeployed }: Known, subject: SubjectKey, { app }: Pick<BackendRecord, "app">): string =>
  isDeployed(subject) ? `the file of the app "${app}" names it no more` : "a call deletes it";

const endpointActions = (
  { known, target }: { readonly known: Known; readonly target: string },
  before: EndpointRecord | undefined,
  after: EndpointRecord | undefined,
): readonly Action[] => {
  if (before === undefined) {
    if (after === undefined) return [];
    const where = after.spec.route === undefined ? "for handles only" : `answers ${after.spec.route}`;
    const shadows = Object.keys(after.shadows).length === 0 ? "" : `, shadows ${shares(after.shadows)}`;
    return [
      { action: "create endpoint", target, reason: `it is new, ${where}, with ${shares(after.traffic)}${shadows}` },
    ];
  }
  if (after === undefined) {
    return [{ action: "delete endpoint", target, reason: goneReason(known, `endpoint/${target}`, before) }];
  }
  const fields = new Set([...Object.keys(before.spec), ...Object.keys(after.spec)]) as Set<
    keyof EndpointRecord["spec"]
  >;
  const parts = [...fields]
    .filter((field) => !isSameValue(before.spec[field], after.spec[field]))
    .map((field) => `${field} ${json(before.spec[field])} → ${json(after.spec[field])}`);
  for (const field of ["traffic", "shadows"] as const) {
    if (isSameValue(before[field], after[field])) continue;
    parts.push(`${field} ${shares(before[field])} → ${shares(after[field])}`);
  }
  return parts.length === 0 ? [] : [{ action: "update endpoint", target, reason: parts.join("; ") }];
};

const json = (value: unknown): string => JSON.stringify(value) ?? "unset";

/** `v1 90 %, v2 10 %` */
const shares = (weights: Readonly<Record<string, number>>): string =>
  Object.entries(weights)
    .map(([tag, share]) => `${tag} ${Number((share * 100).toFixed(3))} %`)
    .join(", ") || "none";

const assignmentActions = (
  known: Known,
  before: Assignment | undefined,
  after: Assignment | undefined,
): readonly Action[] => {
  if (after === undefined) return [];
  const { actor: target, spec } = after;
  if (before === undefined) return [{ action: `start ${spec.kind}`, target, reason: startReason(known, after) }];
  if (before.intent.kind !== after.intent.kind) {
    return [{ action: `${after.intent.kind} ${spec.kind}`, target, reason: leaveReason(known, before) }];
  }
  if (after.configRevision === before.configRevision) return [];
  const reason =
    after.configRevision > before.configRevision
      ? `revision ${after.configRevision} of its backend's configuration`
      : `configuration ${before.configRevision} was refused: its next start gets configuration ${after.configRevision} again`;
  return [{ action: `configure ${spec.kind}`, target, reason }];
};

const startReason = ({ view, backendNow }: Known, { spec, rollout }: Assignment): string => {
  if (spec.kind === "proxy") return `its node shall answer HTTP on ${spec.host}:${spec.port}`;
  const record = backendNow(spec.backend);
  const standIn = record === undefined ? undefined : standsInFor(record);
  if (standIn?.rollout === rollout) {
    return `the newest roll-out has failed: the version before it (${nameOfVersion(standIn)}) takes its place`;
  }
  const older = [...view.replicasOf(spec.backend)].some(
    (actor) => (view.assignment(actor)?.rollout ?? rollout) < rollout,
  );
  if (older) return `roll-out ${rollout} of its backend replaces older replicas`;
  return `its backend wants ${countOf(wantedOf(record))}`;
};

const leaveReason = ({ view, backendNow }: Known, { spec, rollout, actor }: Assignment): string => {
  const phase = view.instance()?.phase;
  if (phase === "stopping" || phase === "erasing") return `the instance is ${phase}`;
  if (spec.kind === "proxy") return "its node shall have fewer proxies, or others";
  const backend = backendNow(spec.backend);
  if (backend === undefined || backend.deleting !== undefined) return "its backend is deleted";
  if (rollout < backend.rollout && standsInFor(backend) === undefined)
    return `roll-out ${backend.rollout} of its backend takes its place`;
  const status = view.status(actor);
  if (status !== undefined && status.health !== "healthy") {
    return `it is ${status.health}: ${status.healthReason ?? "it does not say why"}`;
  }
  if (status?.state === "exited") return `it could not start: ${status.error?.message ?? "its process ended"}`;
  return `its backend wants ${countOf(wantedOf(backend))}`;
};

const wantedOf = (record: BackendRecord | undefined): number =>
  record === undefined || record.deleting !== undefined
    ? 0
    : targetReplicas(record, resolveBackendConfig(record.config));

const countOf = (count: number): string => `${count} ${count === 1 ? "replica" : "replicas"}`;

const instanceActions = (before: InstanceRecord | undefined, after: InstanceRecord | undefined): readonly Action[] => {
  if (after === undefined || before?.phase === after.phase) return [];
  return [{ action: "change instance", target: after.name, reason: `it is ${after.phase} from now on` }];
};

const publishAction = (known: Known, { tag, closure }: Decision["publications"][number]): Action => {
  const before = known.soft.published.get(tag)?.closure;
  if (closure === undefined) return { action: "withdraw endpoint", target: tag, reason: "routers forget it" };
  const reason = closureChange(before, closure);
  return { action: "publish endpoint", target: tag, reason };
};

const closureChange = (
  before: Decision["publications"][number]["closure"],
  after: Decision["publications"][number]["closure"] & object,
): string => {
  if (before === undefined) return "routers learn of it";
  const { backends: _was, ...policyBefore } = before;
  const { backends: _is, ...policy } = after;
  return isSameValue(policyBefore, policy)
    ? "replicas or limits of its backends have changed"
    : "its route, traffic or shadows have changed";
};

const withdrawAction = (known: Known, actor: ActorName, step: "withdraw" | "restore"): Action => {
  if (step === "restore") return { action: "restore replica", target: actor, reason: "it is wanted again" };
  const assignment = known.view.assignment(actor);
  const why = assignment === undefined ? "it goes" : leaveReason(known, assignment);
  return { action: "withdraw replica", target: actor, reason: `${why}; routers are told first` };
};
