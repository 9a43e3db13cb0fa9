/**
 * Sees the end of processes that have no exit event here, because an earlier agent started them: looks at each every
 * LIVENESS_INTERVAL_MS, and right after its socket closed, which comes just before the end, in quickly growing steps.
 */
import { DEATH_LOOK_MIN_MS, LIVENESS_INTERVAL_MS } from "../model/limits.ts";
import type { ProcessIdentity } from "../model/places.ts";
import type { Clock, Timer } from "../ports/clock.ts";
import type { ProcessHost } from "../ports/processes.ts";

interface Watched {
  readonly process: ProcessIdentity;
  readonly onDeath: () => void;
  timer: Timer;
}

export class DeathWatch {
  readonly #clock: Clock;
  readonly #processes: ProcessHost;
  readonly #watched = new Map<number, Watched>();

  constructor({ clock, processes }: { readonly clock: Clock; readonly processes: ProcessHost }) {
    this.#clock = clock;
    this.#processes = processes;
  }

  /** `onDeath` is called once, never inside this call. */
  watch(process: ProcessIdentity, onDeath: () => void): void {
    this.forget(process);
    this.#watched.set(process.pid, { process, onDeath, timer: this.#lookIn(process, LIVENESS_INTERVAL_MS) });
  }

  /** There is a sign that it ends. A process that is not watched is left alone. */
  lookSoon(process: ProcessIdentity): void {
    const watched = this.#watched.get(process.pid);
    if (watched === undefined) return;
    watched.timer.cancel();
    watched.timer = this.#lookIn(process, DEATH_LOOK_MIN_MS);
  }

  forget({ pid }: ProcessIdentity): void {
    this.#watched.get(pid)?.timer.cancel();
    this.#watched.delete(pid);
  }

  stop(): void {
    for (const { timer } of this.#watched.values()) timer.cancel();
    this.#watched.clear();
  }

  #lookIn(process: ProcessIdentity, delayMs: number): Timer {
    return this.#clock.after(delayMs, () => {
      const watched = this.#watched.get(process.pid);
      if (watched === undefined) return;
      if (this.#processes.isAlive(process)) {
        watched.timer = this.#lookIn(process, Math.min(delayMs * 2, LIVENESS_INTERVAL_MS));
        return;
      }
      this.#watched.delete(process.pid);
      watched.onDeath();
    });
  }
}
