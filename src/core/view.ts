/**
 * All that the controller knows from the store, indexed: hard state (instance, backends, endpoints, apps, goals, assignments) and what agents
 * observed (nodes, statuses). Feeding one fact costs what that fact touches; nothing is ever copied.
 * Decisions read it; only a `Draft` (for as long as a decision lasts) and the controller's loop feed it.
 */
import type { ActorStatus, Assignment, NodeRecord } from "../model/actor.ts";
import { type BackendConfig, DEFAULT_BACKEND_CONFIG } from "../model/backend-config.ts";
import type { ActorName, AppName, BackendTag, EndpointTag, GoalId, NodeName } from "../model/ids.ts";
import type { AppRecord, BackendRecord, EndpointRecord, GoalRecord, InstanceRecord } from "../model/records.ts";
import type { Fact, Kind, Values } from "./facts.ts";
import { Indexes, type SubjectKey } from "./indexes.ts";
import { NO_USAGE, type Usage } from "./placement.ts";

/** A thing with the revision of the store that wrote it. */
export interface Entry<T> {
  readonly value: T;
  readonly revision: number;
}

type Tables = { readonly [K in Kind]: Map<string, Entry<Values[K]>> };

export class View {
  readonly #tables: Tables = {
    instance: new Map(),
    backend: new Map(),
    endpoint: new Map(),
    app: new Map(),
    goal: new Map(),
    assignment: new Map(),
    node: new Map(),
    status: new Map(),
  };
  readonly #indexes = new Indexes();

  /** Sets or removes one thing; answers what was there before. */
  apply(fact: Fact, revision: number): Entry<Values[Kind]> | undefined {
    const table = this.#tables[fact.kind] as Map<string, Entry<Values[Kind]>>;
    const before = table.get(fact.id);
    if (fact.after === undefined) table.delete(fact.id);
    else table.set(fact.id, { value: fact.after, revision });
    this.#indexes.update(fact, before?.value);
    return before;
  }

  entry<K extends Kind>(kind: K, id: string): Entry<Values[K]> | undefined {
    return this.#tables[kind].get(id);
  }

  instance(): InstanceRecord | undefined {
    return this.#tables.instance.get("")?.value;
  }

  backend(tag: BackendTag): BackendRecord | undefined {
    return this.#tables.backend.get(tag)?.value;
  }

  /** Defaults filled in; of an unknown backend, the defaults. */
  config(tag: BackendTag): BackendConfig {
    return this.#indexes.configs.get(tag) ?? DEFAULT_BACKEND_CONFIG;
  }

  endpoint(tag: EndpointTag): EndpointRecord | undefined {
    return this.#tables.endpoint.get(tag)?.value;
  }

  app(name: AppName): AppRecord | undefined {
    return this.#tables.app.get(name)?.value;
  }

  goal(id: GoalId): GoalRecord | undefined {
    return this.#tables.goal.get(id)?.value;
  }

  assignment(actor: ActorName): Assignment | undefined {
    return this.#tables.assignment.get(actor)?.value;
  }

  node(name: NodeName): NodeRecord | undefined {
    return this.#tables.node.get(name)?.value;
  }

  status(actor: ActorName): ActorStatus | undefined {
    return this.#tables.status.get(actor)?.value;
  }

  *all<K extends Kind>(kind: K): IterableIterator<Values[K]> {
    for (const entry of this.#tables[kind].values()) yield entry.value;
  }

  count(kind: Kind): number {
    return this.#tables[kind].size;
  }

  replicasOf(tag: BackendTag): ReadonlySet<ActorName> {
    return this.#indexes.replicas.get(tag);
  }

  proxies(): ReadonlySet<ActorName> {
    return this.#indexes.proxies;
  }

  actorsOn(node: NodeName): ReadonlySet<ActorName> {
    return this.#indexes.onNode.get(node);
  }

  nodesWithActors(): Iterable<NodeName> {
    return this.#indexes.onNode.keys();
  }

  nodesWithStatuses(): Iterable<NodeName> {
    return this.#indexes.statusesOn.keys();
  }

  /** What the replicas assigned to the node need together. */
  usedOn(node: NodeName): Usage {
    return this.#indexes.used.get(node) ?? NO_USAGE;
  }

  endpointsOf(backend: BackendTag): ReadonlySet<EndpointTag> {
    return this.#indexes.endpoints.get(backend);
  }

  /** The endpoint whose route has this shape (`routeShape`). */
  endpointOfRoute(shape: string): EndpointTag | undefined {
    return this.#indexes.routes.get(shape);
  }

  pendingGoalsOf(subject: SubjectKey): ReadonlySet<GoalId> {
    return this.#indexes.pendingGoals.get(subject);
  }

  /** Subjects that pending goals are about. */
  pendingSubjects(): Iterable<SubjectKey> {
    return this.#indexes.pendingGoals.keys();
  }

  /** Goals of deploys that wait for their parts. */
  *pendingDeploys(): IterableIterator<GoalId> {
    for (const subject of this.#indexes.pendingGoals.keys()) {
      if (subject.startsWith("app/")) yield* this.#indexes.pendingGoals.get(subject);
    }
  }

  pendingAliasesOf(goal: GoalId): ReadonlySet<GoalId> {
    return this.#indexes.pendingAliases.get(goal);
  }

  /** Goals with aliases that wait for their outcome. */
  aliasedGoals(): Iterable<GoalId> {
    return this.#indexes.pendingAliases.keys();
  }

  /** Oldest settling first. */
  settledGoals(): ReadonlySet<GoalId> {
    return this.#indexes.settledGoals;
  }
}
