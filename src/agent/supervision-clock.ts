/**
 * Time for deadlines over other processes. It stands still while this process is stopped (SIGSTOP, a suspended machine): nobody is
 * killed for having been silent while nobody listened. Somebody must ask for the time at least every AGENT_STALL_MS.
 */
import { AGENT_STALL_MS } from "../model/limits.ts";
import type { Clock, Instant, Timer } from "../ports/clock.ts";

export class SupervisionClock {
  readonly #clock: Clock;
  #lastAsked: Instant;
  #lostMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#lastAsked = clock.now();
  }

  now(): Instant {
    const asked = this.#clock.now();
    const sinceMs = asked - this.#lastAsked;
    if (sinceMs > AGENT_STALL_MS) this.#lostMs += sinceMs;
    this.#lastAsked = asked;
    return asked - this.#lostMs;
  }

  /** Calls back when `now()` may have reached the instant; after a pause of this process it may still lie ahead. */
  at(instant: Instant, callback: () => void): Timer {
    return this.#clock.after(Math.max(0, instant - this.now()), callback);
  }
}
