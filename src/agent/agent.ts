/**
 * The node agent: one per node and instance, for as long as it holds the node's lock. It adopts what lives, runs the controller of this
 * node, starts, configures, drains and kills the actors that the store assigns to it, tells everybody who leads, and ends all of it when
 * the instance ends. Its truth is its local files: with the store unreachable everything that ran goes on.
 *
 * Assumes that the lock is held and both folders exist. `run` resolves when nothing of this node is left to look after, or when a start
 * that a person asked for has failed and been cleared away.
 */
import { assertNever } from "../base/assert.ts";
import { isServeError, ServeError, toErrorBody } from "../base/serve-error.ts";
import type { ApiListener } from "../model/launch.ts";
import {
  KILL_WAIT_MS,
  LIVENESS_INTERVAL_MS,
  MAX_FIRST_CONTROLLER_DEATHS,
  RESCUE_FORGIVE_MS,
  RUN_TOUCH_INTERVAL_MS,
  TIDY_INTERVAL_MS,
} from "../model/limits.ts";
import type { Leader } from "../model/link-messages.ts";
import { DEFAULT_HTTP_CONFIG, type InstanceRecord, SCHEMA_VERSION } from "../model/records.ts";
import type { Timer } from "../ports/clock.ts";
import type { MetricsListening } from "../ports/metrics-server.ts";
import type { Store } from "../ports/store.ts";
import { AskedStart, type SavedPhase } from "./asked-start.ts";
import { type AgentPorts, type AgentSettings, assemble, type NodeParts } from "./assembly.ts";
import type { ControllerDeaths } from "./controller-keeper.ts";
import { type Ending, endNode } from "./ending.ts";
import { tidy } from "./tidy.ts";
import { tolerated } from "./tolerated.ts";

export type { AgentPorts, AgentSettings } from "./assembly.ts";

export type AgentEnd =
  /** Everything of this node has ended as it should. */
  | { readonly kind: "ended" }
  /** `processes`: of an earlier life; they go on. */
  | { readonly kind: "start-failed"; readonly error: ServeError; readonly left: "nothing" | "processes" }
  /** The lock's file was removed or replaced: somebody else may hold the new one. Everything lives on without this agent. */
  | { readonly kind: "lock-lost" };

type Over =
  | { readonly kind: "ending"; readonly ending: Ending }
  | { readonly kind: "start-failed"; readonly error: ServeError }
  | { readonly kind: "lock-lost" };

export class Agent {
  readonly #ports: AgentPorts;
  readonly #settings: AgentSettings;
  readonly #over = Promise.withResolvers<Over>();
  readonly #erased = Promise.withResolvers<void>();
  readonly #timers = new Set<Timer>();
  #parts: NodeParts | undefined;
  #metrics: MetricsListening | undefined;
  #isEnding = false;
  readonly #askedStart: AskedStart;
  #hasLed = false;
  /** Processes of an earlier life go on, whatever becomes of this start. */
  #hasAdopted = false;
  #foreignLeader: Leader | undefined;

  constructor(ports: AgentPorts, settings: AgentSettings) {
    this.#ports = ports;
    this.#settings = settings;
    this.#askedStart = new AskedStart(settings.launch.resume ? "asked" : "rescue");
  }

  async run(): Promise<AgentEnd> {
    const { folders, log } = this.#ports;
    const { launch } = this.#settings;
    const isNew = folders.savedLaunch() === undefined && !folders.hasStore();
    try {
      if (folders.hasTombstone() || this.#isOwnerGone()) await this.#startToErase();
      else await this.#start(isNew);
    } catch (error) {
      if (!launch.resume || !isServeError(error)) throw error;
      this.#over.resolve({ kind: "start-failed", error });
    }
    const over = await this.#over.promise;
    for (const timer of this.#timers) timer.cancel();
    this.#parts?.codeKeeper.stop();
    const end = await this.#finish(over, isNew);
    log.info("agent-ends", { kind: end.kind });
    this.#parts?.listeners.close();
    this.#metrics?.close();
    this.#ports.links.stop();
    return end;
  }

  /**
   * SIGTERM. A start that somebody waits for is called off, as if it had failed. Later it drains this node; its state is kept for the
   * next start, unless the instance lives only with its program.
   */
  requestEnd(): void {
    if (this.#isStarting()) this.#over.resolve({ kind: "start-failed", error: this.#calledOff() });
    else this.#end({ pace: "drain", state: this.#isDetached() ? "kept" : "erased" });
  }

  /** A second SIGTERM: nothing is waited for. */
  killEverything(): void {
    this.#parts?.supervisor.killAll();
    this.#parts?.keeper.kill();
  }

  // ── beginning

  async #start(isNew: boolean): Promise<void> {
    const { folders, random, clock } = this.#ports;
    const { launch } = this.#settings;
    const store = launch.resume ? await this.#ports.openStore(() => this.#committed()) : undefined;
    const record = store === undefined ? undefined : await this.#readInstance(store);
    const before = folders.savedLaunch() ?? folders.instanceFile();
    const beforeId = before === undefined ? undefined : "instanceId" in before ? before.instanceId : before.id;
    const instanceId = record?.id ?? beforeId ?? random.id();
    const createdAt = record?.createdAt ?? before?.createdAt ?? clock.timestamp();
    const parts = this.#assemble(instanceId, isNew);

    parts.supervisor.adoptLocal();
    const hasController = parts.keeper.adopt();
    this.#hasAdopted = hasController || parts.supervisor.countLiving("all") > 0;
    if (launch.resume) await this.#openWantedPort(parts, record);
    const metrics = await this.#listenForScrapes(parts);
    const next = { ...launch, resume: false, ...(metrics === undefined ? {} : { metrics }) };
    this.#write("launch", () => folders.writeLaunch({ ...this.#settings.start, launch: next, instanceId, createdAt }));
    await this.#ports.links.start(parts.desk);
    this.#write("instance", () => this.#writeInstanceFile(instanceId, createdAt));
    parts.session.start(store);
    parts.keeper.start();
    parts.codeKeeper.start();
    this.#startTicking();
  }

  /** Fails a start that somebody waits for; a rescued agent finds what its predecessor has written. */
  #write(what: string, write: () => void): void {
    if (this.#settings.launch.resume) write();
    else tolerated(this.#ports.log, what, write);
  }

  /** What a crash has left of an ending is ended; actors that still live are told so when they dial in. */
  async #startToErase(): Promise<void> {
    const { folders } = this.#ports;
    const instanceId = folders.savedLaunch()?.instanceId ?? folders.instanceFile()?.id ?? "erased";
    const parts = this.#assemble(instanceId, false);
    parts.supervisor.adoptLocal();
    parts.keeper.adopt();
    await this.#ports.links.start(parts.desk);
    this.#end({ pace: "hurry", state: "erased" });
  }

  /**
   * A port in use fails a start that a person waits for; a rescue goes on without. Answers where it listens, with the port that the
   * system chose: the next agent answers on the same.
   */
  async #listenForScrapes({ metrics: desk }: NodeParts): Promise<ApiListener | undefined> {
    const { metrics, resume } = this.#settings.launch;
    if (metrics === undefined || desk === undefined) return undefined;
    try {
      this.#metrics = await this.#ports.metricsServer.listen(metrics, () => desk.scrape());
      return { host: metrics.host, port: this.#metrics.port };
    } catch (error) {
      if (resume || !isServeError(error)) throw error;
      this.#ports.log.error("metrics-not-served", { error: toErrorBody(error) });
      return metrics;
    }
  }

  #assemble(instanceId: string, isNewInstance: boolean): NodeParts {
    const parts = assemble(this.#ports, this.#settings, {
      instanceId,
      isNewInstance,
      metricsUrl: () => this.#metrics?.url,
      openStore: () => this.#openStore(),
      onPhase: (saved) => this.#onPhase(saved),
      onForeignLeader: (leader) => this.#onForeignLeader(leader),
      onLead: (leader) => this.#onLead(leader),
      mayStartController: () => this.#ports.folders.hasStore(),
      onControllerDeath: (deaths) => {
        parts.desk.setLeader(this.#foreignLeader);
        void parts.session.revokeDeadLead();
        this.#judgeStart(deaths);
      },
    });
    this.#parts = parts;
    return parts;
  }

  /** A store that is gone is not made anew behind the back of what still runs: only a start that a person asks for makes one. */
  #openStore(): Promise<Store> {
    if (!this.#ports.folders.hasStore()) {
      return Promise.reject(new ServeError("store-unavailable", "the store's file is gone.", { retryable: true }));
    }
    return this.#ports.openStore(() => this.#committed());
  }

  #committed(): void {
    this.#parts?.desk.tellCommitted();
  }

  async #readInstance(store: Store): Promise<InstanceRecord | undefined> {
    const found = await store.get(this.#settings.keys.instance);
    if (found === undefined) return undefined;
    const record = JSON.parse(found.value) as InstanceRecord;
    if (record.schemaVersion > SCHEMA_VERSION) {
      throw new ServeError(
        "schema-newer",
        `instance "${record.name}" was written by a newer maitred (schema ${record.schemaVersion}, this one knows ${SCHEMA_VERSION}). Update maitred, or name another state folder.`,
      );
    }
    return record;
  }

  /** A port in use must fail the start, not the first proxy after it. */
  async #openWantedPort({ listeners }: NodeParts, record: InstanceRecord | undefined): Promise<void> {
    const wanted = { ...DEFAULT_HTTP_CONFIG, ...record?.http, ...this.#settings.launch.http };
    if (wanted.location === "none") return;
    const most = this.#ports.sockets.maxProxiesPerPort;
    if (wanted.proxiesPerNode > most) {
      throw new ServeError(
        "platform-unsupported",
        `http.proxiesPerNode is ${wanted.proxiesPerNode}, but on this platform processes can share a listening port only with Node 26.4 or newer. Set it to ${most}, or use a newer Node.`,
      );
    }
    await listeners.ensure(wanted);
  }

  /** A start that a person waits for fails when its controller cannot run; later, or with adopted processes, the agent goes on trying. */
  #judgeStart({ beforeFirstLead, failure }: ControllerDeaths): void {
    if (!this.#isStarting() || this.#hasAdopted) return;
    if (failure !== undefined && !failure.retryable) this.#over.resolve({ kind: "start-failed", error: failure });
    else if (beforeFirstLead >= MAX_FIRST_CONTROLLER_DEATHS) {
      const why = failure?.message ?? "Its log says why";
      const error = new ServeError(
        "controller-unavailable",
        `the controller ended ${beforeFirstLead} times before it led. ${why}`,
      );
      this.#over.resolve({ kind: "start-failed", error });
    }
  }

  /** No controller has led yet, and whoever has started this agent waits for one. */
  #isStarting(): boolean {
    return this.#settings.launch.resume && !this.#hasLed && !this.#isEnding;
  }

  #calledOff(): ServeError {
    return new ServeError("interrupted", `the start of instance "${this.#settings.launch.instance}" was called off.`);
  }

  async #finish(over: Over, isNew: boolean): Promise<AgentEnd> {
    switch (over.kind) {
      case "ending":
        await endNode({ ...this.#ports, ...this.#parts!, untilErased: this.#erased.promise }, over.ending);
        return { kind: "ended" };
      case "start-failed":
        return { ...over, left: await this.#clearFailedStart(isNew) };
      case "lock-lost":
        return over;
      default:
        return assertNever(over);
    }
  }

  async #clearFailedStart(isNew: boolean): Promise<"nothing" | "processes"> {
    const { folders } = this.#ports;
    const { keeper, supervisor, session } = this.#parts ?? {};
    await keeper?.end(0);
    if (!this.#hasAdopted) {
      supervisor?.killAll();
      await supervisor?.untilGone("all", KILL_WAIT_MS);
    }
    await session?.stop();
    supervisor?.stop();
    if ((supervisor?.countLiving("all") ?? 0) > 0) return "processes";
    if (isNew) folders.removeState();
    folders.clearRun();
    return "nothing";
  }

  // ── news

  #onPhase(saved: SavedPhase): void {
    const says = this.#askedStart.hear(saved);
    switch (saved.phase) {
      case "running":
        return;
      case "stopping":
      case "stopped":
        // A person wants it to run: the agent that was told to stop it is gone, and its controller knows nothing of this start.
        if (says === "open") this.#parts?.keeper.ask();
        else if (says === "of before") return;
        else if (saved.phase === "stopping") this.#announceEnd("stopping");
        else this.#end({ pace: "stopped", state: this.#isDetached() ? "kept" : "erased" });
        return;
      case "erasing":
        this.#end({ pace: "drain", state: "erased" });
        return;
      case "gone":
        this.#erased.resolve();
        return;
    }
  }

  #onLead({ epoch }: Leader): void {
    const heard = this.#parts?.keeper.isAsked === true ? this.#askedStart.done(epoch) : undefined;
    if (heard !== undefined) this.#onPhase(heard);
    if (this.#hasLed) return;
    this.#hasLed = true;
    // What this start asked for is saved by now: a rescue must not ask for it again over later changes.
    const { folders, log } = this.#ports;
    const saved = folders.savedLaunch();
    if (saved !== undefined && Object.keys(saved.launch.http).length > 0) {
      tolerated(log, "launch", () => folders.writeLaunch({ ...saved, launch: { ...saved.launch, http: {} } }));
    }
  }

  #onForeignLeader(leader: Leader | undefined): void {
    const desk = this.#parts!.desk;
    // An instance that is led elsewhere runs: this node's own start is over.
    if (leader !== undefined) this.#hasLed = true;
    const isKnown = desk.leader() === this.#foreignLeader;
    this.#foreignLeader = leader;
    if (leader !== undefined || isKnown) desk.setLeader(leader);
  }

  #end(ending: Ending): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    this.#announceEnd(ending.state === "erased" ? "erasing" : "stopping");
    this.#over.resolve({ kind: "ending", ending });
  }

  /** So that a start of the same instance waits for the end instead of joining it, and a new connection is refused instead of queued. */
  #announceEnd(ending: "stopping" | "erasing"): void {
    const { folders, log } = this.#ports;
    this.#parts?.listeners.close();
    const file = folders.instanceFile();
    if (file !== undefined && file.ending !== ending)
      tolerated(log, "ending", () => folders.writeInstanceFile({ ...file, ending }));
  }

  // ── what must be looked at from time to time

  #startTicking(): void {
    const { folders, clock } = this.#ports;
    this.#every(LIVENESS_INTERVAL_MS, () => this.#lookAround());
    this.#every(TIDY_INTERVAL_MS, () => tidy({ folders, ...this.#parts! }, this.#settings.launch.runDir));
    this.#every(RUN_TOUCH_INTERVAL_MS, () => folders.touchRun());
    this.#timers.add(clock.after(RESCUE_FORGIVE_MS, () => folders.forgetRescues()));
  }

  #every(intervalMs: number, task: () => void): void {
    const { clock, log } = this.#ports;
    const timer = clock.after(intervalMs, () => {
      this.#timers.delete(timer);
      try {
        task();
      } catch (error) {
        if (!isServeError(error)) log.error("agent-task-failed", { error });
      }
      if (!this.#isEnding) this.#every(intervalMs, task);
    });
    this.#timers.add(timer);
  }

  #lookAround(): void {
    this.#parts!.supervision.now(); // keeps supervision time going
    if (!this.#ports.lock.isOurs()) {
      this.#over.resolve({ kind: "lock-lost" });
      return;
    }
    if (this.#isOwnerGone()) this.#end({ pace: "hurry", state: "erased" });
    // Of a shutdown that the store could not take.
    if (this.#ports.folders.hasTombstone()) this.#end({ pace: "drain", state: "erased" });
    this.#keepInstanceFile();
  }

  /** Actors end when it is gone; as long as an agent looks after them they must not. */
  #keepInstanceFile(): void {
    const { folders } = this.#ports;
    if (folders.instanceFile() !== undefined) return;
    const saved = folders.savedLaunch();
    if (saved !== undefined) this.#writeInstanceFile(saved.instanceId, saved.createdAt);
  }

  #writeInstanceFile(id: string, createdAt: number): void {
    const { folders, processes } = this.#ports;
    const { instance: name, stateDir } = this.#settings.launch;
    folders.writeInstanceFile({ id, name, stateDir, createdAt, agentPid: processes.self.pid });
  }

  #isOwnerGone(): boolean {
    const { owners } = this.#settings.launch;
    return owners.some((owner) => !this.#ports.processes.isAlive(owner));
  }

  #isDetached(): boolean {
    return this.#settings.launch.owners.length === 0;
  }
}
