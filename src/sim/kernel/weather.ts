/**
 * How store and network behave at the moment: delays, and the share of requests that go wrong. Faults change it while the simulation
 * runs; every single delay and loss is drawn from the seed.
 */
import type { RequestFate } from "../store/store-client.ts";
import type { SeededRandom } from "./seeded-random.ts";

export interface Conditions {
  /** Ordinary delays are uniform up to this. */
  readonly storeMs: number;
  readonly netMs: number;
  /** Share of store requests that meet a busy store, and how long that takes at most. */
  readonly busy: number;
  readonly busyMs: number;
  readonly loseRequest: number;
  readonly loseAnswer: number;
  /** The store answers nobody. */
  readonly isStoreDown: boolean;
  /** Share of polls and calls to the controller whose connection breaks on the way there, or on the way back. */
  readonly breakCall: number;
}

export const FAIR: Conditions = {
  storeMs: 1,
  netMs: 1,
  busy: 0,
  busyMs: 0,
  loseRequest: 0,
  loseAnswer: 0,
  isStoreDown: false,
  breakCall: 0,
};

/** A store that does not answer is given up after this: what the embedded store's retries take at most. */
const DOWN_MS = 2_000;

export class Weather {
  readonly #random: SeededRandom;
  #now: Conditions = FAIR;

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  get now(): Conditions {
    return this.#now;
  }

  become(conditions: Conditions): void {
    this.#now = conditions;
  }

  fate(): RequestFate {
    const { storeMs, busy, busyMs, loseRequest, loseAnswer, isStoreDown } = this.#now;
    const random = this.#random;
    const requestMs = random.between(0.01, storeMs) + (random.chance(busy) ? random.between(0, busyMs) : 0);
    const fate = { requestMs, answerMs: random.between(0.01, storeMs), outlives: random.chance(0.5) };
    if (isStoreDown) return { ...fate, answerMs: random.between(10, DOWN_MS), loses: "request" };
    const draw = random.number();
    if (draw < loseRequest) return { ...fate, answerMs: random.between(1, DOWN_MS), loses: "request" };
    if (draw < loseRequest + loseAnswer) return { ...fate, answerMs: random.between(1, DOWN_MS), loses: "answer" };
    return { ...fate, loses: "nothing" };
  }

  /** Of a process that the store cannot be reached from. */
  lostRequest(): RequestFate {
    const { requestMs } = this.fate();
    return { requestMs, answerMs: this.#random.between(10, DOWN_MS), loses: "request", outlives: false };
  }

  watchDelayMs(): number {
    const { storeMs, busy } = this.#now;
    // Now and then only the slow poll behind the nudge finds it.
    return this.#random.chance(busy) ? this.#random.between(1, 250) : this.#random.between(0.01, 2 * storeMs);
  }

  netDelayMs(): number {
    return this.#random.between(0.01, this.#now.netMs);
  }

  breaksCall(): boolean {
    return this.#random.chance(this.#now.breakCall);
  }
}
