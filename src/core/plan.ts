/**
 * What a call would do, without doing it: the same `decide` is asked, and what it decides is played on with obedient others (starts
 * succeed, configurations are applied, drains end, routers acknowledge at once) until nothing is left to do.
 * The live view is the stage: each fact that is played is taken back before this returns, in reverse order. So it costs what the call
 * touches, however much else there is, and nobody sees anything of it, since all of it happens within one turn of the event loop.
 */
import type { Action } from "../model/action.ts";
import type { ActorStatus, Assignment } from "../model/actor.ts";
import type { Call } from "../model/calls.ts";
import type { ErrorBody } from "../model/error-codes.ts";
import type { ActorName, BackendTag, EndpointTag } from "../model/ids.ts";
import { MAX_PLAN_LOOKS } from "../model/limits.ts";
import { actionsOf } from "./actions.ts";
import { type Decision, decide, type World } from "./decide.ts";
import { type DirtyKey, DirtyKeys, dirtiedBy } from "./dirty.ts";
import type { Now } from "./draft.ts";
import type { Fact, Kind, Values } from "./facts.ts";
import { NoteBook } from "./notes.ts";
import { observeReplica } from "./observed-replica.ts";
import type { Lookup, Published, Routers, SoftState, Withdrawal } from "./soft-state.ts";
import type { Entry, View } from "./view.ts";

export type Plan =
  | { readonly kind: "actions"; readonly actions: readonly Action[] }
  | { readonly kind: "refused"; readonly error: ErrorBody };

export const planCall = (world: World, call: Call, now: Now): Plan => {
  const stage = new Stage(world, now);
  try {
    const error = stage.play(call);
    return error === undefined ? { kind: "actions", actions: stage.actions() } : { kind: "refused", error };
  } finally {
    stage.clear();
  }
};

/** Goals are forgotten by real time alone. */
const NOT_LOOKED_AT: ReadonlySet<DirtyKey> = new Set(["goals"]);

class Stage {
  readonly #view: View;
  readonly #world: World;
  readonly #now: Now;
  readonly #soft: PlayedSoftState;
  /** What each played fact replaced. */
  readonly #replaced: { readonly fact: Fact; readonly before: Entry<Values[Kind]> | undefined }[] = [];
  readonly #actions = new Map<string, Action>();
  /** Why things are not as wanted, as far as they were looked at. */
  readonly #reasons = new Map<string, string | undefined>();
  readonly #backends = new Set<BackendTag>();
  /** Actors whose agents have something to do. */
  #told = new Set<ActorName>();
  #dirty = new DirtyKeys();
  #looks = 0;

  constructor(world: World, now: Now) {
    this.#view = world.view;
    this.#soft = new PlayedSoftState(world.soft);
    this.#world = { ...world, soft: this.#soft };
    this.#now = now;
  }

  /** Answers why the call is refused. */
  play(call: Call): ErrorBody | undefined {
    const outcome = this.#turn([call]).replies[0]?.outcome;
    if (outcome?.kind === "refused") return outcome.error;
    while (this.#dirty.size > 0 && this.#looks < MAX_PLAN_LOOKS) this.#turn([]);
    return undefined;
  }

  actions(): readonly Action[] {
    const actions = [...this.#actions.values()];
    for (const tag of this.#backends) {
      const reason = this.#reasons.get(`backend/${tag}`);
      if (reason !== undefined) actions.push({ action: "wait", target: tag, reason });
    }
    if (this.#dirty.size > 0) actions.push(CUT_OFF);
    return actions;
  }

  clear(): void {
    for (const { fact, before } of this.#replaced.toReversed()) {
      this.#view.apply({ ...fact, after: before?.value } as Fact, before?.revision ?? 0);
    }
  }

  #turn(calls: readonly Call[]): Decision {
    const dirty = this.#dirty;
    this.#dirty = new DirtyKeys();
    const inputs = { calls, dirty, quarantined: NOT_LOOKED_AT };
    const decision = decide(this.#world, inputs, this.#now);
    for (const action of actionsOf(this.#world, decision)) this.#add(action);
    for (const [target, reason] of decision.reasons) this.#reasons.set(target, reason);
    this.#dirty.addAll(decision.leftDirty);
    this.#carryOut(decision);
    this.#obey();
    return decision;
  }

  /** What is done again and again (an endpoint is published with each replica) is listed once. */
  #add(action: Action): void {
    const key = JSON.stringify([action.action, action.target, action.reason]);
    if (!this.#actions.has(key)) this.#actions.set(key, action);
  }

  /** What the controller's loop does with a decision. */
  #carryOut({ changes, publications, withdrawals, notes }: Decision): void {
    for (const { fact } of changes) {
      if (fact.kind === "backend") this.#touch(fact.id as BackendTag);
      if (fact.kind === "assignment") this.#tell(fact.id as ActorName, fact.after);
      this.#apply(fact);
    }
    this.#soft.notes.take(notes);
    this.#soft.tell(publications, withdrawals);
    for (const { tag } of publications) this.#dirty.add(`endpoint/${tag}`);
    for (const actor of withdrawals.keys()) {
      const spec = this.#view.assignment(actor)?.spec;
      if (spec?.kind === "replica") this.#dirty.add(`backend/${spec.backend}`);
    }
  }

  /** From now on all that goes on in this backend goes on in the plan too. */
  #touch(tag: BackendTag): void {
    if (this.#backends.has(tag)) return;
    this.#backends.add(tag);
    for (const actor of this.#view.replicasOf(tag)) this.#told.add(actor);
  }

  #tell(actor: ActorName, after: Assignment | undefined): void {
    if (after === undefined) return;
    if (after.spec.kind === "replica") this.#touch(after.spec.backend);
    this.#told.add(actor);
  }

  /** Agents do at once what they are told, and it succeeds. */
  #obey(): void {
    const told = this.#told;
    this.#told = new Set();
    for (const actor of told) {
      const assignment = this.#view.assignment(actor);
      if (assignment !== undefined) this.#report(assignment, reportOf(this.#view, assignment));
    }
    this.#looks += told.size + 1;
    // Deciding about a backend looks at all its replicas.
    for (const tag of this.#backends) this.#looks += this.#view.replicasOf(tag).size;
  }

  #report(assignment: Assignment, report: Report | undefined): void {
    const node = this.#view.node(assignment.node);
    if (report === undefined || node === undefined) return;
    const { actor, spec, configRevision } = assignment;
    const before = this.#view.status(actor);
    const after: ActorStatus = {
      ...BLANK,
      ...before,
      ...{ actor, kind: spec.kind, node: node.node, nodeIncarnation: node.incarnation, configRevision },
      ...{ state: report.state, error: undefined, failedStarts: 0 },
      address: report.state === "ready" ? (before?.address ?? `unix:${actor}`) : undefined,
    };
    this.#apply({ kind: "status", id: actor, after });
  }

  #apply(fact: Fact): void {
    const before = this.#view.apply(fact, this.#view.entry(fact.kind, fact.id)?.revision ?? 0);
    this.#replaced.push({ fact, before });
    for (const key of dirtiedBy(this.#view, fact, before?.value)) this.#dirty.add(key);
    // Its agent forgets a process whose row is gone.
    if (fact.kind === "assignment" && fact.after === undefined) {
      this.#soft.forget(fact.id as ActorName);
      if (this.#view.status(fact.id as ActorName) !== undefined) {
        this.#apply({ kind: "status", id: fact.id, after: undefined });
      }
    }
  }
}

const CUT_OFF: Action = {
  action: "and so on",
  target: "-",
  reason: "the plan is cut off here: the change goes on for longer than a plan is made for",
};

interface Report {
  readonly state: "ready" | "exited";
}

/** undefined: it is so already, or nothing can be said of it. */
const reportOf = (view: View, assignment: Assignment): Report | undefined => {
  const { phase, appliedRevision } = observeReplica(view, assignment);
  if (phase === "starting") return { state: "ready" };
  if (phase === "leaving") return { state: "exited" };
  return phase === "ready" && appliedRevision < assignment.configRevision ? { state: "ready" } : undefined;
};

const BLANK = {
  pid: undefined,
  incarnation: 1,
  offers: undefined,
  loadedDigest: undefined,
  health: "healthy",
  startedAt: 0,
} as const;

/** Every router has applied whatever it was told; their load is what it is. */
const obedient = (real: Routers): Routers => ({
  completeSince: () => Number.NEGATIVE_INFINITY,
  load: (tag) => real.load(tag),
  appliedBy: () => Number.POSITIVE_INFINITY,
  behind: () => [],
  unsettled: () => [],
});

/** The soft state of the life, with what is played before it; the life itself is old enough for everything. */
class PlayedSoftState implements SoftState {
  readonly life = { startedAt: Number.NEGATIVE_INFINITY, first: true };
  readonly notes = new NoteBook();
  readonly routers: Routers;
  readonly published: Layer<EndpointTag, Published>;
  readonly withdrawals: Layer<ActorName, Withdrawal>;

  constructor(real: SoftState) {
    this.routers = obedient(real.routers);
    // What is noted is noted of few things: those that lack something.
    for (const [tag, note] of real.notes.unplaced) this.notes.unplaced.set(tag, note);
    this.published = new Layer(real.published);
    this.withdrawals = new Layer(real.withdrawals);
  }

  tell(publications: Decision["publications"], withdrawals: Decision["withdrawals"]): void {
    const told = { counter: Number.MAX_SAFE_INTEGER, at: Number.NEGATIVE_INFINITY };
    for (const { tag, closure } of publications) this.published.set(tag, { closure, ...told });
    for (const [actor, step] of withdrawals) this.withdrawals.set(actor, step === "restore" ? undefined : told);
  }

  forget(actor: ActorName): void {
    this.withdrawals.set(actor, undefined);
  }
}

/** Own entries over those of a map that stays as it is; undefined hides one. */
class Layer<K, V> implements Lookup<K, V> {
  readonly #below: Lookup<K, V>;
  readonly #own = new Map<K, V | undefined>();

  constructor(below: Lookup<K, V>) {
    this.#below = below;
  }

  get(key: K): V | undefined {
    return this.#own.has(key) ? this.#own.get(key) : this.#below.get(key);
  }

  has(key: K): boolean {
    return this.get(key) !== undefined;
  }

  set(key: K, value: V | undefined): void {
    this.#own.set(key, value);
  }
}
