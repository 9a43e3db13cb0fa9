/**
 * The instance as people see it (`status`), made from what one life knows when somebody asks. Values of `env` are masked: they may be
 * secrets.
 */

import { targetReplicas } from "../core/autoscaling.ts";
import { shortDigest } from "../core/code-digest.ts";
import { describeGoal } from "../core/describe-goal.ts";
import { observeReplicas } from "../core/observed-replica.ts";
import { wantedReplicas } from "../core/reconcile-backend.ts";
import type { SoftState } from "../core/soft-state.ts";
import type { View } from "../core/view.ts";
import type { ActorStatus, Assignment } from "../model/actor.ts";
import type { BackendConfigInput } from "../model/backend-config.ts";
import type { Goal } from "../model/calls.ts";
import { type ActorName, agentName, type GoalId, type NodeName, ordinalOf } from "../model/ids.ts";
import { MAX_STATUS_GOALS } from "../model/limits.ts";
import {
  type BackendRecord,
  type EndpointRecord,
  type GoalRecord,
  type InstanceRecord,
  SCHEMA_VERSION,
} from "../model/records.ts";
import type { BackendStatus, EndpointStatus, ProcessStatus, Status } from "../model/status.ts";
import type { Instant, Timestamp } from "../ports/clock.ts";
import type { Reasons } from "./memory.ts";

export interface Reported {
  readonly view: View;
  readonly memory: SoftState;
  readonly reasons: Reasons;
  /** The controller itself: no row of the store describes it. */
  readonly self: ProcessStatus;
  readonly now: { readonly instant: Instant; readonly timestamp: Timestamp };
}

// The order in the view is that of adding, which a plan and the next life change.
const byTag = (a: { readonly tag: string }, b: { readonly tag: string }): number => (a.tag < b.tag ? -1 : 1);
const byAge = (a: Assignment, b: Assignment): number => ordinalOf(a.actor) - ordinalOf(b.actor);

const MASK = "***";

export const reportStatus = (known: Reported, instance: InstanceRecord): Status => ({
  schemaVersion: SCHEMA_VERSION,
  instance: instance.name,
  phase: instance.phase,
  http: instance.http,
  urls: urlsOf(known.view),
  metrics: Array.from(known.view.all("node")).flatMap(({ metricsUrl }) => metricsUrl ?? []),
  endpoints: [...known.view.all("endpoint")].sort(byTag).map(endpointStatus),
  backends: [...known.view.all("backend")].sort(byTag).map((record) => backendStatus(known, record)),
  goals: goalsOf(known),
  processes: [
    ...agentsOf(known),
    known.self,
    ...[...known.view.all("assignment")].sort(byAge).map((assignment) => processStatus(known, assignment)),
  ],
});

export const maskedConfig = (config: BackendConfigInput): BackendConfigInput =>
  config.env === undefined
    ? config
    : { ...config, env: Object.fromEntries(Object.keys(config.env).map((name) => [name, MASK])) };

const endpointStatus = ({ tag, app, spec, traffic, shadows }: EndpointRecord): EndpointStatus => ({
  tag,
  ...(app === undefined ? {} : { app }),
  route: spec.route,
  methods: spec.methods,
  traffic,
  shadows,
});

const backendStatus = (known: Reported, record: BackendRecord): BackendStatus => {
  const { view, reasons } = known;
  const wanted = wantedReplicas(view, record);
  const reason = reasons.present(`backend/${record.tag}`);
  return {
    tag: record.tag,
    ...(record.app === undefined ? {} : { app: record.app }),
    config: maskedConfig(record.config),
    code: record.code,
    replicas: {
      wanted: wanted === "hold" ? targetReplicas(record, view.config(record.tag)) : wanted,
      running: observeReplicas(view, record.tag).filter((replica) => replica.phase === "ready").length,
    },
    goal: goalOf(known, record.goal),
    ...codeStatus(view, record),
    ...(reason === undefined ? {} : { reason }),
  };
};

const codeStatus = (
  view: View,
  { tag, identity }: BackendRecord,
): Pick<BackendStatus, "digest" | "codeFrom" | "drift"> => {
  if (identity === undefined) return {};
  const drift = [...view.replicasOf(tag)]
    .sort((a, b) => ordinalOf(a) - ordinalOf(b))
    .flatMap((actor) => driftOf(view, actor));
  return { digest: identity.digest, codeFrom: identity.from, ...(drift.length === 0 ? {} : { drift }) };
};

/** A replica is held to the code that it was to run, which in a roll-out may be older than its backend's. */
const driftOf = (view: View, actor: ActorName): readonly string[] => {
  const spec = view.assignment(actor)?.spec;
  const loaded = view.status(actor)?.loadedDigest;
  if (spec?.kind !== "replica" || spec.identity === undefined || loaded === undefined) return [];
  if (loaded === spec.identity.digest) return [];
  const changed =
    spec.identity.from === "folder" ? "the folder has changed since" : "what it imports beside it has changed since";
  return [
    `replica ${actor} runs other code (${shortDigest({ digest: loaded })}) than ${spec.backend} was created with (${shortDigest(spec.identity)}): ${changed}.`,
  ];
};

/** All that are pending, and the last that were settled; of a deploy the whole, not its parts. */
const goalsOf = (known: Reported): readonly Goal[] => {
  const { view } = known;
  const isWhole = (record: GoalRecord | undefined): boolean => record?.partOf === undefined;
  const pending = Array.from(view.all("goal")).filter((record) => record.state === "pending" && isWhole(record));
  const settled = [...view.settledGoals()].filter((id) => isWhole(view.goal(id))).slice(-MAX_STATUS_GOALS);
  const ids: readonly GoalId[] = [...settled, ...pending.map((record) => record.id)];
  return ids.map((id) => goalOf(known, id)).filter((goal) => goal !== undefined);
};

const goalOf = ({ view, memory, reasons, now }: Reported, id: GoalId): Goal | undefined =>
  describeGoal({ view, soft: memory, reasonOf: (subject) => reasons.present(subject) }, id, now.instant);

const agentsOf = ({ view, reasons, now }: Reported): readonly ProcessStatus[] => {
  const names = new Set<NodeName>();
  for (const node of view.all("node")) names.add(node.node);
  for (const assignment of view.all("assignment")) names.add(assignment.node);
  return [...names].sort().map((name) => {
    const node = view.node(name);
    const base = { name: agentName(name), kind: "agent", node: name } as const;
    if (node === undefined) {
      const error = reasons.present(`node/${name}`) ?? "its agent is silent.";
      return { ...base, pid: undefined, state: "exited", incarnation: 0, restarts: 0, uptimeMs: 0, error };
    }
    const { pid, agentIncarnation: incarnation, startedAt } = node;
    const uptimeMs = Math.max(0, now.timestamp - startedAt);
    return { ...base, pid, state: "ready", incarnation, restarts: Math.max(0, incarnation - 1), uptimeMs };
  });
};

const processStatus = ({ view, now }: Reported, assignment: Assignment): ProcessStatus => {
  const status = view.status(assignment.actor);
  const isUp = status?.pid !== undefined;
  const problem = status?.healthReason ?? status?.error?.message;
  return {
    name: assignment.actor,
    kind: assignment.spec.kind,
    node: assignment.node,
    pid: status?.pid,
    state: stateOf(assignment, status),
    incarnation: status?.incarnation ?? 0,
    restarts: Math.max(0, (status?.incarnation ?? 1) - 1),
    uptimeMs: isUp ? Math.max(0, now.timestamp - status.startedAt) : 0,
    ...(status === undefined || status.failedStarts === 0 ? {} : { failedStarts: status.failedStarts }),
    ...(status === undefined || status.health === "healthy" ? {} : { health: status.health }),
    ...(problem === undefined ? {} : { error: problem }),
    ...(status?.address === undefined ? {} : { address: status.address }),
    ...(status?.loadedDigest === undefined ? {} : { loadedDigest: status.loadedDigest }),
  };
};

const stateOf = (assignment: Assignment, status: ActorStatus | undefined): ProcessStatus["state"] => {
  if (status === undefined) return "starting";
  return assignment.intent.kind !== "run" && status.state !== "exited" ? "draining" : status.state;
};

/** Where the proxies that are ready answer: `tcp:127.0.0.1:8000` → `http://127.0.0.1:8000`. */
const urlsOf = (view: View): readonly string[] => {
  const urls = new Set<string>();
  for (const actor of view.proxies()) {
    const status = view.status(actor);
    if (status?.state !== "ready" || status.address === undefined || !status.address.startsWith("tcp:")) continue;
    const place = status.address.slice("tcp:".length);
    const colon = place.lastIndexOf(":");
    urls.add(`http://${reachableHost(place.slice(0, colon))}:${place.slice(colon + 1)}`);
  }
  return [...urls];
};

/** A wildcard address is reached over loopback; an IPv6 address stands in brackets. */
const reachableHost = (host: string): string => {
  if (host === "0.0.0.0" || host === "::" || host === "[::]") return "127.0.0.1";
  return host.includes(":") && !host.startsWith("[") ? `[${host}]` : host;
};
