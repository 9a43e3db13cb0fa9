/**
 * Why a thing is as it is: what was last done about it, the last reason why it was not as wanted, and how it is now. One name may mean
 * several things (a backend and an endpoint): all are told of. A goal is explained by what it is about, a process also by its backend.
 * What was done before this life of the controller is not known to it.
 */
import { suggestion } from "../base/did-you-mean.ts";
import { ServeError } from "../base/serve-error.ts";
import { describeGoal } from "../core/describe-goal.ts";
import { type SubjectKey, subjectKey } from "../core/indexes.ts";
import { observeReplica, observeReplicas } from "../core/observed-replica.ts";
import { wantedReplicas } from "../core/reconcile-backend.ts";
import type { SoftState } from "../core/soft-state.ts";
import type { View } from "../core/view.ts";
import type { Assignment } from "../model/actor.ts";
import type { ActorName, AppName, BackendTag, EndpointTag, GoalId, NodeName } from "../model/ids.ts";
import { MAX_SUGGESTED_NAMES } from "../model/limits.ts";
import type { AppRecord, GoalRecord } from "../model/records.ts";
import type { ProcessStatus } from "../model/status.ts";
import type { Instant, Timestamp } from "../ports/clock.ts";
import type { Deeds, Reason, Reasons } from "./memory.ts";

export interface Explained {
  /** `backend/iris:v1`, `replica/iris:v1#7`, … */
  readonly target: string;
  readonly reason: string;
  /** When that was decided, or now for what is so now. ISO 8601. */
  readonly timestamp: string;
}

export interface Explainable {
  readonly view: View;
  readonly soft: SoftState;
  readonly reasons: Reasons;
  readonly deeds: Deeds;
  /** The controller itself. */
  readonly self: ProcessStatus;
  readonly now: { readonly instant: Instant; readonly timestamp: Timestamp };
}

/**
 * @param target a tag, the name of an app or process, or a goal id.
 * @throws ServeError `target-unknown`
 */
export const explain = (known: Explainable, target: string): readonly Explained[] => {
  const { view } = known;
  const assignment = view.assignment(target as ActorName);
  const goal = view.goal(target as GoalId);
  const app = view.app(target as AppName);
  const found = [
    ...(view.backend(target as BackendTag) === undefined ? [] : subject(known, `backend/${target}`)),
    ...(view.endpoint(target as EndpointTag) === undefined ? [] : subject(known, `endpoint/${target}`)),
    ...(app === undefined ? [] : [said(known, `app/${target}`, appState(app))]),
    ...(assignment === undefined ? [] : process(known, assignment)),
    ...(goal === undefined ? [] : goalStory(known, goal)),
    ...(target === known.self.name ? [said(known, target, "it leads, and gives this answer.")] : []),
    ...agent(known, target),
  ];
  if (found.length > 0)
    return found.sort((a, b) => (a.timestamp < b.timestamp ? -1 : Number(a.timestamp > b.timestamp)));
  throw new ServeError(
    "target-unknown",
    `no backend, endpoint, app, process or goal is called "${target}".${suggestion(target, namesOf(view))} status() lists what there is.`,
    { details: { target } },
  );
};

/** A backend or endpoint: the last deed, why it is or was not as wanted, and how it is now. */
const subject = (known: Explainable, key: SubjectKey): readonly Explained[] => {
  const { reasons, deeds } = known;
  return [
    ...remembered(key, deeds.last(key)),
    ...(key.startsWith("endpoint/") ? remembered(key, deeds.last(key.replace("endpoint", "published"))) : []),
    ...remembered(key, reasons.last(key)),
    ...(reasons.present(key) === undefined ? [said(known, key, stateOf(known, key))] : []),
  ];
};

const stateOf = ({ view, soft }: Explainable, key: SubjectKey): string => {
  const tag = key.slice(key.indexOf("/") + 1);
  if (!key.startsWith("backend/")) {
    if (view.endpoint(tag as EndpointTag) === undefined) return "it is gone.";
    return soft.published.has(tag as EndpointTag) ? "routers are told of it." : "it is not published yet.";
  }
  const record = view.backend(tag as BackendTag);
  if (record === undefined) return "it is gone.";
  const wanted = wantedReplicas(view, record);
  const ready = observeReplicas(view, record.tag).filter(({ phase }) => phase === "ready").length;
  return wanted === "hold"
    ? `${ready} replicas run until the proxies have ended.`
    : `${ready} of ${wanted} replicas run.`;
};

const appState = ({ backends, endpoints, goal }: AppRecord): string =>
  `it owns the backends ${namesIn(backends)} and the endpoints ${namesIn(endpoints)}; goal ${goal} deployed it last.`;

const namesIn = (things: object): string => Object.keys(things).join(", ") || "(none)";

const process = (known: Explainable, assignment: Assignment): readonly Explained[] => {
  const { view, deeds } = known;
  const { actor, spec } = assignment;
  const key = `${spec.kind}/${actor}`;
  const status = view.status(actor);
  return [
    ...remembered(key, deeds.last(key)),
    ...[status?.healthReason, status?.error?.message].flatMap((problem) =>
      problem === undefined ? [] : said(known, key, problem),
    ),
    said(known, key, processState(view, assignment)),
    ...(spec.kind === "replica"
      ? subject(known, `backend/${spec.backend}`)
      : remembered("proxies", known.reasons.last("proxies"))),
  ];
};

const processState = (view: View, assignment: Assignment): string => {
  const { phase } = observeReplica(view, assignment);
  const incarnation = view.status(assignment.actor)?.incarnation;
  return `${PHASE[phase]} on node ${assignment.node}${incarnation === undefined ? "" : `, incarnation ${incarnation}`}.`;
};

const PHASE = {
  starting: "it is starting",
  ready: "it is ready",
  failed: "its starts have been given up",
  silent: "nothing is heard of it: the agent is silent",
  leaving: "it is on its way out",
  ended: "it has ended",
} as const;

const goalStory = (known: Explainable, record: GoalRecord): readonly Explained[] => {
  const { view, soft, reasons, now } = known;
  const reasonOf = (key: string) => reasons.present(key);
  const goal = describeGoal({ view, soft, reasonOf }, record.id, now.instant);
  const at = record.settledAt ?? now.timestamp;
  const parts =
    record.subject.kind === "app" ? record.subject.parts.flatMap((part) => view.goal(part)?.subject ?? []) : [];
  return [
    ...remembered(`goal/${record.id}`, { reason: goalState(goal), timestamp: at }),
    ...[record.subject, ...parts].flatMap((about) =>
      about.kind === "instance" || about.kind === "app" ? [] : subject(known, subjectKey(about)),
    ),
  ];
};

const goalState = (goal: ReturnType<typeof describeGoal>): string => {
  switch (goal?.state) {
    case "failed":
      return `it failed: ${goal.error?.message ?? "no reason is known."}`;
    case "superseded":
      return `it was superseded by ${goal.supersededBy ?? "a newer change"}.`;
    case "reached":
      return goal.laggards === undefined ? "it is reached." : `it is reached, without ${goal.laggards.join(", ")}.`;
    default: {
      const progress =
        goal?.progress === undefined ? "" : `, ${goal.progress.done} of ${goal.progress.total} replicas are there`;
      return `it is pending${progress}${goal?.laggards === undefined ? "" : `; it waits for ${goal.laggards.join(", ")}`}.`;
    }
  }
};

const agent = (known: Explainable, target: string): readonly Explained[] => {
  if (!target.startsWith("agent@")) return [];
  const name = target.slice("agent@".length) as NodeName;
  const node = known.view.node(name);
  if (node !== undefined) {
    return remembered(target, {
      reason: `it is registered, incarnation ${node.incarnation}.`,
      timestamp: node.startedAt,
    });
  }
  const last = known.reasons.last(`node/${name}`);
  if (last !== undefined) return remembered(target, last);
  return known.view.actorsOn(name).size === 0
    ? []
    : [said(known, target, "it is silent; what it started is left alone.")];
};

const said = ({ now }: Explainable, target: string, reason: string): Explained => ({
  target,
  reason,
  timestamp: new Date(now.timestamp).toISOString(),
});

const remembered = (target: string, last: Reason | undefined): readonly Explained[] =>
  last === undefined ? [] : [{ target, reason: last.reason, timestamp: new Date(last.timestamp).toISOString() }];

function* namesOf(view: View): Iterable<string> {
  let left = MAX_SUGGESTED_NAMES;
  for (const names of [
    Array.from(view.all("backend"), ({ tag }) => tag),
    Array.from(view.all("endpoint"), ({ tag }) => tag),
    Array.from(view.all("app"), ({ name }) => name),
    Array.from(view.all("assignment"), ({ actor }) => actor),
  ]) {
    for (const name of names.slice(0, left)) yield name;
    left -= Math.min(left, names.length);
  }
}
