/**
 * The controller: campaigns for the leadership, and while it leads lives one life after another (life.ts). Its public face is what
 * REST serves: calls that change the instance, goals and waits for them, reads, and the long poll.
 * Whatever it answers is durable and was said while it led; when it does not lead it answers `not-leading`, and the caller asks the
 * process that does.
 */
import { isServeError, messageOf, ServeError, toErrorBody } from "../base/serve-error.ts";
import type { Wanted } from "../core/reconcile-instance.ts";
import type { Action } from "../model/action.ts";
import type { BackendConfigInput } from "../model/backend-config.ts";
import type { Call, Goal } from "../model/calls.ts";
import { type BackendTag, controllerName, type GoalId, type InstanceName, type NodeName } from "../model/ids.ts";
import { keysOf } from "../model/keys.ts";
import { CAMPAIGN_RETRY_MS } from "../model/limits.ts";
import type { PollAnswer, PollRequest } from "../model/longpoll.ts";
import type { HttpConfig, InstanceRecord, LeaderRecord } from "../model/records.ts";
import type { ProcessStatus, Status } from "../model/status.ts";
import type { Timestamp } from "../ports/clock.ts";
import type { CodeProbe } from "../ports/code-probe.ts";
import { CallProbes } from "./call-probes.ts";
import { type Explained, explain } from "./explain.ts";
import { notLeading } from "./goal-waits.ts";
import { campaign, type Leadership } from "./leadership.ts";
import { Life, type LifeEnd, type LifeOptions, type LifePorts } from "./life.ts";
import { watchLives } from "./life-meters.ts";
import { pause } from "./pause.ts";
import { standstillError, statusFromStore } from "./standstill.ts";
import { maskedConfig, reportStatus } from "./status-report.ts";

export interface ControllerPorts extends LifePorts {
  readonly probe: CodeProbe;
}
export type { LifeEnd } from "./life.ts";
export { LinkProbes } from "./link-probes.ts";

export interface ControllerOptions {
  readonly instance: InstanceName;
  readonly node: NodeName;
  /** Where this controller answers REST and long polls once it leads. */
  readonly address: LeaderRecord["address"];
  readonly pid: number;
  /** Lives of this node's controller process. */
  readonly incarnation: number;
  /** Of the first life; later ones keep what is saved. */
  readonly begin: Omit<Wanted, "instance">;
  /** Every process of the instance is new: nobody can know an older life. */
  readonly isFirstLife: boolean;
}

export interface ControllerEvents {
  /** This process leads, by this epoch, and the instance exists. */
  onLead(epoch: number): void;
  /** It cannot lead for now: the store takes no writes. It goes on trying, and says so to whoever asks. */
  onStandstill(error: ServeError): void;
  /** It does not any more. It campaigns again, unless it is stopped now. */
  onLost(end: LifeEnd): void;
  /** It cannot lead: what is saved is not for this version, or a bug stops every life. It has ended. */
  onFailed(error: ServeError): void;
}

export class Controller {
  readonly #ports: ControllerPorts;
  readonly #options: ControllerOptions;
  readonly #events: ControllerEvents;
  readonly #stopping = new AbortController();
  readonly #startedAt: Timestamp;
  readonly #probes: CallProbes;
  #life: Life | undefined;
  #lives = 0;
  /** Why nobody can lead: the store takes no writes. */
  #standstill: ServeError | undefined;
  #run: Promise<void> | undefined;
  /** Goals of an instance that is no more: whoever waits for the end still gets its answer. */
  #lastWords = new Map<GoalId, Goal>();

  constructor(ports: ControllerPorts, options: ControllerOptions, events: ControllerEvents) {
    this.#ports = ports;
    this.#options = options;
    this.#events = events;
    this.#startedAt = ports.clock.timestamp();
    watchLives(ports.meters, () => (this.#life?.leads() === true ? this.#life : undefined));
    this.#probes = new CallProbes(ports);
  }

  start(): void {
    this.#run ??= this.#liveAndDie().catch((error: unknown) => {
      this.#ports.log.error("controller-failed", { error: toErrorBody(error) });
      this.#events.onFailed(
        isServeError(error) ? error : new ServeError("internal", toErrorBody(error).message, { cause: error }),
      );
    });
  }

  /** Gives the leadership back; resolves when nothing of it is left. Everybody who waits is sent to the next leader. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#life?.end("stopped");
    await this.#run;
  }

  isLeading(): boolean {
    return this.#life?.leads() === true;
  }

  /** The store failed at something that nobody waits for. */
  storeFailed(error: ServeError): void {
    if (!this.isLeading() && error.code === "store-unavailable") this.#standStill(error);
  }

  /** Code that the call names is loaded by a probe first; nothing is saved of a call whose code cannot be. */
  async submit(call: Call): Promise<Goal> {
    const last = this.#lastWords.get(call.goalId);
    if (last !== undefined) return last;
    const complete = await this.#complete(call);
    return this.#leading().submit(complete);
  }

  /** undefined: no goal of this id is kept. */
  goal(id: string): Goal | undefined {
    return this.#lastWords.get(id as GoalId) ?? this.#leading().goal(id as GoalId);
  }

  /** Resolves when the goal settles, or after `waitMs` with what it is then. */
  async waitForGoal(id: string, waitMs: number, signal: AbortSignal): Promise<Goal> {
    const goal = this.#knownGoal(id);
    if (goal.state !== "pending" || waitMs <= 0) return goal;
    const { waits } = this.#leading();
    try {
      await waits.wait(id as GoalId, waitMs, signal);
    } catch (error) {
      const last = this.#lastWords.get(id as GoalId);
      if (last === undefined) throw error;
      return last;
    }
    return this.#knownGoal(id);
  }

  /** While the store takes no writes: what is saved, and the problem. */
  async status(): Promise<Status> {
    const { clock, store } = this.#ports;
    const facts = { self: this.#self(), now: { instant: clock.now(), timestamp: clock.timestamp() } };
    const problem = this.#standstill;
    if (problem !== undefined) return statusFromStore(store, keysOf(this.#options.instance), { ...facts, problem });
    const { view, memory, reasons } = this.#leading();
    return reportStatus({ view, memory, reasons, ...facts }, this.#instance());
  }

  httpConfig(): HttpConfig {
    return this.#instance().http;
  }

  /** What the user set; values of `env` masked. */
  backendConfig(tag: BackendTag): BackendConfigInput {
    const record = this.#leading().view.backend(tag);
    if (record === undefined) throw new ServeError("backend-unknown", `no backend is called "${tag}".`);
    return maskedConfig(record.config);
  }

  /** What the call would do, from the same decision, without doing it. Throws what the call would be refused with. */
  async plan(call: Call): Promise<readonly Action[]> {
    return this.#leading().plan(await this.#complete(call));
  }

  /** What was last decided about a thing, why, and how it is now. Throws `target-unknown`. */
  explain(target: string): readonly Explained[] {
    const { view, memory, reasons, deeds } = this.#leading();
    const { clock } = this.#ports;
    const now = { instant: clock.now(), timestamp: clock.timestamp() };
    return explain({ view, soft: memory, reasons, deeds, self: this.#self(), now }, target);
  }

  async poll(request: PollRequest, signal: AbortSignal): Promise<PollAnswer> {
    const life = this.#leading();
    const answer = await life.host.poll(request, signal);
    if (!life.leads()) throw notLeading();
    return answer;
  }

  async #liveAndDie(): Promise<void> {
    const { clock, log } = this.#ports;
    const { signal } = this.#stopping;
    const key = keysOf(this.#options.instance).leader;
    let former: Leadership | undefined;
    while (!signal.aborted) {
      const record = this.#leaderRecord();
      const onStoreUnavailable = (error: ServeError) => this.#standStill(error);
      const leadership = await campaign(this.#ports, { key, record, former, onStoreUnavailable }, signal);
      if (leadership === undefined) return;
      const end = await this.#live(leadership);
      if (this.#life?.storeError !== undefined) this.#standStill(this.#life.storeError);
      this.#life = undefined;
      former = leadership;
      await this.#giveBack(leadership);
      log.info("life-ended", { epoch: leadership.epoch, end });
      this.#events.onLost(end);
      if (end === "erased") return;
      // A life that the store or a bug has ended must not be followed by the next at once, for ever.
      if (end === "write-refused" || end === "write-unknown") await pause(clock, CAMPAIGN_RETRY_MS, signal);
    }
  }

  async #live(leadership: Leadership): Promise<LifeEnd> {
    const { log } = this.#ports;
    try {
      const life = await Life.open(this.#ports, this.#lifeOptions(leadership));
      this.#lives += 1;
      this.#life = life;
      if (this.#stopping.signal.aborted) life.end("stopped");
      return await life.run();
    } catch (error) {
      const body = toErrorBody(error);
      log.error("life-failed", { epoch: leadership.epoch, error: body });
      if (body.code !== "schema-newer") return "write-refused";
      await this.#giveBack(leadership);
      throw error;
    }
  }

  /** A store that does not take it is asked again by the next campaign; the lease lapses by itself, later. */
  async #giveBack(leadership: Leadership): Promise<void> {
    await leadership
      .resign()
      .catch((error: unknown) => this.#ports.log.warn("lease-not-revoked", { error: messageOf(error) }));
  }

  #standStill(error: ServeError): void {
    if (this.#stopping.signal.aborted || this.#standstill !== undefined) return;
    this.#standstill = standstillError(error.message);
    this.#events.onStandstill(error);
  }

  #lifeOptions(leadership: Leadership): LifeOptions {
    const { instance, begin, isFirstLife } = this.#options;
    const isFirst = this.#lives === 0;
    return {
      keys: keysOf(instance),
      leadership,
      begin: isFirst ? { ...begin, instance } : { ...begin, instance, http: {}, phase: "keep" },
      isFirst: isFirst && isFirstLife,
      onBegun: () => {
        this.#ports.log.info("leading", { epoch: leadership.epoch, life: this.#lives });
        this.#standstill = undefined;
        this.#events.onLead(leadership.epoch);
      },
      onErased: (goals) => {
        this.#lastWords = new Map(goals.map((goal) => [goal.id as GoalId, goal]));
      },
    };
  }

  #complete(call: Call): Promise<Call> {
    return this.#probes.complete(call, (it) => this.#leading().judge(it), this.#stopping.signal);
  }

  #leading(): Life {
    if (this.#life === undefined || !this.#life.leads()) throw this.#standstill ?? notLeading();
    return this.#life;
  }

  #instance(): InstanceRecord {
    const instance = this.#leading().view.instance();
    if (instance === undefined) throw notLeading();
    return instance;
  }

  #knownGoal(id: string): Goal {
    const goal = this.goal(id);
    if (goal !== undefined) return goal;
    throw new ServeError(
      "goal-unknown",
      `no goal "${id}" is kept: it never existed, or it settled long ago. status().goals lists those that are.`,
      {
        details: { goalId: id },
      },
    );
  }

  #leaderRecord(): LeaderRecord {
    const { address, pid, node } = this.#options;
    return { address, pid, node, startedAt: this.#startedAt };
  }

  #self(): ProcessStatus {
    const { node, pid, incarnation, address } = this.#options;
    return {
      name: controllerName(node),
      kind: "controller",
      node,
      pid,
      state: "ready",
      incarnation,
      restarts: Math.max(0, incarnation - 1),
      uptimeMs: Math.max(0, this.#ports.clock.timestamp() - this.#startedAt),
      address,
    };
  }
}
