/**
 * The moments at which a crash makes a difference: before and after each effect that a process has on the world (a transaction, a
 * file, a spawn, an answer). A plan of crashes kills the process there; without a plan nothing happens.
 */
import type { SimProcess } from "./sim-process.ts";

export interface Effects {
  /** The process may be dead when this returns: then the effect must not take place. */
  before(process: SimProcess, what: string): void;
  /** The effect has taken place; the process may be dead when this returns. */
  after(process: SimProcess, what: string): void;
}

export const NO_CRASHES: Effects = { before: () => {}, after: () => {} };

/** Kills each process at the numbered moments, counted over all effects of the processes that `concerns` names. */
export class CrashPlan implements Effects {
  readonly #concerns: (process: SimProcess, what: string) => boolean;
  readonly #at: ReadonlySet<number>;
  readonly #labels: string[] = [];
  isActive = false;

  constructor(concerns: (process: SimProcess, what: string) => boolean, at: readonly number[]) {
    this.#concerns = concerns;
    this.#at = new Set(at);
  }

  /** Moments met so far, as `before txn of controller@n1/1`. */
  get labels(): readonly string[] {
    return this.#labels;
  }

  before(process: SimProcess, what: string): void {
    this.#moment(process, what, "before");
  }

  after(process: SimProcess, what: string): void {
    this.#moment(process, what, "after");
  }

  #moment(process: SimProcess, what: string, when: "before" | "after"): void {
    if (!this.isActive || !process.isAlive || !this.#concerns(process, what)) return;
    const moment = this.#labels.push(`${when} ${what} of ${process.facts.name}`) - 1;
    if (this.#at.has(moment)) process.end({ code: undefined, signal: "SIGKILL" });
  }
}
