/**
 * Whether a replica is fit to get queries, from what became of the last ones. One mechanism for all kinds of failure: what fails is
 * left alone for a while, twice as long each time, until an answer comes.
 *
 *   down      it cannot be reached: nothing is sent
 *   suspect   it lets deadlines pass: it gets queries only when no other replica can take them
 */
import { EJECT_AFTER_STALLS, EJECT_MAX_MS, EJECT_MIN_MS } from "../model/limits.ts";
import type { Clock, Timer } from "../ports/clock.ts";

export class ReplicaHealth {
  state: "fit" | "suspect" | "down" = "fit";
  readonly #clock: Clock;
  readonly #onFit: () => void;
  /** Ejections since the last answer. */
  #ejections = 0;
  #stalls = 0;
  #timer: Timer | undefined;

  /** @param onFit it may be tried again. */
  constructor(clock: Clock, onFit: () => void) {
    this.#clock = clock;
    this.#onFit = onFit;
  }

  /** Any answer: a handler that throws is alive. */
  answered(): void {
    this.#stalls = 0;
    this.#ejections = 0;
    if (this.state === "suspect") this.#recover();
  }

  unreachable(): void {
    this.#eject("down");
  }

  stalled(): void {
    this.#stalls += 1;
    if (this.#stalls >= EJECT_AFTER_STALLS && this.state !== "down") this.#eject("suspect");
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #eject(state: "suspect" | "down"): void {
    this.stop();
    this.state = state;
    const pauseMs = Math.min(EJECT_MAX_MS, EJECT_MIN_MS * 2 ** this.#ejections);
    this.#ejections = Math.min(this.#ejections + 1, 16);
    this.#timer = this.#clock.after(pauseMs, () => this.#recover());
  }

  #recover(): void {
    this.stop();
    this.state = "fit";
    this.#stalls = 0;
    this.#onFit();
  }
}
