/**
 * A simulated process. Whatever reaches role code comes in by `deliver`: a dead process hears nothing any more, a stopped one (SIGSTOP)
 * hears all of it when it goes on. Code of a dead process may still run to its next await; every port asks `isAlive` before it does
 * anything, so nothing of that takes effect, and what it awaits never comes.
 */
import type { ProcessIdentity } from "../../model/places.ts";
import type { Clock, Timer } from "../../ports/clock.ts";
import type { ProcessExit } from "../../ports/processes.ts";
import type { Scheduler } from "./scheduler.ts";
import type { Trace } from "./trace.ts";

export type ProcessKind = "agent" | "controller" | "proxy" | "replica" | "client";

export interface ProcessFacts {
  readonly kind: ProcessKind;
  /** For the trace: `controller@n1/3`. */
  readonly name: string;
  readonly identity: ProcessIdentity;
  readonly env: Readonly<Record<string, string>>;
}

/** Wall-clock time of virtual instant 0. */
const EPOCH = 1_700_000_000_000;

export class SimProcess {
  readonly facts: ProcessFacts;
  readonly clock: Clock;
  /** SIGTERM; undefined: its default, death. */
  onTerm: (() => void) | undefined;
  /** What the user's checkHealth() says from now on; undefined: its program has none. */
  onHealth: ((health: "healthy" | "unhealthy") => void) | undefined;
  readonly #scheduler: Scheduler;
  readonly #trace: Trace;
  readonly #onDeath: ((exit: ProcessExit) => void)[] = [];
  #state: "running" | "stopped" | "dead" = "running";
  #held: (() => void)[] = [];

  constructor(world: { readonly scheduler: Scheduler; readonly trace: Trace }, facts: ProcessFacts) {
    this.facts = facts;
    this.#scheduler = world.scheduler;
    this.#trace = world.trace;
    this.clock = {
      now: () => this.#scheduler.now(),
      timestamp: () => EPOCH + Math.floor(this.#scheduler.now()),
      after: (delayMs, callback) => this.#after(delayMs, callback),
    };
  }

  get isAlive(): boolean {
    return this.#state !== "dead";
  }

  get isStopped(): boolean {
    return this.#state === "stopped";
  }

  /** Runs in the process now; when it goes on; or never. */
  deliver(run: () => void): void {
    if (this.#state === "running") run();
    else if (this.#state === "stopped") this.#held.push(run);
  }

  /** Calls back in the world, at once, when it dies. */
  onDeath(callback: (exit: ProcessExit) => void): void {
    this.#onDeath.push(callback);
  }

  end(exit: ProcessExit): void {
    if (this.#state === "dead") return;
    this.#state = "dead";
    this.#held = [];
    this.#trace.note(this.#scheduler.now(), this.facts.name, `dies ${exit.signal ?? exit.code ?? ""}`);
    for (const callback of this.#onDeath.splice(0)) callback(exit);
  }

  signal(signal: "SIGTERM" | "SIGKILL"): void {
    const { onTerm } = this;
    if (signal === "SIGTERM" && onTerm !== undefined) this.deliver(onTerm);
    else this.end({ code: undefined, signal });
  }

  stop(): void {
    if (this.#state !== "running") return;
    this.#state = "stopped";
    this.#trace.note(this.#scheduler.now(), this.facts.name, "is stopped");
  }

  /** What came meanwhile comes now, each in a turn of its own, before anything later. */
  goOn(): void {
    if (this.#state !== "stopped") return;
    this.#trace.note(this.#scheduler.now(), this.facts.name, "goes on");
    this.#runHeld();
  }

  #runHeld(): void {
    const next = this.#held.shift();
    if (next === undefined) {
      if (this.#state === "stopped") this.#state = "running";
      return;
    }
    this.#scheduler.after(0, () => {
      if (this.#state !== "stopped") return;
      this.#state = "running";
      next();
      // It may have ended itself; otherwise the rest of the queue still stands before what comes now.
      if (this.isAlive) this.#state = "stopped";
      this.#runHeld();
    });
  }

  #after(delayMs: number, callback: () => void): Timer {
    let isCancelled = false;
    const timer = this.#scheduler.after(delayMs, () =>
      this.deliver(() => {
        if (!isCancelled) callback();
      }),
    );
    return {
      cancel: () => {
        isCancelled = true;
        timer.cancel();
      },
    };
  }
}
