/**
 * Whether a replica is fit to get queries, from what became of the last ones. One mechanism for all kinds of failure: what fails is
 * left alone for a while, twice as long each time, until an answer comes.
 *
 *   down      it cannot be reached: nothing is sent
 *   suspect   it lets deadlines pass: it gets queries only when no other replica can take them
 */
import { EJECT_AFTER_STALLS, EJECT_MAX_MS, EJECT_MIN_MS } from "../model/limits.ts";
import type { Clock, Timer } from "../ports/clock.ts";

export type EjectReason = "unreachable" | "leaving" | "stalled";

export interface HealthEvents {
  /** It is left alone from now on. */
  onEject(why: EjectReason): void;
  /** It may be tried again. */
  onFit(): void;
}

export class ReplicaHealth {
  state: "fit" | "suspect" | "down" = "fit";
  readonly #clock: Clock;
  readonly #events: HealthEvents;
  /** Ejections since the last answer. */
  #ejections = 0;
  #stalls = 0;
  #timer: Timer | undefined;

  constructor(clock: Clock, events: HealthEvents) {
    this.#clock = clock;
    this.#events = events;
  }

  /** Any answer: a handler that throws is alive. */
  answered(): void {
    this.#stalls = 0;
    this.#ejections = 0;
    if (this.state === "suspect") this.#recover();
  }

  unreachable(): void {
    this.#eject("down", "unreachable");
  }

  /** It has said that it goes. */
  leaving(): void {
    this.#eject("down", "leaving");
  }

  stalled(): void {
    this.#stalls += 1;
    if (this.#stalls >= EJECT_AFTER_STALLS && this.state !== "down") this.#eject("suspect", "stalled");
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #eject(state: "suspect" | "down", why: EjectReason): void {
    this.stop();
    this.state = state;
    this.#events.onEject(why);
    const pauseMs = Math.min(EJECT_MAX_MS, EJECT_MIN_MS * 2 ** this.#ejections);
    this.#ejections = Math.min(this.#ejections + 1, 16);
    this.#timer = this.#clock.after(pauseMs, () => this.#recover());
  }

  #recover(): void {
    this.stop();
    this.state = "fit";
    this.#stalls = 0;
    this.#events.onFit();
  }
}
