/**
 * The calls on endpoints: create, delete, and the two that change how queries are split. Each checks everything before it writes
 * anything; routers are told when the endpoint's key is looked at afterwards.
 */
import type { Call } from "../../model/calls.ts";
import type { EndpointSpec, TrafficPolicy } from "../../model/endpoint.ts";
import { type BackendTag, type EndpointTag, isName, NAME_RULE } from "../../model/ids.ts";
import type { EndpointRecord, GoalRecord } from "../../model/records.ts";
import { isSameValue } from "../canonical.ts";
import type { Draft } from "../draft.ts";
import { openAlias, openGoal, openReached } from "../goals.ts";
import { parseRoute } from "../routes.ts";
import { shadowProblems, weightProblems, withoutZero } from "../traffic.ts";
import { ACCEPTED, type CallOutcome, listed, refuse, refuseAll } from "./outcome.ts";

type CallOf<K extends Call["kind"]> = Extract<Call, { readonly kind: K }>;

export const createEndpoint = (draft: Draft, call: CallOf<"createEndpoint">): CallOutcome => {
  const { tag, spec } = call;
  const policy = { traffic: call.traffic, shadows: withoutZero(call.shadows) } as TrafficPolicy;
  const refusal =
    refuseTag(tag) ??
    refuseSpec(call) ??
    refuseShares(tag, call.traffic, call.shadows) ??
    refuseBackends(draft, tag, policy);
  if (refusal !== undefined) return refusal;
  const existing = draft.view.endpoint(tag);
  if (existing !== undefined) {
    const wanted = { spec, ...policy };
    const { traffic, shadows } = existing;
    if (isSameValue({ spec: existing.spec, traffic, shadows }, wanted)) return repeat(draft, existing, call);
    return refuse(
      "endpoint-exists",
      `endpoint "${tag}" exists with another ${differenceOf(existing, wanted)}. Change its traffic with setTraffic and shadowTraffic, or delete it first.`,
      { endpoint: tag },
    );
  }
  const taken = refuseTakenRoute(draft, call);
  if (taken !== undefined) return taken;
  openGoal(draft, call, { kind: "endpoint", tag, until: "published" });
  draft.put("endpoint", tag, { tag, spec, ...policy, revision: 1, goal: call.goalId, app: undefined });
  return ACCEPTED;
};

export const deleteEndpoint = (draft: Draft, call: CallOf<"deleteEndpoint">): CallOutcome => {
  const { tag } = call;
  const subject = { kind: "endpoint", tag, until: "withdrawn" } as const;
  if (draft.view.endpoint(tag) !== undefined) {
    openGoal(draft, call, subject);
    draft.delete("endpoint", tag);
    return ACCEPTED;
  }
  // Deleted before: while routers still learn of it the outcome is that deletion's.
  const [pending] = draft.view.pendingGoalsOf(`endpoint/${tag}`);
  const current = pending === undefined ? undefined : draft.view.goal(pending);
  if (current === undefined) openReached(draft, call, subject);
  else openAlias(draft, call, current);
  return ACCEPTED;
};

export const setTraffic = (draft: Draft, call: CallOf<"setTraffic">): CallOutcome => {
  const { tag } = call;
  const record = draft.view.endpoint(tag);
  if (record === undefined) return refuseUnknown(tag);
  const policy = { traffic: call.traffic, shadows: record.shadows } as TrafficPolicy;
  const refusal = refuseShares(tag, call.traffic, {}) ?? refuseBackends(draft, tag, policy);
  return refusal ?? split(draft, record, { call, policy });
};

export const shadowTraffic = (draft: Draft, call: CallOf<"shadowTraffic">): CallOutcome => {
  const { tag, backend, proportion } = call;
  const record = draft.view.endpoint(tag);
  if (record === undefined) return refuseUnknown(tag);
  const refusal = refuseShares(tag, undefined, { [backend]: proportion });
  if (refusal !== undefined) return refusal;
  const shadows = withoutZero({ ...record.shadows, [backend]: proportion });
  const policy = { traffic: record.traffic, shadows } as TrafficPolicy;
  return refuseBackends(draft, tag, policy) ?? split(draft, record, { call, policy });
};

const split = (
  draft: Draft,
  record: EndpointRecord,
  { call, policy }: { readonly call: Call; readonly policy: TrafficPolicy },
): CallOutcome => {
  const { traffic, shadows } = record;
  if (isSameValue({ traffic, shadows }, policy)) return repeat(draft, record, call);
  openGoal(draft, call, { kind: "endpoint", tag: record.tag, until: "published" });
  draft.put("endpoint", record.tag, { ...record, ...policy, revision: record.revision + 1, goal: call.goalId });
  return ACCEPTED;
};

/** The value is current already: the id shares the goal of that value. */
const repeat = (draft: Draft, record: EndpointRecord, call: Call): CallOutcome => {
  const current = draft.view.goal(record.goal);
  if (current !== undefined && (current.state === "pending" || current.state === "reached")) {
    openAlias(draft, call, current);
    return ACCEPTED;
  }
  openGoal(draft, call, { kind: "endpoint", tag: record.tag, until: "published" } satisfies GoalRecord["subject"]);
  draft.put("endpoint", record.tag, { ...record, goal: call.goalId });
  return ACCEPTED;
};

const refuseTag = (tag: string): CallOutcome | undefined =>
  isName(tag)
    ? undefined
    : refuse("tag-invalid", `${JSON.stringify(tag)} cannot be an endpoint's tag: use ${NAME_RULE}.`);

const refuseSpec = ({ tag, spec }: CallOf<"createEndpoint">): CallOutcome | undefined => {
  const [first, ...others] = specProblems(spec);
  if (first === undefined) return undefined;
  if (first.code === "route-invalid")
    return refuse(first.code, `endpoint "${tag}": ${first.sentence}`, { endpoint: tag });
  return refuseAll(
    "config-invalid",
    `endpoint "${tag}"`,
    [first, ...others].map(({ sentence }) => sentence),
  );
};

/** Each sentence begins with the field. */
export const specProblems = (
  spec: EndpointSpec,
): readonly { readonly code: "route-invalid" | "config-invalid"; readonly sentence: string }[] => {
  const parsed = spec.route === undefined ? undefined : parseRoute(spec.route);
  const sentences: string[] = [];
  if (spec.methods?.length === 0) sentences.push("methods is empty. Leave it out to answer all methods.");
  if (spec.timeoutMs !== undefined && !(Number.isFinite(spec.timeoutMs) && spec.timeoutMs > 0)) {
    sentences.push(`timeoutMs must be above 0, got ${spec.timeoutMs}.`);
  }
  return [
    ...(parsed?.kind === "invalid"
      ? [{ code: "route-invalid" as const, sentence: `route ${JSON.stringify(spec.route)} ${parsed.problem}.` }]
      : []),
    ...sentences.map((sentence) => ({ code: "config-invalid" as const, sentence })),
  ];
};

const refuseShares = (
  tag: EndpointTag,
  traffic: Readonly<Record<string, number>> | undefined,
  shadows: Readonly<Record<string, number>>,
): CallOutcome | undefined => {
  const problems = [...(traffic === undefined ? [] : weightProblems(traffic)), ...shadowProblems(shadows)];
  return problems.length === 0 ? undefined : refuseAll("weights-invalid", `endpoint "${tag}"`, problems);
};

const refuseBackends = (draft: Draft, tag: EndpointTag, policy: TrafficPolicy): CallOutcome | undefined => {
  const named = [...new Set([...Object.keys(policy.traffic), ...Object.keys(policy.shadows)])] as BackendTag[];
  const unknown = named.filter((backend) => draft.view.backend(backend) === undefined);
  if (unknown.length > 0) {
    const [one, them] = unknown.length === 1 ? ["no backend is called", "it"] : ["no backends are called", "them"];
    return refuse("backend-unknown", `endpoint "${tag}": ${one} ${listed(unknown)}. Create ${them} first.`, {
      endpoint: tag,
      backends: unknown,
    });
  }
  const deleting = named.filter((backend) => draft.view.backend(backend)?.deleting !== undefined);
  if (deleting.length === 0) return undefined;
  return refuse("backend-deleting", `endpoint "${tag}": ${listed(deleting)} is being deleted. Name another backend.`, {
    endpoint: tag,
    backends: deleting,
  });
};

const refuseTakenRoute = (draft: Draft, { tag, spec }: CallOf<"createEndpoint">): CallOutcome | undefined => {
  const parsed = spec.route === undefined ? undefined : parseRoute(spec.route);
  const owner = parsed?.kind === "route" ? draft.view.endpointOfRoute(parsed.shape) : undefined;
  if (owner === undefined) return undefined;
  const route = draft.view.endpoint(owner)?.spec.route;
  const other = route === spec.route ? "" : `, as ${JSON.stringify(route)}, which matches the same paths`;
  return refuse(
    "route-taken",
    `endpoint "${tag}": endpoint "${owner}" already answers the route ${JSON.stringify(spec.route)}${other}. Choose another route, or change the traffic of "${owner}".`,
    { endpoint: tag, owner },
  );
};

const differenceOf = (existing: EndpointRecord, wanted: TrafficPolicy & Pick<EndpointRecord, "spec">): string => {
  const fields = (Object.keys({ ...existing.spec, ...wanted.spec }) as (keyof EndpointRecord["spec"])[]).filter(
    (field) => !isSameValue(existing.spec[field], wanted.spec[field]),
  );
  const parts: string[] = [...fields];
  if (!isSameValue(existing.traffic, wanted.traffic)) parts.push("traffic");
  if (!isSameValue(existing.shadows, wanted.shadows)) parts.push("shadows");
  return parts.join(", ");
};

const refuseUnknown = (tag: EndpointTag): CallOutcome =>
  refuse(
    "endpoint-unknown",
    `no endpoint is called "${tag}". Create it with createEndpoint, or look at listEndpoints.`,
    {
      endpoint: tag,
    },
  );
