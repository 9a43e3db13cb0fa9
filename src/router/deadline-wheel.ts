/**
 * Deadlines of many queries with one timer: a wheel of slots, one tick each, and in each slot a list of those that end there or a
 * whole number of turns later. Adding and removing cost a few assignments and no memory: the entries are the list's links.
 * A deadline is met within one tick after its time, never before. The timer runs only while there are entries.
 */
import { DEADLINE_TICK_MS } from "../model/limits.ts";
import type { Clock, Timer } from "../ports/clock.ts";

/** With the tick of 20 ms a turn is 10 s; longer deadlines are looked at once a turn. */
const SLOTS = 512;

/** What can have a deadline. The wheel alone touches `wheel…`. */
export interface WheelEntry<E> {
  readonly deadline: number;
  wheelNext: E | undefined;
  wheelPrevious: E | undefined;
  /** Slot it is in; -1 = in none. */
  wheelSlot: number;
  deadlinePassed(): void;
}

export class DeadlineWheel<E extends WheelEntry<E>> {
  readonly #clock: Clock;
  readonly #slots: (E | undefined)[] = new Array<E | undefined>(SLOTS).fill(undefined);
  #size = 0;
  /** Ticks that are done, counted from instant 0. */
  #tick = 0;
  #timer: Timer | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#size;
  }

  /** @param now the instant it is, which the caller has asked for already. */
  add(entry: E, now: number): void {
    // Only an empty wheel may skip ticks: callbacks of one tick add entries while the next one has begun.
    if (this.#size === 0) this.#tick = Math.floor(now / DEADLINE_TICK_MS);
    if (this.#timer === undefined) this.#arm();
    // The tick that begins at or after the deadline; at least the next one, since this one may be done.
    const tick = Math.max(Math.ceil(entry.deadline / DEADLINE_TICK_MS), this.#tick + 1);
    const slot = tick % SLOTS;
    const first = this.#slots[slot];
    entry.wheelSlot = slot;
    entry.wheelPrevious = undefined;
    entry.wheelNext = first;
    if (first !== undefined) first.wheelPrevious = entry;
    this.#slots[slot] = entry;
    this.#size += 1;
  }

  /** Safe for an entry that is in no slot. */
  remove(entry: E): void {
    if (entry.wheelSlot < 0) return;
    const { wheelNext: next, wheelPrevious: previous } = entry;
    if (previous === undefined) this.#slots[entry.wheelSlot] = next;
    else previous.wheelNext = next;
    if (next !== undefined) next.wheelPrevious = previous;
    entry.wheelNext = undefined;
    entry.wheelPrevious = undefined;
    entry.wheelSlot = -1;
    this.#size -= 1;
  }

  entries(): readonly E[] {
    const all: E[] = [];
    for (const first of this.#slots) {
      for (let entry = first; entry !== undefined; entry = entry.wheelNext) all.push(entry);
    }
    return all;
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #arm(): void {
    this.#timer = this.#clock.after(DEADLINE_TICK_MS, () => {
      this.#timer = undefined;
      this.#turn();
      // Somebody may have armed it while callbacks ran.
      if (this.#size > 0 && this.#timer === undefined) this.#arm();
    });
  }

  #turn(): void {
    const now = this.#clock.now();
    const until = Math.floor(now / DEADLINE_TICK_MS);
    // After a long pause of the process one turn of the wheel sees every slot.
    const first = Math.max(this.#tick + 1, until - SLOTS + 1);
    const passed: E[] = [];
    for (let tick = first; tick <= until; tick += 1) {
      for (let entry = this.#slots[tick % SLOTS]; entry !== undefined; entry = entry.wheelNext) {
        if (entry.deadline <= now) passed.push(entry);
      }
    }
    this.#tick = Math.max(this.#tick, until);
    for (const entry of passed) {
      // An earlier callback may have ended it.
      if (entry.wheelSlot < 0) continue;
      this.remove(entry);
      entry.deadlinePassed();
    }
  }
}
