/**
 * A small world for tests of the pure core: a saved state (texts by key), a view of it, an agent that does what assignments say one step
 * at a time, and routers that apply what is published when the test says so. Time moves only when told. `crash` forgets everything but
 * the saved state, as a new controller life does.
 */
import { actionsOf } from "../../src/core/actions.ts";
import type { CallOutcome } from "../../src/core/calls/outcome.ts";
import { type Decision, decide } from "../../src/core/decide.ts";
import { describeGoal } from "../../src/core/describe-goal.ts";
import { type DirtyKey, dirtiedBy, everything } from "../../src/core/dirty.ts";
import { type Fact, factOf } from "../../src/core/facts.ts";
import { NoteBook } from "../../src/core/notes.ts";
import { observeReplicas } from "../../src/core/observed-replica.ts";
import { type Plan, planCall } from "../../src/core/plan.ts";
import type { Wanted } from "../../src/core/reconcile-instance.ts";
import type { Laggard, Published, Routers, SoftState, Withdrawal } from "../../src/core/soft-state.ts";
import { View } from "../../src/core/view.ts";
import type { Action } from "../../src/model/action.ts";
import type { ActorStatus, Assignment, NodeRecord } from "../../src/model/actor.ts";
import type { Call, Goal } from "../../src/model/calls.ts";
import type { ErrorBody } from "../../src/model/error-codes.ts";
import type {
  ActorName,
  BackendTag,
  EndpointTag,
  GoalId,
  InstanceId,
  InstanceName,
  NodeName,
} from "../../src/model/ids.ts";
import { keysOf } from "../../src/model/keys.ts";
import type { HttpConfig } from "../../src/model/records.ts";

export const NODE = "local" as NodeName;
const INSTANCE = "test" as InstanceName;

/** What the agent does with a process that it starts. */
export type Fate =
  | "ready"
  | { readonly fails: ErrorBody }
  /** Its configuration: a process that runs goes on without it, one that starts with it fails. */
  | { readonly refuses: ErrorBody }
  | { readonly ill: string };

type CallBody = Call extends infer C ? (C extends Call ? Omit<C, "goalId"> : never) : never;

export class CoreWorld {
  readonly keys = keysOf(INSTANCE);
  /** What is durable: key → text and revision. */
  readonly saved = new Map<string, { readonly text: string; readonly revision: number }>();
  view = new View();
  now = 0;
  /** Every decision since the last crash. */
  decisions: Decision[] = [];
  /** The same in words, also of earlier lives. */
  actions: Action[] = [];
  /** Decides the fate of a start. */
  fateOf: (assignment: Assignment) => Fate = () => "ready";
  /** Routers besides the proxies; `applied` is the newest snapshot that they have. */
  clients: { name: string; kind: Laggard["kind"]; applied: number | undefined }[] = [];
  /** Queries that run or wait, by backend. */
  readonly loads = new Map<string, number>();
  #published = new Map<EndpointTag, Published>();
  #withdrawals = new Map<ActorName, Withdrawal>();
  #notes = new NoteBook();
  #completeAt: number | undefined = 0;
  #counter = 0;
  #revision = 0;
  #lifeStart = 0;
  #isFirstLife = true;
  #dirty: DirtyKey[] = [];
  #wakes: { readonly key: DirtyKey; readonly at: number }[] = [];
  #goals = 0;
  readonly #http: Partial<HttpConfig>;

  /** No proxies unless the options say so. */
  constructor(http: Partial<HttpConfig> = { location: "none" }) {
    this.#http = http;
    this.setNode(1);
    this.turn({ begin: "resume" });
  }

  // ── the controller's part

  /** Applies one call and looks at all that it made dirty. */
  call(body: CallBody, goalId = this.drawId()): { readonly id: GoalId; readonly outcome: CallOutcome } {
    const call = { ...body, goalId } as Call;
    const decision = this.turn({ calls: [call] });
    return { id: call.goalId, outcome: decision.replies[0]!.outcome };
  }

  drawId(): GoalId {
    this.#goals += 1;
    return `g${this.#goals}` as GoalId;
  }

  turn({
    calls = [],
    begin,
  }: {
    readonly calls?: readonly Call[];
    readonly begin?: Wanted["phase"] | undefined;
  } = {}): Decision {
    const due = this.#wakes.filter((wake) => wake.at <= this.now).map((wake) => wake.key);
    this.#wakes = this.#wakes.filter((wake) => wake.at > this.now);
    const dirty = [...this.#dirty, ...due];
    this.#dirty = [];
    const wanted = begin && {
      ...{ instance: INSTANCE, instanceId: "i1" as InstanceId },
      ...{ http: this.#http, phase: begin },
    };
    const decision = decide(
      { view: this.view, soft: this.soft, keys: this.keys },
      { begin: wanted, calls, dirty, quarantined: new Set() },
      { instant: this.now, timestamp: this.now },
    );
    this.decisions.push(decision);
    this.actions.push(...actionsOf({ view: this.view, soft: this.soft }, decision));
    this.#save(decision);
    this.#publish(decision);
    this.#notes.take(decision.notes);
    for (const node of decision.collected) this.#collect(node);
    for (const [key, at] of decision.wakes) this.#wakes.push({ key, at });
    this.#dirty.push(...decision.leftDirty);
    return decision;
  }

  /** Turns until nothing is dirty; neither agent nor routers nor time move. */
  decideAll(): void {
    for (let turns = 0; this.#dirty.length > 0 || this.#wakes.some((wake) => wake.at <= this.now); turns += 1) {
      if (turns > 500) throw new Error(`decisions do not come to rest: ${this.#dirty.slice(0, 5).join(" ")}`);
      this.turn();
    }
  }

  /** Everything moves until all is at rest: agent, routers, and time as far as wakes ask for it within `mostMs`. */
  settle(mostMs = 20_000): void {
    const until = this.now + mostMs;
    for (let rounds = 0; ; rounds += 1) {
      if (rounds > 2_000) throw new Error("the world does not come to rest");
      this.decideAll();
      const moved = [this.applyEverywhere(), ...this.assignments().map(({ actor }) => this.actAgent(actor))].some(
        Boolean,
      );
      if (moved) continue;
      const next = Math.min(...this.#wakes.map((wake) => wake.at));
      if (next > until) return;
      this.now = Math.max(this.now, next);
    }
  }

  /** A new life: only what is saved is known. Over: it is one that somebody asked for, `keep`: it takes the place of one that died. */
  crash(phase: Wanted["phase"] = "resume"): void {
    this.view = new View();
    const facts = [...this.saved].map(([key, { text, revision }]) => ({
      fact: factOf(this.keys, key, text),
      revision,
    }));
    for (const { fact, revision } of facts) if (fact !== undefined) this.view.apply(fact, revision);
    this.decisions = [];
    this.#published = new Map();
    this.#withdrawals = new Map();
    this.#notes = new NoteBook();
    this.#completeAt = undefined;
    this.#counter = 0;
    this.#wakes = [];
    this.#dirty = [];
    this.#lifeStart = this.now;
    this.#isFirstLife = false;
    for (const client of this.clients) client.applied = undefined;
    this.#dirty.push(...everything(this.view));
    this.turn({ begin: phase });
  }

  /** What the call would do. */
  plan(body: CallBody): Plan {
    const call = { ...body, goalId: "planned" } as Call;
    const world = { view: this.view, soft: this.soft, keys: this.keys };
    return planCall(world, call, { instant: this.now, timestamp: this.now });
  }

  get soft(): SoftState {
    return {
      life: { startedAt: this.#lifeStart, first: this.#isFirstLife },
      routers: this.#routers,
      published: this.#published,
      withdrawals: this.#withdrawals,
      notes: this.#notes,
    };
  }

  // ── the agent's part

  /** The only node, unless `more` names another one. */
  setNode(incarnation: number, more: Partial<NodeRecord> = {}): void {
    const record: NodeRecord = {
      node: NODE,
      incarnation,
      agentIncarnation: 1,
      pid: 1,
      hostname: "h",
      cpus: 8,
      memoryBytes: 1e10,
      labels: {},
      startedAt: 0,
      ...more,
    };
    this.observe({ kind: "node", id: record.node, after: record });
  }

  loseNode(node: NodeName = NODE): void {
    this.observe({ kind: "node", id: node, after: undefined });
  }

  observe(fact: Fact): void {
    this.#revision += 1;
    const key =
      fact.kind === "node"
        ? this.keys.node(fact.id as NodeName)
        : this.keys.status(this.#nodeOf(fact.id as ActorName), fact.id as ActorName);
    if (fact.after === undefined) this.saved.delete(key);
    else this.saved.set(key, { text: JSON.stringify(fact.after), revision: this.#revision });
    const before = this.view.apply(fact, this.#revision);
    this.#dirty.push(...dirtiedBy(this.view, fact, before?.value));
  }

  /** Writes a status row, over what the actor's last one says. */
  report(actor: ActorName, change: Partial<ActorStatus>): void {
    const assignment = this.view.assignment(actor);
    const before = this.view.status(actor);
    const node = this.#nodeOf(actor);
    const status: ActorStatus = {
      actor,
      node,
      kind: assignment?.spec.kind ?? "replica",
      state: "starting",
      pid: 100,
      incarnation: 1,
      nodeIncarnation: this.view.node(node)?.incarnation ?? 1,
      address: undefined,
      configRevision: 0,
      error: undefined,
      failedStarts: 0,
      offers: undefined,
      loadedDigest: undefined,
      health: "healthy",
      startedAt: this.now,
      ...before,
      ...change,
    };
    this.observe({ kind: "status", id: actor, after: status });
  }

  /** The agent's next step for one actor; answers whether there was one. */
  actAgent(actor: ActorName): boolean {
    const assignment = this.view.assignment(actor);
    const status = this.view.status(actor);
    if (this.view.node(this.#nodeOf(actor)) === undefined) return false;
    if (assignment === undefined) {
      if (status === undefined) return false;
      this.observe({ kind: "status", id: actor, after: undefined });
      return true;
    }
    if (assignment.intent.kind !== "run") {
      if (status?.state === "exited") return false;
      this.report(actor, { state: "exited", pid: undefined, address: undefined, error: undefined });
      return true;
    }
    return this.#keepRunning(assignment, status);
  }

  #nodeOf(actor: ActorName): NodeName {
    return this.view.assignment(actor)?.node ?? this.view.status(actor)?.node ?? NODE;
  }

  #keepRunning(assignment: Assignment, status: ActorStatus | undefined): boolean {
    const { actor, configRevision, spec } = assignment;
    const fate = this.fateOf(assignment);
    if (status?.state === "ready") {
      if (status.configRevision >= configRevision) return false;
      if (fate === "ready" || !("refuses" in fate)) this.report(actor, { configRevision });
      else if (status.error?.details?.["configRevision"] === configRevision) return false;
      else this.report(actor, { error: { ...fate.refuses, details: { configRevision } } });
      return true;
    }
    const attempts = spec.kind === "replica" ? spec.config.maxStartAttempts : 3;
    const failure = fate === "ready" || "ill" in fate ? undefined : "fails" in fate ? fate.fails : fate.refuses;
    if (failure !== undefined) {
      const hasFailed = status?.state === "exited" && status.failedStarts >= attempts;
      if (hasFailed && (status.startedRevision ?? 0) >= configRevision) return false;
      const attempt = { failedStarts: attempts, startedRevision: configRevision, error: failure };
      this.report(actor, { state: "exited", address: undefined, ...attempt });
      return true;
    }
    this.report(actor, {
      state: "ready",
      configRevision,
      failedStarts: 0,
      health: fate !== "ready" && "ill" in fate ? "unhealthy" : "healthy",
      healthReason: fate !== "ready" && "ill" in fate ? fate.ill : undefined,
      incarnation: (status?.incarnation ?? 0) + 1,
      address: `unix:/${actor}`,
    });
    return true;
  }

  // ── the routers' part

  /** Every router applies the newest snapshot; answers whether one was behind. */
  applyEverywhere(): boolean {
    const behind = this.clients.filter((client) => client.applied !== this.#counter);
    for (const client of behind) client.applied = this.#counter;
    if (behind.length > 0) this.acknowledge();
    return behind.length > 0;
  }

  /** Routers say that so many queries run or wait for the backend. */
  setLoad(backend: string, queries: number): void {
    this.loads.set(backend, queries);
    this.#dirty.push(`backend/${backend as BackendTag}`);
  }

  /** Tells the controller that somebody has applied something. */
  acknowledge(): void {
    this.#dirty.push(...everything(this.view).filter((key) => key.startsWith("endpoint/")));
    for (const actor of this.#withdrawals.keys()) this.#dirty.push(`backend/${backendOf(actor)}`);
  }

  get counter(): number {
    return this.#counter;
  }

  /** Replicas that routers are told of, by endpoint and backend. */
  published(endpoint: string, backend: string): readonly string[] {
    const closure = this.#published.get(endpoint as EndpointTag)?.closure;
    return (closure?.backends[backend as BackendTag]?.replicas ?? []).map((replica) => replica.replica);
  }

  /** Why a backend is not as wanted, by the last look at it. */
  reason(backend: string): string | undefined {
    return this.decisions
      .findLast((decision) => decision.reasons.has(`backend/${backend}`))
      ?.reasons.get(`backend/${backend}`);
  }

  closure(endpoint: string) {
    return this.#published.get(endpoint as EndpointTag)?.closure;
  }

  readonly #routers: Routers = {
    completeSince: () => this.#completeSince(),
    load: (backend) => this.loads.get(backend) ?? 0,
    appliedBy: (name) => this.clients.find((client) => client.name === name)?.applied,
    behind: (_endpoint, counter) => this.clients.filter((client) => (client.applied ?? -1) < counter),
    unsettled: (counter) => this.clients.filter((client) => (client.applied ?? -1) < counter),
  };

  // ── what tests look at

  goal(id: string): Goal {
    const reasonOf = (key: string) =>
      this.decisions.findLast((decision) => decision.reasons.has(key))?.reasons.get(key);
    const goal = describeGoal({ view: this.view, soft: this.soft, reasonOf }, id as GoalId, this.now);
    if (goal === undefined) throw new Error(`no goal ${id}`);
    return goal;
  }

  assignments(): readonly Assignment[] {
    return [...this.view.all("assignment")];
  }

  replicas(backend: string) {
    return observeReplicas(this.view, backend as BackendTag);
  }

  /** Processes that exist, those on their way out included. */
  processes(backend: string): number {
    return this.replicas(backend).filter((replica) => replica.phase !== "failed" && replica.phase !== "ended").length;
  }

  /** What is saved about what users asked for, and how often things were changed: goals and assignments left out, goal ids too. */
  wishes(): unknown {
    const backends = Array.from(this.view.all("backend"), (record) => {
      const { tag, code, config, deleting, rollout, configRevision, app } = record;
      return { tag, code, config, deleting, rollout, configRevision, app };
    });
    const endpoints = Array.from(this.view.all("endpoint"), (record) => {
      const { tag, spec, traffic, shadows, revision, app } = record;
      return { tag, spec, traffic, shadows, revision, app };
    });
    const apps = Array.from(this.view.all("app"), ({ name, backends: code, endpoints: routes }) => ({
      tag: name,
      code,
      routes,
    }));
    const byTag = (a: { readonly tag: string }, b: { readonly tag: string }) => (a.tag < b.tag ? -1 : 1);
    return { backends: backends.sort(byTag), endpoints: endpoints.sort(byTag), apps: apps.sort(byTag) };
  }

  #save({ changes }: Decision): void {
    if (changes.length === 0) return;
    this.#revision += 1;
    for (const { key, expectedRevision, text, fact } of changes) {
      const found = this.saved.get(key)?.revision ?? 0;
      if (found !== expectedRevision) throw new Error(`${key} is at ${found}, decided on ${expectedRevision}`);
      if (text === undefined) this.saved.delete(key);
      else this.saved.set(key, { text, revision: this.#revision });
      this.view.apply(fact, this.#revision);
      if (fact.kind === "assignment" && fact.after === undefined) this.#withdrawals.delete(fact.id as ActorName);
    }
  }

  #completeSince(): number | undefined {
    const isHeld = Array.from(this.view.all("endpoint")).some(({ tag }) => !this.#published.has(tag));
    this.#completeAt = isHeld ? undefined : (this.#completeAt ?? this.now);
    return this.#completeAt;
  }

  #collect(node: NodeName): void {
    for (const { actor } of [...this.view.all("status")].filter((row) => row.node === node)) {
      this.observe({ kind: "status", id: actor, after: undefined });
    }
  }

  #publish({ publications, withdrawals }: Decision): void {
    if (publications.length > 0) this.#counter += 1;
    for (const { tag, closure } of publications) {
      this.#published.set(tag, { closure, counter: this.#counter, at: this.now });
      this.#dirty.push(`endpoint/${tag}`);
    }
    for (const [actor, step] of withdrawals) {
      if (step === "restore") this.#withdrawals.delete(actor);
      else if (!this.#withdrawals.has(actor)) this.#withdrawals.set(actor, { counter: this.#counter, at: this.now });
      this.#dirty.push(`backend/${backendOf(actor)}`);
    }
  }
}

const backendOf = (actor: ActorName): BackendTag => actor.slice(0, actor.lastIndexOf("#")) as BackendTag;
