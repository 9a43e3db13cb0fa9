/**
 * The indexes of the view: who belongs to whom, kept up to date thing by thing at the cost of that thing alone.
 * Each answer is a live set; the order in it is the order of adding, so whoever decides by order sorts first.
 */
import { MultiMap } from "../base/multi-map.ts";
import type { Assignment } from "../model/actor.ts";
import { type BackendConfig, resolveBackendConfig } from "../model/backend-config.ts";
import type { ActorName, BackendTag, EndpointTag, GoalId, NodeName } from "../model/ids.ts";
import type { BackendRecord, EndpointRecord, GoalRecord } from "../model/records.ts";
import type { Fact } from "./facts.ts";
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

  add(fact: Fact): void {
    this.#update(fact, "add");
  }

  remove(fact: Fact): void {
    this.#update(fact, "delete");
  }

  #update(fact: Fact, step: "add" | "delete"): void {
    if (fact.after === undefined) return;
    if (fact.kind === "backend") this.#backend(fact.after, step);
    else if (fact.kind === "endpoint") this.#endpoint(fact.after, step);
    else if (fact.kind === "goal") this.#goal(fact.after, step);
    else if (fact.kind === "assignment") this.#assignment(fact.after, step);
    else if (fact.kind === "status") this.statusesOn[step](fact.after.node, fact.after.actor);
  }

  #backend(record: BackendRecord, step: "add" | "delete"): void {
    if (step === "add") this.configs.set(record.tag, resolveBackendConfig(record.config));
    else this.configs.delete(record.tag);
  }

  #endpoint(record: EndpointRecord, step: "add" | "delete"): void {
    for (const backend of backendsOf(record)) this.endpoints[step](backend, record.tag);
    const shape = record.spec.route === undefined ? undefined : routeShape(record.spec.route);
    if (shape === undefined) return;
    if (step === "add") this.routes.set(shape, record.tag);
    // Two endpoints may change places in one transaction: the route may be the other's by now.
    else if (this.routes.get(shape) === record.tag) this.routes.delete(shape);
  }

  #goal(record: GoalRecord, step: "add" | "delete"): void {
    if (record.state !== "pending") this.settledGoals[step](record.id);
    else if (record.aliasOf !== undefined) this.pendingAliases[step](record.aliasOf, record.id);
    else this.pendingGoals[step](subjectKey(record.subject), record.id);
  }

  #assignment(record: Assignment, step: "add" | "delete"): void {
    this.onNode[step](record.node, record.actor);
    if (record.spec.kind === "proxy") this.proxies[step](record.actor);
    else {
      this.replicas[step](record.spec.backend, record.actor);
      this.#use(record.node, usageOf(record.spec.config.resources), step === "add" ? 1 : -1);
    }
  }

  #use(node: NodeName, usage: Usage, sign: 1 | -1): void {
    const before = this.used.get(node) ?? NO_USAGE;
    this.used.set(node, {
      millicpu: before.millicpu + sign * usage.millicpu,
      memoryBytes: before.memoryBytes + sign * usage.memoryBytes,
    });
  }
}

/** Every backend that an endpoint names, once. */
export const backendsOf = (endpoint: Pick<EndpointRecord, "traffic" | "shadows">): ReadonlySet<BackendTag> =>
  new Set([...Object.keys(endpoint.traffic), ...Object.keys(endpoint.shadows)] as BackendTag[]);
