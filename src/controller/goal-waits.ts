/** Those who wait for a goal to settle: each wait ends by the goal, by its time, by its caller, or with the life. */
import { ServeError } from "../base/serve-error.ts";
import type { GoalId } from "../model/ids.ts";
import type { Clock } from "../ports/clock.ts";

export class GoalWaits {
  readonly #clock: Clock;
  readonly #waits = new Map<GoalId, Set<() => void>>();
  #end: "open" | "lost" = "open";

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Resolves when the goal has settled or the wait is over; rejects with `not-leading` when the life ends first. */
  wait(id: GoalId, waitMs: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = () => {
        timer.cancel();
        signal.removeEventListener("abort", end);
        const waiting = this.#waits.get(id);
        waiting?.delete(end);
        if (waiting?.size === 0) this.#waits.delete(id);
        if (this.#end === "lost") reject(notLeading());
        else resolve();
      };
      const timer = this.#clock.after(waitMs, end);
      signal.addEventListener("abort", end, { once: true });
      const waiting = this.#waits.get(id);
      if (waiting === undefined) this.#waits.set(id, new Set([end]));
      else waiting.add(end);
      if (signal.aborted || this.#end === "lost") end();
    });
  }

  settled(id: GoalId): void {
    for (const end of [...(this.#waits.get(id) ?? [])]) end();
  }

  /** The life is over: who still waits asks the next one. */
  close(): void {
    this.#end = "lost";
    for (const id of [...this.#waits.keys()]) this.settled(id);
  }

  get size(): number {
    return this.#waits.size;
  }
}

export const notLeading = (): ServeError =>
  new ServeError("not-leading", "this controller does not lead. Send the call again: it goes to the one that does.", {
    retryable: true,
  });
