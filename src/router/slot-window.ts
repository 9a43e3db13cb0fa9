/**
 * How many queries a router may have in flight at one replica. The replica's limit holds for all routers together, and only the replica
 * can keep it; this keeps one router from sending what would be refused.
 *
 * The window is the limit until the replica refuses, since others use its slots too. Then it shrinks to what is running, nothing is
 * sent until the replica has offered one slot for each refusal, and each answer widens it by one again.
 */
import { MAX_STREAMS_PER_CONNECTION } from "../model/limits.ts";

export class SlotWindow {
  #limit: number;
  #window: number;
  #owed = 0;

  constructor(limit: number) {
    this.#limit = Math.min(limit, MAX_STREAMS_PER_CONNECTION);
    this.#window = this.#limit;
  }

  /** The replica has refused and not yet offered a slot for it. */
  get isOwed(): boolean {
    return this.#owed > 0;
  }

  allows(inFlight: number): boolean {
    return this.#owed === 0 && inFlight < this.#window;
  }

  setLimit(limit: number): void {
    const wasOpen = this.#window === this.#limit;
    this.#limit = Math.min(limit, MAX_STREAMS_PER_CONNECTION);
    this.#window = wasOpen ? this.#limit : Math.min(this.#window, this.#limit);
  }

  /** @param inFlight what runs there without the refused one. */
  refused(inFlight: number): void {
    this.#owed += 1;
    this.#window = Math.max(1, inFlight);
  }

  /** One that was not owed is an offer as good as any. */
  offered(): void {
    if (this.#owed > 0) this.#owed -= 1;
  }

  answered(): void {
    if (this.#owed === 0 && this.#window < this.#limit) this.#window += 1;
  }

  /** Another connection: the replica has forgotten what it owed. */
  reset(): void {
    this.#owed = 0;
    this.#window = this.#limit;
  }
}
