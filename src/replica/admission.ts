/**
 * `maxConcurrentQueries`, held strictly: a query is let in or refused before anything of it runs. Each refusal registers its router,
 * and each slot that becomes free goes to the registered router that was let in longest ago, held for a moment so that nobody else
 * takes it. So routers that all want more than there is get equal shares, however often the one or the other asks.
 */
import { SLOT_HOLD_MS } from "../model/limits.ts";
import type { Clock, Instant } from "../ports/clock.ts";

/** A router, by its connection. The numbers are kept by `Admission`. */
export interface Guest {
  /** Refusals that no slot has answered yet. */
  refusals: number;
  /** Slots offered and not used yet. */
  heldSlots: number;
  heldUntil: Instant;
  /** When it was last let in or offered a slot, counted in such events. */
  lastTurn: number;
  offerSlot(): void;
}

export class Admission {
  readonly #clock: Clock;
  #limit: number;
  #running = 0;
  #held = 0;
  #turn = 0;
  /** Guests with refusals. */
  readonly #waiting = new Set<Guest>();
  /** Guests with held slots. */
  readonly #holders = new Set<Guest>();
  #isWatching = false;

  constructor(clock: Clock, limit: number) {
    this.#clock = clock;
    this.#limit = limit;
  }

  get running(): number {
    return this.#running;
  }

  setLimit(limit: number): void {
    this.#limit = limit;
    this.#offerFreeSlots();
  }

  /** false: refused and registered. */
  enter(guest: Guest): boolean {
    if (guest.heldSlots > 0) {
      this.#takeBack(guest, 1);
    } else if (this.#running + this.#held >= this.#limit) {
      guest.refusals += 1;
      this.#waiting.add(guest);
      return false;
    }
    this.#running += 1;
    this.#turn += 1;
    guest.lastTurn = this.#turn;
    return true;
  }

  /** A query that entered is over. */
  leave(): void {
    this.#running -= 1;
    if (this.#waiting.size > 0) this.#offerFreeSlots();
  }

  /** The guest has gone; its running queries leave one by one. */
  forget(guest: Guest): void {
    this.#takeBack(guest, guest.heldSlots);
    guest.refusals = 0;
    this.#waiting.delete(guest);
    this.#offerFreeSlots();
  }

  #offerFreeSlots(): void {
    while (this.#waiting.size > 0 && this.#running + this.#held < this.#limit) {
      const guest = this.#nextInTurn();
      guest.refusals -= 1;
      if (guest.refusals === 0) this.#waiting.delete(guest);
      this.#turn += 1;
      guest.lastTurn = this.#turn;
      guest.heldSlots += 1;
      guest.heldUntil = this.#clock.now() + SLOT_HOLD_MS;
      this.#held += 1;
      this.#holders.add(guest);
      guest.offerSlot();
    }
    if (this.#holders.size > 0 && !this.#isWatching) this.#watch();
  }

  /** There are as many guests as routers know this replica: a handful. */
  #nextInTurn(): Guest {
    let next: Guest | undefined;
    for (const guest of this.#waiting) if (next === undefined || guest.lastTurn < next.lastTurn) next = guest;
    return next!;
  }

  /** A router that has no use for its slot says nothing: it is given on when its time is over. */
  #watch(): void {
    this.#isWatching = true;
    this.#clock.after(SLOT_HOLD_MS, () => {
      this.#isWatching = false;
      const now = this.#clock.now();
      for (const guest of this.#holders) if (guest.heldUntil <= now) this.#takeBack(guest, guest.heldSlots);
      this.#offerFreeSlots();
    });
  }

  #takeBack(guest: Guest, slots: number): void {
    guest.heldSlots -= slots;
    this.#held -= slots;
    if (guest.heldSlots === 0) this.#holders.delete(guest);
  }
}
