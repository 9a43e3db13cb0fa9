/**
 * Virtual time. Events run one at a time in the order of their instants, equal ones in the order in which they were asked for; after
 * each one every promise that it settled has run on before the next begins. Nothing here waits for real time, so the same events give
 * the same order on any machine.
 */
import { ServeError } from "../../base/serve-error.ts";
import type { Instant, Timer } from "../../ports/clock.ts";

interface Event {
  readonly at: Instant;
  readonly order: number;
  run: (() => void) | undefined;
}

/** Events at one instant: more than this means that role code goes round in circles without letting time pass. */
const MAX_EVENTS_AT_ONCE = 20_000;
/**
 * Between two callbacks of `setImmediate` Node runs every microtask, those that they cause too, so each event gets a callback. So many
 * share a turn of Node's own event loop, which costs as much as an event.
 */
const TURNS_AT_ONCE = 32;

export class Scheduler {
  readonly #heap: Event[] = [];
  #now: Instant;
  #order = 0;
  #ran = 0;
  #atOnce = 0;

  constructor(now: Instant) {
    this.#now = now;
  }

  now(): Instant {
    return this.#now;
  }

  /** Events run so far. */
  get ran(): number {
    return this.#ran;
  }

  at(instant: Instant, run: () => void): Timer {
    const event: Event = { at: Math.max(onGrid(instant), this.#now), order: this.#order, run };
    this.#order += 1;
    this.#push(event);
    return {
      cancel: () => {
        event.run = undefined;
      },
    };
  }

  after(delayMs: number, run: () => void): Timer {
    return this.at(this.#now + Math.max(0, delayMs), run);
  }

  /** Runs all events up to the instant, then stands there. `until`: asked after each event; true ends it early. */
  async runTo(instant: Instant, until: () => boolean = () => false): Promise<void> {
    if (!this.#runNext(instant)) return;
    await new Promise<void>((resolve, reject) => {
      let hasEnded = false;
      const turn = (): void => {
        if (hasEnded) return;
        try {
          hasEnded = until() || !this.#runNext(instant);
        } catch (error) {
          hasEnded = true;
          reject(error);
        }
        if (hasEnded) resolve();
      };
      const turns = (): void => {
        if (hasEnded) return;
        for (let count = 0; count < TURNS_AT_ONCE; count += 1) setImmediate(turn);
        setImmediate(turns);
      };
      turns();
    });
  }

  /** false: there is none up to the instant, where time stands now. */
  #runNext(instant: Instant): boolean {
    for (let next = this.#heap[0]; next !== undefined && next.at <= instant; next = this.#heap[0]) {
      this.#pop();
      const { run } = next;
      if (run === undefined) continue;
      next.run = undefined;
      this.#atOnce = next.at > this.#now ? 0 : this.#atOnce + 1;
      if (this.#atOnce > MAX_EVENTS_AT_ONCE) {
        throw new ServeError(
          "internal",
          `more than ${MAX_EVENTS_AT_ONCE} events at virtual time ${this.#now}: a loop.`,
        );
      }
      this.#now = next.at;
      this.#ran += 1;
      run();
      return true;
    }
    this.#now = Math.max(this.#now, instant);
    return false;
  }

  #push(event: Event): void {
    const heap = this.#heap;
    let index = heap.push(event) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!isBefore(event, heap[parent]!)) break;
      heap[index] = heap[parent]!;
      index = parent;
    }
    heap[index] = event;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child += 1;
      if (!isBefore(heap[child]!, last)) break;
      heap[index] = heap[child]!;
      index = child;
    }
    heap[index] = last;
  }
}

/** Instants are multiples of 2^-10 ms: their sums and differences are exact, so that a wait until an instant ends at it and not before. */
const onGrid = (instant: Instant): Instant => Math.ceil(instant * 1024) / 1024;

const isBefore = (a: Event, b: Event): boolean => a.at < b.at || (a.at === b.at && a.order < b.order);
