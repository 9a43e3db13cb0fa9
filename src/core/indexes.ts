/**
 * The indexes of the view: who belongs to whom, kept up to date thing by thing at the cost of that thing alone.
 * Each answer is a live set; the order in it is the order of adding, so whoever decides by order sorts first.
 */
import { MultiMap } from "../base/multi-map.ts";
import type { ActorStatus, Assignment } from "../model/actor.ts";
import { type BackendConfig, resolveBackendConfig } from "../model/backend-config.ts";
import type { ActorName, BackendTag, EndpointTag, GoalId, NodeName } from "../model/ids.ts";
import type { EndpointRecord, GoalRecord } from "../model/records.ts";
import type { Fact, FactOf, Kind, Values } from "./facts.ts";
import { NO_USAGE, type Usage, usageOf } from "./placement.ts";
import { routeShape } from "./routes.ts";

/** What a goal is about: `backend/iris:v1`, `endpoint/iris`, `app/flowers`, `instance`. */
export type SubjectKey = `backend/${string}` | `endpoint/${string}` | `app/${string}` | "instance";

export const subjectKey = (subject: GoalRecord["subject"]): SubjectKey => {
  if (subject.kind === "instance") return "instance";
  return subject.kind === "app" ? `app/${subject.app}` : `${subject.kind}/${subject.tag}`;
};

export class Indexes {
  /** Backend → its replicas' assignments. */
  readonly replicas = new MultiMap<BackendTag, ActorName>();
  readonly proxies = new Set<ActorName>();
  /** Node → assignments there. */
  readonly onNode = new MultiMap<NodeName, ActorName>();
  /** Node → rows that its agent wrote. */
  readonly statusesOn = new MultiMap<NodeName, ActorName>();
  /** Node → what the replicas assigned there need together. */
  readonly used = new Map<NodeName, Usage>();
  /** Backend → endpoints whose traffic or shadows name it. */
  readonly endpoints = new MultiMap<BackendTag, EndpointTag>();
  /** Shape of a route → the endpoint that has it. */
  readonly routes = new Map<string, EndpointTag>();
  /** Config of each backend, defaults filled in. */
  readonly configs = new Map<BackendTag, BackendConfig>();
  /** Goals that wait for their own outcome. */
  readonly pendingGoals = new MultiMap<SubjectKey, GoalId>();
  /** Goal → ids that share its outcome and have not been given it yet. */
  readonly pendingAliases = new MultiMap<GoalId, GoalId>();
  /** Oldest settling first. */
  readonly settledGoals = new Set<GoalId>();

  /** One thing is no longer as it was before; only what the change moves is touched. */
  update(fact: Fact, before: Values[Kind] | undefined): void {
    if (fact.kind === "backend") this.#backend(fact);
    else if (fact.kind === "endpoint") this.#endpoint(fact, before as EndpointRecord | undefined);
    else if (fact.kind === "goal") this.#goal(fact, before as GoalRecord | undefined);
    else if (fact.kind === "assignment") this.#assignment(fact, before as Assignment | undefined);
    else if (fact.kind === "status") {
      this.statusesOn.move(fact.id as ActorName, (before as ActorStatus | undefined)?.node, fact.after?.node);
    }
  }

  #backend({ id, after }: FactOf<"backend">): void {
    if (after === undefined) this.configs.delete(id as BackendTag);
    else this.configs.set(id as BackendTag, resolveBackendConfig(after.config));
  }

  #endpoint({ id, after }: FactOf<"endpoint">, before: EndpointRecord | undefined): void {
    const tag = id as EndpointTag;
    const [was, is] = [
      before === undefined ? NO_BACKENDS : backendsOf(before),
      after === undefined ? NO_BACKENDS : backendsOf(after),
    ];
    for (const backend of was) if (!is.has(backend)) this.endpoints.delete(backend, tag);
    for (const backend of is) if (!was.has(backend)) this.endpoints.add(backend, tag);
    this.#route(tag, before?.spec.route, after?.spec.route);
  }

  #route(tag: EndpointTag, before: string | undefined, after: string | undefined): void {
    if (before === after) return;
    const [was, is] = [shapeOf(before), shapeOf(after)];
    // Two endpoints may change places in one transaction: the route may be the other's by now.
    if (was !== undefined && this.routes.get(was) === tag) this.routes.delete(was);
    if (is !== undefined) this.routes.set(is, tag);
  }

  #goal({ id, after }: FactOf<"goal">, before: GoalRecord | undefined): void {
    const goal = id as GoalId;
    this.pendingGoals.move(goal, waitsFor(before), waitsFor(after));
    this.pendingAliases.move(goal, sharesWith(before), sharesWith(after));
    if (!isSettled(after)) this.settledGoals.delete(goal);
    else if (!isSettled(before)) this.settledGoals.add(goal);
  }

  #assignment({ id, after }: FactOf<"assignment">, before: Assignment | undefined): void {
    const actor = id as ActorName;
    this.onNode.move(actor, before?.node, after?.node);
    this.replicas.move(actor, backendOf(before), backendOf(after));
    if (after?.spec.kind === "proxy") this.proxies.add(actor);
    else this.proxies.delete(actor);
    this.#use(before, -1);
    this.#use(after, 1);
  }

  #use(assignment: Assignment | undefined, sign: 1 | -1): void {
    if (assignment?.spec.kind !== "replica") return;
    const { node, spec } = assignment;
    const usage = usageOf(spec.config.resources);
    const before = this.used.get(node) ?? NO_USAGE;
    this.used.set(node, {
      millicpu: before.millicpu + sign * usage.millicpu,
      memoryBytes: before.memoryBytes + sign * usage.memoryBytes,
    });
  }
}

const NO_BACKENDS: ReadonlySet<BackendTag> = new Set();

const shapeOf = (route: string | undefined): string | undefined =>
  route === undefined ? undefined : routeShape(route);

const isSettled = (goal: GoalRecord | undefined): boolean => goal !== undefined && goal.state !== "pending";

const waitsFor = (goal: GoalRecord | undefined): SubjectKey | undefined =>
  goal?.state === "pending" && goal.aliasOf === undefined ? subjectKey(goal.subject) : undefined;

const sharesWith = (goal: GoalRecord | undefined): GoalId | undefined =>
  goal?.state === "pending" ? goal.aliasOf : undefined;

const backendOf = (assignment: Assignment | undefined): BackendTag | undefined =>
  assignment?.spec.kind === "replica" ? assignment.spec.backend : undefined;

/** Every backend that an endpoint names, once. */
export const backendsOf = (endpoint: Pick<EndpointRecord, "traffic" | "shadows">): ReadonlySet<BackendTag> =>
  new Set([...Object.keys(endpoint.traffic), ...Object.keys(endpoint.shadows)] as BackendTag[]);
