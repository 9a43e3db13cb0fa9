/**
 * Keeps the actors of this node as they are wanted: holds one view of each (core/agent/actor-view.ts), feeds it what happens, and
 * carries out what decide-actor.ts decides. All effects on disk and processes are synchronous, so a decision is carried out in the
 * world it was made for.
 */
import { isServeError, messageOf, toErrorBody } from "../base/serve-error.ts";
import {
  type ActorView,
  adoptedActor,
  blockedStart,
  deadActor,
  type Exit,
  exitedActor,
  failedStart,
  heardActor,
  isMeantToRun,
  isStalled,
  linkedActor,
  newActor,
  reportedActor,
  spawnedActor,
  unlinkedActor,
  type Wanted,
} from "../core/agent/actor-view.ts";
import { decideActor, type Step } from "../core/agent/decide-actor.ts";
import { type EndingOrder, isOfKind, wantedAtEnd } from "../core/agent/ending-order.ts";
import { statusOf, type Writer } from "../core/agent/status-row.ts";
import type { ActorStatus, Assignment } from "../model/actor.ts";
import type { ActorName } from "../model/ids.ts";
import { ACTOR_FILE_VARIABLE } from "../model/launch.ts";
import { LOCAL_TRUTH_GRACE_MS, MAX_SPAWNS_PER_TURN } from "../model/limits.ts";
import type { ActorReport } from "../model/link-messages.ts";
import type { ActorFile, ProcessIdentity } from "../model/places.ts";
import type { ActorLedger } from "../ports/actor-ledger.ts";
import type { Clock, Timer } from "../ports/clock.ts";
import type { ServerLink } from "../ports/link-server.ts";
import type { Log } from "../ports/log.ts";
import type { ProcessHost } from "../ports/processes.ts";
import type { ActorMeters } from "./actor-meters.ts";
import type { ActorStarter } from "./actor-starter.ts";
import { DeathWatch } from "./death-watch.ts";
import type { ListenAt } from "./listener-table.ts";
import type { SupervisionClock } from "./supervision-clock.ts";

export interface SupervisorParts {
  readonly clock: Clock;
  readonly supervision: SupervisionClock;
  readonly processes: ProcessHost;
  readonly ledger: ActorLedger;
  readonly starter: ActorStarter;
  readonly log: Log;
  readonly actorMeters: ActorMeters;
  /** The actor's row has something new to say, or is to be deleted. */
  readonly onChange: (actor: ActorName) => void;
}

export class ActorSupervisor {
  readonly #parts: SupervisorParts;
  readonly #views = new Map<ActorName, ActorView>();
  readonly #links = new Map<ActorName, ServerLink>();
  readonly #wakes = new Map<ActorName, Timer>();
  readonly #dirty = new Set<ActorName>();
  readonly #deaths: DeathWatch;
  #trustFilesFrom = 0;
  #turn: Timer | undefined;
  #ending: EndingOrder | undefined;
  #emptyWaiters: (() => void)[] = [];

  constructor(parts: SupervisorParts) {
    this.#parts = parts;
    this.#deaths = new DeathWatch(parts);
  }

  /** Reads the local files and takes over what lives. */
  adoptLocal(): void {
    const { ledger, supervision, log } = this.#parts;
    const { actors, unreadable } = ledger.load();
    if (unreadable.length > 0) log.error("actor-files-unreadable", { files: unreadable });
    this.#trustFilesFrom = supervision.now() + LOCAL_TRUTH_GRACE_MS;
    for (const file of actors) this.#adopt(file);
    const living = [...this.#views.values()].filter((view) => view.life.kind === "up").length;
    if (actors.length > 0) log.info("actors-adopted", { living, gone: actors.length - living });
  }

  #adopt(file: ActorFile): void {
    const { ledger, supervision } = this.#parts;
    const { actor } = file.assignment;
    const alive = this.#livingProcessOf(file);
    if (alive === undefined) this.#views.set(actor, deadActor(file));
    else {
      const known = { ...file, process: alive };
      if (file.process === undefined) this.#tryTo("note-process", actor, () => ledger.note(known));
      this.#views.set(actor, adoptedActor(known, alive, supervision.now()));
      this.#deaths.watch(alive, () => this.#exited(actor, alive, { code: undefined, signal: undefined }));
    }
    this.#touch(actor);
  }

  /** The agent may have died between a spawn and the note of it: then the process is found by its environment. */
  #livingProcessOf(file: ActorFile): ProcessIdentity | undefined {
    const { processes, ledger } = this.#parts;
    if (file.process === undefined) return processes.find(ACTOR_FILE_VARIABLE, ledger.pathOf(file.assignment.actor));
    return processes.isAlive(file.process) ? file.process : undefined;
  }

  /** Everything that the store assigns to this node. */
  setAllWanted(assignments: readonly Assignment[]): void {
    const assigned = new Set(assignments.map((assignment) => assignment.actor));
    for (const assignment of assignments) this.setWanted(assignment.actor, { kind: "assigned", assignment });
    for (const actor of this.#views.keys()) if (!assigned.has(actor)) this.setWanted(actor, { kind: "none" });
  }

  setWanted(actor: ActorName, wanted: Wanted): void {
    const view = this.#views.get(actor);
    if (view === undefined && wanted.kind === "none") return;
    const next = view === undefined ? newActor(actor, wanted) : { ...view, wanted };
    const ordered = this.#ending === undefined ? undefined : wantedAtEnd(next, this.#ending);
    this.#views.set(actor, ordered === undefined ? next : { ...next, wanted: ordered });
    this.#touch(actor);
  }

  /** Undefined = welcome; else why this process is none of ours. */
  greet(
    actor: ActorName,
    from: { readonly pid: number; readonly incarnation: number },
    link: ServerLink,
  ): string | undefined {
    const view = this.#views.get(actor);
    if (view?.life.kind !== "up" || view.file === undefined) return `${actor} is not to run on this node`;
    if (view.file.incarnation !== from.incarnation || view.life.process.pid !== from.pid) {
      return `${actor} is incarnation ${view.file.incarnation} with pid ${view.life.process.pid}, not ${from.incarnation} with pid ${from.pid}`;
    }
    this.#links.set(actor, link);
    this.#update(heardActor(linkedActor(view), this.#parts.supervision.now()));
    return undefined;
  }

  /** It has answered a ping. */
  heard(actor: ActorName): void {
    const view = this.#views.get(actor);
    if (view !== undefined) this.#update(heardActor(view, this.#parts.supervision.now()));
  }

  reported(actor: ActorName, report: ActorReport): void {
    const view = this.#views.get(actor);
    if (view === undefined) return;
    const wasReady = view.life.kind === "up" && view.life.readySince !== undefined;
    const next = reportedActor(view, report, this.#parts.supervision.now());
    if (!wasReady && next.life.kind === "up" && next.life.readySince !== undefined) {
      this.#parts.log.info("actor-ready", { actor, pid: next.life.process.pid, incarnation: next.file?.incarnation });
    }
    this.#update(this.#noted(next));
  }

  /** The next agent must know what this one has heard, before the store does. */
  #noted(view: ActorView): ActorView {
    if (view.file === undefined || view.life.kind !== "up" || isSameReport(view.file.report, view.report)) return view;
    const file = { ...view.file, report: view.report };
    this.#tryTo("note-report", view.actor, () => this.#parts.ledger.note(file));
    return { ...view, file };
  }

  unlinked(actor: ActorName, link: ServerLink): void {
    if (this.#links.get(actor) !== link) return;
    this.#links.delete(actor);
    const view = this.#views.get(actor);
    if (view?.life.kind !== "up") return;
    this.#update(unlinkedActor(view));
    this.#deaths.lookSoon(view.life.process);
  }

  rowOf(actor: ActorName, writer: Writer): ActorStatus | undefined {
    const view = this.#views.get(actor);
    return view === undefined ? undefined : statusOf(view, writer);
  }

  actors(): readonly ActorName[] {
    return [...this.#views.keys()];
  }

  /** The newest one of an actor; 0 = none has been started. */
  incarnationOf(actor: ActorName): number {
    return this.#views.get(actor)?.file?.incarnation ?? 0;
  }

  /** Whether a living proxy answers on this host and port. */
  hasProxyAt({ host, port }: ListenAt): boolean {
    return [...this.#views.values()].some(({ life, file }) => {
      const spec = file?.assignment.spec;
      return life.kind === "up" && spec?.kind === "proxy" && spec.host === host && spec.port === port;
    });
  }

  /** Living actors of these kinds. */
  countLiving(kinds: EndingOrder["drains"]): number {
    return [...this.#views.values()].filter((view) => view.life.kind === "up" && isOfKind(view, kinds)).length;
  }

  /** From now on the agent itself decides: drain these, start nothing. */
  end(order: EndingOrder): void {
    this.#ending = order;
    for (const { actor, wanted } of [...this.#views.values()]) this.setWanted(actor, wanted);
  }

  killAll(): void {
    for (const view of this.#views.values()) {
      if (view.life.kind === "up") this.#parts.processes.signal(view.life.process, "SIGKILL");
    }
    for (const view of this.#views.values()) if (view.life.kind === "up") this.#deaths.lookSoon(view.life.process);
  }

  /** Resolves when none of these lives, at the latest after the time given. */
  async untilGone(kinds: EndingOrder["drains"], mostMs: number): Promise<void> {
    const { clock } = this.#parts;
    let isOver = false;
    const timer = clock.after(mostMs, () => {
      isOver = true;
      this.#wakeWaiters();
    });
    while (!isOver && this.countLiving(kinds) > 0) {
      await new Promise<void>((resolve) => this.#emptyWaiters.push(resolve));
    }
    timer.cancel();
  }

  stop(): void {
    this.#turn?.cancel();
    this.#deaths.stop();
    for (const timer of this.#wakes.values()) timer.cancel();
  }

  // ── events of one actor

  #exited(actor: ActorName, process: ProcessIdentity, exit: Exit): void {
    const { log, ledger, supervision } = this.#parts;
    const view = this.#views.get(actor);
    if (view?.life.kind !== "up" || view.life.process.pid !== process.pid) return;
    this.#deaths.forget(process);
    const next = exitedActor(view, exit, supervision.now());
    const level = isMeantToRun(view) ? "warn" : "info";
    this.#parts.actorMeters.exited(view.file?.assignment.spec, level === "warn" ? "meant to run" : "told to end");
    log[level]("actor-exited", {
      actor,
      pid: process.pid,
      ...exit,
      error: next.error?.code,
      failedStarts: next.failedStarts,
      // None of it was ever ready: whoever waits for the goal is told why.
      toldBy: next.failedStarts === next.file?.incarnation ? "goal" : undefined,
    });
    if (next.failedStarts > 0 && next.file !== undefined) {
      // A next agent must not begin to count anew.
      const file = { ...next.file, failedStarts: next.failedStarts, error: next.error };
      this.#tryTo("note-failure", actor, () => ledger.note(file));
      this.#update({ ...next, file });
    } else this.#update(next);
    this.#wakeWaiters();
  }

  #update(view: ActorView): void {
    this.#views.set(view.actor, view);
    this.#touch(view.actor);
  }

  #touch(actor: ActorName): void {
    this.#dirty.add(actor);
    this.#parts.onChange(actor);
    this.#turn ??= this.#parts.clock.after(0, () => this.#runTurn());
  }

  #wakeWaiters(): void {
    const waiters = this.#emptyWaiters;
    this.#emptyWaiters = [];
    for (const wake of waiters) wake();
  }

  // ── decisions

  #runTurn(): void {
    this.#turn = undefined;
    let starts = 0;
    for (const actor of this.#dirty) {
      if (starts >= MAX_SPAWNS_PER_TURN) {
        this.#turn ??= this.#parts.clock.after(0, () => this.#runTurn());
        return;
      }
      this.#dirty.delete(actor);
      const view = this.#views.get(actor);
      if (view !== undefined) starts += this.#decide(view);
    }
  }

  /** Answers how many processes it started. */
  #decide(before: ActorView): number {
    const now = this.#parts.supervision.now();
    const { actor } = before;
    const { view, steps, wakeAt } = decideActor(before, { now, trustFilesFrom: this.#trustFilesFrom });
    this.#views.set(actor, view);
    if (isStalled(view) && !isStalled(before)) {
      this.#parts.log.warn("actor-stalled", {
        actor,
        pid: view.life.kind === "up" ? view.life.process.pid : undefined,
      });
      this.#parts.onChange(actor);
    }
    this.#wakes.get(actor)?.cancel();
    this.#wakes.delete(actor);
    if (wakeAt !== undefined) {
      this.#wakes.set(
        actor,
        this.#parts.supervision.at(wakeAt, () => this.#touch(actor)),
      );
    }
    for (const step of steps) this.#carryOut(actor, step);
    return steps.filter((step) => step.kind === "start").length;
  }

  #carryOut(actor: ActorName, step: Step): void {
    const { ledger, processes, log } = this.#parts;
    const view = this.#views.get(actor);
    if (view === undefined) return;
    switch (step.kind) {
      case "save": {
        if (view.file === undefined) return;
        const file = { ...view.file, assignment: step.assignment };
        this.#tryTo("save", actor, () => ledger.save(file));
        this.#views.set(actor, { ...view, file });
        return;
      }
      case "start":
        this.#start(view, step);
        return;
      case "ping":
        this.#links.get(actor)?.send({ kind: "ping", id: 0 });
        return;
      case "configure":
      case "intent":
        this.#links.get(actor)?.send(step);
        return;
      case "kill":
        if (view.life.kind !== "up") return;
        log.info("actor-killed", { actor, pid: view.life.process.pid, reason: step.reason });
        processes.signal(view.life.process, "SIGKILL");
        this.#deaths.lookSoon(view.life.process);
        return;
      case "forget":
        this.#tryTo("delete", actor, () => ledger.delete(actor));
        this.#views.delete(actor);
        this.#parts.onChange(actor);
        return;
    }
  }

  #start(view: ActorView, { assignment, incarnation }: Extract<Step, { kind: "start" }>): void {
    const { starter, supervision, log, actorMeters } = this.#parts;
    const { actor } = view;
    const now = supervision.now();
    const started = starter.start(
      { assignment, incarnation, failedStarts: view.failedStarts, error: view.error },
      (process, exit) => this.#exited(actor, process, exit),
    );
    switch (started.kind) {
      case "started":
        log.info("actor-started", { actor, pid: started.process.pid, incarnation });
        actorMeters.started(assignment.spec);
        this.#update(spawnedActor(view, started.file, started.process, now));
        return;
      case "failed":
        log.error("actor-not-started", { actor, incarnation, error: started.error });
        this.#update({ ...failedStart(view, started.error, now), file: started.file ?? view.file });
        return;
      case "blocked":
        // Once, not with every try: the log may lie on the disk that is full.
        if (view.error?.code !== started.error.code)
          log.error("actor-start-blocked", { actor, incarnation, error: started.error });
        this.#update(blockedStart(view, started.error, now));
        return;
      case "later":
        void started.when.then(() => this.#touch(actor));
        return;
    }
  }

  /** For writes whose failure changes nothing now: they are made again with the next change. */
  #tryTo(what: string, actor: ActorName, write: () => void): void {
    try {
      write();
    } catch (error) {
      this.#parts.log.error("actor-file-failed", {
        what,
        actor,
        error: isServeError(error) ? toErrorBody(error) : messageOf(error),
      });
    }
  }
}

/** Both are what came over a link or out of a file: plain JSON with its fields in one order. */
const isSameReport = (a: ActorReport | undefined, b: ActorReport | undefined): boolean =>
  JSON.stringify(a) === JSON.stringify(b);
