/**
 * Keeps one controller process alive on this node: starts it, pings it, kills it when it is silent, starts it again at once, then with
 * a growing pause (core/agent/controller-rules.ts). Before the next one runs, the old one is dead and its lead is given back to the store,
 * so that fail-over never waits for a lease to lapse. Its identity lies in a local file: the next agent adopts it.
 */
import { isServeError, type ServeError, toErrorBody } from "../base/serve-error.ts";
import type { Exit } from "../core/agent/actor-view.ts";
import {
  type ControllerView,
  controllerAnswered,
  controllerDied,
  controllerLed,
  controllerLinked,
  controllerNotStarted,
  controllerTick,
  controllerUnlinked,
  noController,
  runningController,
} from "../core/agent/controller-rules.ts";
import type { ControllerLaunch } from "../model/launch.ts";
import { CONTROLLER_PING_INTERVAL_MS, DEATH_LOOK_MIN_MS, KILL_WAIT_MS } from "../model/limits.ts";
import type { ControllerFile, ProcessIdentity } from "../model/places.ts";
import type { ActorLedger } from "../ports/actor-ledger.ts";
import type { Clock, Timer } from "../ports/clock.ts";
import type { InstanceFolders } from "../ports/instance-folders.ts";
import type { ServerLink } from "../ports/link-server.ts";
import type { Log } from "../ports/log.ts";
import type { Output, ProcessHost } from "../ports/processes.ts";
import type { ActorMeters } from "./actor-meters.ts";
import { DeathWatch } from "./death-watch.ts";
import type { SupervisionClock } from "./supervision-clock.ts";
import { tolerated } from "./tolerated.ts";

export interface KeeperParts {
  readonly clock: Clock;
  readonly supervision: SupervisionClock;
  readonly processes: ProcessHost;
  readonly ledger: ActorLedger;
  readonly folders: InstanceFolders;
  readonly log: Log;
  readonly actorMeters: ActorMeters;
}

export interface KeeperSettings {
  readonly entry: string;
  readonly execArgv: readonly string[];
  readonly cwd: string;
  readonly output: Output;
  /** All but what each start adds. */
  readonly launch: Omit<ControllerLaunch, "incarnation" | "firstLife">;
  /** The instance is made by this start: its first controller finds nobody who could be listening. */
  readonly isNewInstance: boolean;
}

export interface KeeperEvents {
  /** Asked before each start: without a store a controller would make a new, empty one. */
  mayStart(): boolean;
  /** A controller process has ended: its lead is over. */
  onDeath(deaths: ControllerDeaths): void;
}

export interface ControllerDeaths {
  /** Controllers that have ended while none of this agent's life had led; 0 once one has. */
  readonly beforeFirstLead: number;
  /** The last one's own word on why it could not start. */
  readonly failure: ServeError | undefined;
}

export class ControllerKeeper {
  readonly #parts: KeeperParts;
  readonly #settings: KeeperSettings;
  readonly #events: KeeperEvents;
  readonly #deathWatch: DeathWatch;
  #view: ControllerView;
  #link: ServerLink | undefined;
  #timer: Timer | undefined;
  #pingId = 0;
  #hasEverLed = false;
  /** What a person asked for at this start is still to be asked: of the first controller that leads, not of each. */
  #isToAsk = true;
  /** The newest controller was asked for it. One of an earlier agent was asked for something else. */
  #isAsked = false;
  #deathsBeforeLead = 0;
  #mode: "keeping" | "ending" | "stopped" = "stopped";

  constructor(parts: KeeperParts, settings: KeeperSettings, events: KeeperEvents) {
    this.#parts = parts;
    this.#settings = settings;
    this.#events = events;
    this.#deathWatch = new DeathWatch(parts);
    this.#view = noController(parts.ledger.loadController()?.incarnation ?? 0);
  }

  /** Takes over the controller of an earlier agent; answers whether one lives. */
  adopt(): boolean {
    const file = this.#parts.ledger.loadController();
    if (file?.process === undefined || !this.#parts.processes.isAlive(file.process)) return false;
    this.#takeOver(file.incarnation, file.process);
    return true;
  }

  /** From now on there is always one. */
  start(): void {
    this.#mode = "keeping";
    this.#tick();
  }

  /** Undefined = none lives. */
  pid(): number | undefined {
    return this.#view.life.kind === "up" ? this.#view.life.process.pid : undefined;
  }

  /** Of the newest one. */
  incarnation(): number {
    return this.#view.incarnation;
  }

  /** Undefined = welcome; else why this process is not the controller of this node. */
  greet(from: { readonly pid: number; readonly incarnation: number }, link: ServerLink): string | undefined {
    if (this.#view.life.kind === "down") {
      // A start that the last agent had no time to write down.
      const process = this.#parts.processes.identityOf(from.pid);
      if (this.#mode !== "keeping" || process === undefined || from.incarnation < this.#view.incarnation) {
        return "this node runs no such controller";
      }
      this.#takeOver(from.incarnation, process);
    }
    const { life, incarnation } = this.#view;
    if (life.kind !== "up" || life.process.pid !== from.pid || incarnation !== from.incarnation) {
      return `this node's controller is incarnation ${incarnation}, not ${from.incarnation} with pid ${from.pid}`;
    }
    this.#link = link;
    this.#view = controllerLinked(this.#view);
    return undefined;
  }

  answered(link: ServerLink): void {
    if (link === this.#link) this.#view = controllerAnswered(this.#view);
  }

  /** Answers whether the word of this link counts. */
  led(link: ServerLink): boolean {
    if (link !== this.#link) return false;
    this.#view = controllerLed(this.#view);
    this.#hasEverLed = true;
    if (this.#isAsked) this.#isToAsk = false;
    return true;
  }

  unlinked(link: ServerLink): void {
    if (link !== this.#link) return;
    this.#link = undefined;
    this.#view = controllerUnlinked(this.#view);
    if (this.#view.life.kind === "up") this.#deathWatch.lookSoon(this.#view.life.process);
  }

  /** The living controller was asked for what a person asked of this start. */
  get isAsked(): boolean {
    return this.#view.life.kind === "up" && this.#isAsked;
  }

  /** A controller that was not asked for it goes (it is of an earlier agent, say), and the next one is. */
  ask(): void {
    const { life } = this.#view;
    if (this.isAsked) return;
    this.#isToAsk = true;
    if (life.kind !== "up") return;
    this.#parts.processes.signal(life.process, "SIGTERM");
    this.#deathWatch.lookSoon(life.process);
  }

  /** Asks it to go, makes it go after the time given, and starts no other. */
  async end(graceMs: number): Promise<void> {
    this.#mode = "ending";
    const { clock, processes } = this.#parts;
    const { life } = this.#view;
    if (life.kind === "up") {
      processes.signal(life.process, "SIGTERM");
      this.#deathWatch.lookSoon(life.process);
      const kill = clock.after(graceMs, () => processes.signal(life.process, "SIGKILL"));
      const givesUpAt = clock.now() + graceMs + KILL_WAIT_MS;
      while (processes.isAlive(life.process) && clock.now() < givesUpAt) await pause(clock, DEATH_LOOK_MIN_MS);
      kill.cancel();
    }
    this.stop();
  }

  kill(): void {
    if (this.#view.life.kind === "up") this.#parts.processes.signal(this.#view.life.process, "SIGKILL");
  }

  stop(): void {
    this.#mode = "stopped";
    this.#timer?.cancel();
    this.#deathWatch.stop();
  }

  #takeOver(incarnation: number, process: ProcessIdentity): void {
    const { supervision, log } = this.#parts;
    this.#view = runningController(this.#view, { incarnation, process, origin: "adopted" }, supervision.now());
    this.#hasEverLed = true;
    this.#isToAsk = false;
    this.#isAsked = false;
    this.#note({ incarnation, process });
    this.#deathWatch.watch(process, () => this.#died(process, { code: undefined, signal: undefined }));
    log.info("controller-adopted", { pid: process.pid, incarnation });
  }

  #tick(): void {
    if (this.#mode === "stopped") return;
    const { view, action } = controllerTick(this.#view, this.#parts.supervision.now());
    this.#view = view;
    this.#lookIn(CONTROLLER_PING_INTERVAL_MS);
    switch (action) {
      case "start":
        if (this.#mode === "keeping") this.#start();
        return;
      case "ping":
        this.#link?.send({ kind: "ping", id: ++this.#pingId });
        return;
      case "kill":
        if (view.life.kind !== "up") return;
        this.#parts.log.warn("controller-silent", { pid: view.life.process.pid, incarnation: view.incarnation });
        this.#parts.processes.signal(view.life.process, "SIGKILL");
        this.#deathWatch.lookSoon(view.life.process);
        return;
      case "none":
        return;
    }
  }

  #lookIn(delayMs: number): void {
    this.#timer?.cancel();
    this.#timer = this.#parts.clock.after(delayMs, () => this.#tick());
  }

  #start(): void {
    const { processes, supervision, log } = this.#parts;
    const { entry, execArgv, cwd, output, launch, isNewInstance } = this.#settings;
    if (!this.#events.mayStart()) {
      this.#view = controllerNotStarted(this.#view, supervision.now());
      return;
    }
    const incarnation = this.#view.incarnation + 1;
    this.#isAsked = this.#isToAsk;
    const controllerLaunch: ControllerLaunch = {
      ...launch,
      ...(this.#isAsked ? {} : { resume: false, http: {} }),
      incarnation,
      firstLife: isNewInstance && incarnation === 1,
    };
    this.#view = { ...this.#view, incarnation };
    try {
      this.#note({ incarnation, process: undefined });
      const options = { nodeArgs: execArgv, cwd, env: { file: undefined, set: {} }, output };
      const process = processes.spawn(entry, [JSON.stringify(controllerLaunch)], options, (exit) =>
        this.#died(process, exit),
      );
      this.#note({ incarnation, process });
      this.#view = runningController(this.#view, { incarnation, process, origin: "started" }, supervision.now());
      log.info("controller-started", { pid: process.pid, incarnation });
      this.#parts.actorMeters.started({ kind: "controller" });
    } catch (error) {
      if (!isServeError(error)) throw error;
      log.error("controller-not-started", { incarnation, error: toErrorBody(error) });
      this.#view = controllerNotStarted(this.#view, supervision.now());
    }
  }

  /** Where nothing can be written there must be a controller all the same, to say so; the next agent knows it by its hello. */
  #note(file: ControllerFile): void {
    const { ledger, log } = this.#parts;
    tolerated(log, "controller", () => ledger.saveController(file));
  }

  #died(process: ProcessIdentity, exit: Exit): void {
    const { supervision, folders, log } = this.#parts;
    const { life } = this.#view;
    if (life.kind !== "up" || life.process.pid !== process.pid) return;
    this.#deathWatch.forget(process);
    if (!life.hasLed) this.#deathsBeforeLead++;
    this.#view = controllerDied(this.#view, supervision.now());
    this.#link = undefined;
    const failure = folders.takeStartFailure(process.pid);
    const was = this.#mode === "keeping" ? "meant to run" : "told to end";
    this.#parts.actorMeters.exited({ kind: "controller" }, was);
    log[this.#mode === "keeping" ? "warn" : "info"]("controller-exited", {
      pid: process.pid,
      ...exit,
      failure: failure?.code,
    });
    this.#events.onDeath({ beforeFirstLead: this.#hasEverLed ? 0 : this.#deathsBeforeLead, failure });
    if (this.#mode === "keeping" && this.#view.life.kind === "down") {
      this.#lookIn(Math.max(0, this.#view.life.notBefore - supervision.now()));
    }
  }
}

const pause = (clock: Clock, ms: number): Promise<void> =>
  new Promise((resolve) => {
    clock.after(ms, resolve);
  });
