/**
 * One life of the controller: from a won leadership until it is lost, the store's answer is lost, or the instance is over.
 * It turns: take what came in, decide, save, then reply, then publish. Nothing is answered or published that is not durable, nothing at
 * all once the lease may have lapsed. It looks only at what is dirty. When a write's outcome is unknown the life ends: the next one
 * reads what is true.
 */
import { fromErrorBody, ServeError } from "../base/serve-error.ts";
import { actionsOf } from "../core/actions.ts";
import { type Decision, decide, type Inputs, type World } from "../core/decide.ts";
import { describeGoal } from "../core/describe-goal.ts";
import { type DirtyKey, DirtyKeys, dirtiedBy } from "../core/dirty.ts";
import type { Now } from "../core/draft.ts";
import type { Change } from "../core/facts.ts";
import { judgeCall } from "../core/judge-call.ts";
import type { Meters } from "../core/metrics/meters.ts";
import { planCall } from "../core/plan.ts";
import type { Wanted } from "../core/reconcile-instance.ts";
import type { View } from "../core/view.ts";
import { LongPollHost } from "../longpoll/longpoll.ts";
import type { Action } from "../model/action.ts";
import type { Call, Goal } from "../model/calls.ts";
import type { ActorName, EndpointTag, GoalId } from "../model/ids.ts";
import type { Keys } from "../model/keys.ts";
import { MAX_KEYS_PER_TURN, MAX_QUEUED_CALLS } from "../model/limits.ts";
import type { GoalRecord } from "../model/records.ts";
import type { Clock, Timer } from "../ports/clock.ts";
import type { Faults } from "../ports/fault.ts";
import type { Log } from "../ports/log.ts";
import type { Store, Watch } from "../ports/store.ts";
import { dirtyByApplied, dirtyByLoads } from "./dirty-by-routers.ts";
import { GoalWaits, notLeading } from "./goal-waits.ts";
import { load, observe } from "./knowledge.ts";
import type { Leadership } from "./leadership.ts";
import { LifeMeters } from "./life-meters.ts";
import { Deeds, Memory, Quarantine, Reasons } from "./memory.ts";
import { collectNodes, erase, type Saved, save } from "./save.ts";
import { WakeQueue } from "./wake-queue.ts";

export interface LifePorts {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
  readonly faults: Faults;
  readonly meters: Meters;
}

export interface LifeOptions {
  readonly keys: Keys;
  readonly leadership: Leadership;
  readonly begin: Wanted;
  /** Nobody can know an older life. */
  readonly isFirst: boolean;
  /** The first turn is durable: the instance exists, and what is saved is for this version. */
  readonly onBegun: () => void;
  /** Everything is deleted; these are the last outcomes, of `stop` and `shutdown`. */
  readonly onErased: (goals: readonly Goal[]) => void;
}

export type LifeEnd = "stopped" | "lease-lost" | "deposed" | "write-unknown" | "write-refused" | "erased";

interface PendingCall {
  readonly call: Call;
  readonly resolve: (goal: Goal) => void;
  readonly reject: (error: ServeError) => void;
}

export class Life {
  readonly view: View;
  readonly memory: Memory;
  readonly host: LongPollHost;
  readonly reasons = new Reasons();
  readonly deeds = new Deeds();
  readonly waits: GoalWaits;
  readonly epoch: number;
  readonly #ports: LifePorts;
  readonly #options: LifeOptions;
  readonly #meters: LifeMeters;
  readonly #watch: Watch;
  readonly #quarantine = new Quarantine();
  readonly #wakes = new WakeQueue();
  readonly #dirty = new DirtyKeys();
  #calls: PendingCall[] = [];
  /** Those that the present turn is about. */
  #inTurn: readonly PendingCall[] = [];
  #begin: Wanted | undefined;
  #end: LifeEnd | undefined;
  /** What the store said when it lost an answer. */
  #storeError: ServeError | undefined;
  /** Ends the sleep between two turns. */
  #rouse: (() => void) | undefined;
  #timer: Timer | undefined;

  /** @throws ServeError `schema-newer`, `store-unavailable`. */
  static async open(ports: LifePorts, options: LifeOptions): Promise<Life> {
    return new Life(ports, options, await load(ports.store, options.keys));
  }

  private constructor(
    ports: LifePorts,
    options: LifeOptions,
    loaded: { readonly view: View; readonly revision: number },
  ) {
    const { clock } = ports;
    this.#ports = ports;
    this.#options = options;
    this.#meters = new LifeMeters(ports.meters);
    this.#begin = options.begin;
    this.epoch = options.leadership.epoch;
    this.view = loaded.view;
    this.waits = new GoalWaits(clock);
    this.host = new LongPollHost({
      clock,
      epoch: options.leadership.epoch,
      onApplied: (range) => this.#look(dirtyByApplied(this, range)),
      onLoads: (backends) => this.#look(dirtyByLoads(this.view, backends)),
    });
    this.memory = new Memory({ startedAt: clock.now(), first: options.isFirst }, this.host);
    this.host.hold(Array.from(this.view.all("endpoint"), (record) => record.tag));
    options.leadership.onLost(() => this.end("lease-lost"));
    this.#watch = observe(ports.store, { ...loaded, keys: options.keys }, (dirty) => this.#look(dirty));
  }

  /** Turns until the life ends; says how. Everybody who still waits is sent to the next life. */
  async run(): Promise<LifeEnd> {
    try {
      while (this.#end === undefined) {
        if (!this.#hasWork()) await this.#sleep();
        // Calls that have come in together share a transaction, and polls, reads and reports have their part of the time.
        await this.#letOthersRun();
        if (this.#end === undefined) await this.#turn();
      }
      return this.#end;
    } finally {
      this.#end ??= "write-refused";
      this.#watch.stop();
      this.#timer?.cancel();
      this.host.close();
      this.waits.close();
      // Who has been answered is not told again: a promise settles once.
      const error = this.#storeError ?? notLeading();
      for (const pending of [...this.#inTurn, ...this.#calls.splice(0)]) pending.reject(error);
    }
  }

  end(reason: LifeEnd): void {
    this.#end ??= reason;
    this.#rouse?.();
  }

  /** Why it ended, when the store is to blame. */
  get storeError(): ServeError | undefined {
    return this.#storeError;
  }

  /** Whether what is said now is still this controller's to say. */
  leads(): boolean {
    return this.#end === undefined && this.#options.leadership.isHeld();
  }

  /** Resolves when the call is durable; rejects with why it was refused, or with a retryable error when nothing is known. */
  submit(call: Call): Promise<Goal> {
    if (!this.leads()) return Promise.reject(notLeading());
    if (this.#calls.length >= MAX_QUEUED_CALLS) {
      const message = `${MAX_QUEUED_CALLS} calls wait for the store. Send this one again in a moment.`;
      return Promise.reject(new ServeError("store-unavailable", message, { retryable: true }));
    }
    return new Promise((resolve, reject) => {
      this.#calls.push({ call, resolve, reject });
      this.#rouse?.();
    });
  }

  /** What would become of the call now, as far as this life knows. */
  judge(call: Call): ReturnType<typeof judgeCall> {
    return judgeCall(this.#world(), call, this.#now());
  }

  /** What the call would do; nothing is changed, also not for a moment. Throws why it would be refused. */
  plan(call: Call): readonly Action[] {
    const plan = planCall(this.#world(), call, this.#now());
    if (plan.kind === "refused") throw fromErrorBody(plan.error);
    return plan.actions;
  }

  async #turn(): Promise<void> {
    const { clock } = this.#ports;
    const now = this.#now();
    this.#dirty.addAll(this.#wakes.take(now.instant));
    const calls = this.#calls;
    // A turn looks at no more: handing it all that a new life must look at would copy that in every turn.
    const dirty = this.#dirty.takeSome(MAX_KEYS_PER_TURN);
    this.#inTurn = calls;
    this.#calls = [];
    const quarantined = this.#quarantine.keys(now.instant);
    const inputs: Inputs = { begin: this.#begin, calls: calls.map((it) => it.call), dirty, quarantined };
    const world = this.#world();
    const decision = decide(world, inputs, now);
    const actions = actionsOf(world, decision);
    const isFirst = this.#begin !== undefined;
    this.#begin = undefined;

    const answered = calls.slice(0, decision.replies.length);
    this.#calls = calls.slice(decision.replies.length).concat(this.#calls);
    if (!(await this.#save(decision, answered))) return;
    this.#reply(decision, answered);
    // What is durable is said at once: the answers leave before work for others begins.
    if (answered.length > 0) await this.#letOthersRun();
    if (!this.#endUnlessLeading([])) return;
    this.#publish(decision);
    await collectNodes(this.#fence(), decision.collected);
    this.#remember(decision, now.instant);
    for (const action of actions) this.deeds.add(action, now.timestamp);
    if (decision.erase) await this.#erase();
    else if (isFirst) this.#options.onBegun();
    this.#meters.turnMs.record(clock.now() - now.instant);
  }

  #letOthersRun(): Promise<void> {
    return new Promise((resolve) => this.#ports.clock.after(0, resolve));
  }

  /** Makes the changes durable, then part of what is known. false: the life is over. */
  async #save({ changes }: Decision, answered: readonly PendingCall[]): Promise<boolean> {
    if (changes.length === 0) return this.#endUnlessLeading(answered);
    const since = this.#ports.clock.now();
    const saved = await save(this.#fence(), changes);
    this.#meters.saveMs.record(this.#ports.clock.now() - since);
    if (saved.kind !== "saved") {
      this.#endBy(saved);
      for (const pending of answered) pending.reject(unsaved(saved));
      return false;
    }
    this.#ports.faults.point("crash-after-save");
    for (const change of changes) this.#apply(change, saved.revision);
    return this.#endUnlessLeading(answered);
  }

  /** What was saved stands, whoever leads now; but only the leader says so. */
  #endUnlessLeading(answered: readonly PendingCall[]): boolean {
    if (this.leads()) return true;
    this.end("lease-lost");
    for (const pending of answered) pending.reject(notLeading());
    return false;
  }

  #apply({ fact }: Change, revision: number): void {
    const before = this.view.apply(fact, revision);
    this.#countSettled(fact, before?.value);
    // Its agent may have spoken of it before the answer of the store came.
    if (fact.kind === "assignment" && this.view.status(fact.id as ActorName) !== undefined) {
      this.#dirty.addAll(dirtiedBy(this.view, fact, before?.value));
    }
    if (fact.kind === "assignment" && fact.after === undefined) this.memory.withdrawals.delete(fact.id as ActorName);
    // It may be gone before this life has published it once.
    if (fact.kind === "endpoint" && fact.after === undefined) this.host.release(fact.id as EndpointTag);
    if (fact.kind !== "goal" || fact.after === undefined || fact.after.state === "pending") return;
    const { subject } = fact.after;
    if (subject.kind === "endpoint" && fact.after.state === "reached") this.#forgetWithdrawn(subject.tag);
    this.waits.settled(fact.after.id);
  }

  /** All routers know that it is gone, and nobody waits for more. */
  #forgetWithdrawn(tag: EndpointTag): void {
    if (this.view.endpoint(tag) !== undefined || this.view.pendingGoalsOf(`endpoint/${tag}`).size > 0) return;
    this.memory.published.delete(tag);
  }

  #countSettled(fact: Change["fact"], before: unknown): void {
    if (fact.kind !== "goal" || fact.after === undefined || fact.after.state === "pending") return;
    const was = (before as GoalRecord | undefined)?.state ?? "pending";
    if (was === "pending") this.#meters.settled(fact.after.state);
  }

  #reply({ replies }: Decision, answered: readonly PendingCall[]): void {
    for (const [index, { call, outcome }] of replies.entries()) {
      const pending = answered[index];
      this.#meters.called(call.kind, outcome.kind === "refused" ? "refused" : "accepted");
      if (outcome.kind === "refused") pending?.reject(fromErrorBody(outcome.error));
      else pending?.resolve(this.goal(call.goalId) ?? { id: call.goalId, state: "pending" });
    }
  }

  #publish({ publications, withdrawals }: Decision): void {
    const at = this.#ports.clock.now();
    const counter = this.host.publish(publications);
    if (publications.length > 0) this.#meters.published();
    for (const { tag, closure } of publications) {
      this.memory.published.set(tag, { closure, counter, at });
      if (this.view.pendingGoalsOf(`endpoint/${tag}`).size > 0) this.#dirty.add(`endpoint/${tag}`);
    }
    for (const [actor, step] of withdrawals) {
      if (step === "restore") this.memory.withdrawals.delete(actor);
      else if (!this.memory.withdrawals.has(actor)) this.memory.withdrawals.set(actor, { counter, at });
      const spec = this.view.assignment(actor)?.spec;
      if (spec?.kind === "replica") this.#dirty.add(`backend/${spec.backend}`);
    }
  }

  #remember({ wakes, reasons, faults, leftDirty, notes }: Decision, now: number): void {
    const { log, clock } = this.#ports;
    this.memory.notes.take(notes);
    this.#dirty.addAll(leftDirty);
    for (const [key, at] of wakes) this.#wakes.add(key, at);
    for (const { key, message } of faults) {
      this.#wakes.add(key, this.#quarantine.add(key, now));
      if (key.startsWith("endpoint/")) this.host.release(key.slice("endpoint/".length) as EndpointTag);
      this.reasons.set(
        key,
        `a bug in maitred stopped work on it, it is tried again later: ${message}`,
        clock.timestamp(),
      );
      log.error("reconcile-failed", { key, error: message });
    }
    this.#quarantine.releaseDue(now);
    for (const [target, reason] of reasons) {
      if (this.reasons.set(target, reason, clock.timestamp()) && reason !== undefined)
        log.info("reason", { target, reason });
    }
  }

  async #erase(): Promise<void> {
    const erased = await erase(this.#fence());
    if (erased.kind !== "saved") return this.#endBy(erased);
    const goals = Array.from(this.view.all("goal")).filter((record) => record.subject.kind === "instance");
    this.#options.onErased(goals.map(({ id, state }) => ({ id, state: state === "pending" ? "reached" : state })));
    this.end("erased");
  }

  goal(id: GoalId): Goal | undefined {
    const reasonOf = (subject: string) => this.reasons.present(subject);
    return describeGoal({ view: this.view, soft: this.memory, reasonOf }, id, this.#ports.clock.now());
  }

  #look(dirty: readonly DirtyKey[]): void {
    if (dirty.length === 0) return;
    this.#dirty.addAll(dirty);
    this.#rouse?.();
  }

  #hasWork(): boolean {
    const next = this.#wakes.next();
    return (
      this.#begin !== undefined ||
      this.#calls.length > 0 ||
      this.#dirty.size > 0 ||
      (next !== undefined && next <= this.#ports.clock.now())
    );
  }

  #sleep(): Promise<void> {
    return new Promise((resolve) => {
      const { clock } = this.#ports;
      const next = this.#wakes.next();
      this.#rouse = () => {
        this.#timer?.cancel();
        this.#rouse = undefined;
        resolve();
      };
      this.#timer =
        next === undefined ? undefined : clock.after(Math.max(0, next - clock.now()), () => this.#rouse?.());
    });
  }

  #world(): World {
    return { view: this.view, soft: this.memory, keys: this.#options.keys };
  }

  #now(): Now {
    const { clock } = this.#ports;
    return { instant: clock.now(), timestamp: clock.timestamp() };
  }

  #fence() {
    const { keys, leadership } = this.#options;
    return { store: this.#ports.store, keys, epoch: leadership.epoch };
  }

  #endBy(saved: Exclude<Saved, { readonly kind: "saved" }>): void {
    const reasons = { fenced: "deposed", unknown: "write-unknown", refused: "write-refused" } as const;
    this.#meters.notSaved(saved.kind);
    this.#ports.log.warn("not-saved", saved);
    if (saved.kind === "unknown")
      this.#storeError = new ServeError("store-unavailable", saved.message, { retryable: true });
    this.end(reasons[saved.kind]);
  }
}

const unsaved = (saved: Exclude<Saved, { readonly kind: "saved" }>): ServeError => {
  if (saved.kind === "refused") return new ServeError("internal", `the change could not be saved: ${saved.message}`);
  return saved.kind === "fenced"
    ? notLeading()
    : new ServeError(
        "store-unavailable",
        `whether the change was saved is unknown. Send the call again with the same goal id. ${saved.message}`,
        { retryable: true },
      );
};
