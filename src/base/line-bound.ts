/**
 * How many lines a log may get of what strangers cause, so that whoever goes on and on cannot fill it: `mostLines` in each `windowMs`.
 * What is left out is counted, and told with the next line that is written.
 */
import type { Instant } from "./time.ts";

export interface LineBoundOptions {
  readonly mostLines: number;
  readonly windowMs: number;
}

export class LineBound {
  readonly #options: LineBoundOptions;
  #windowEndsAt: Instant = Number.NEGATIVE_INFINITY;
  #lines = 0;
  #leftOut = 0;

  constructor(options: LineBoundOptions) {
    this.#options = options;
  }

  /** Undefined: write nothing. Otherwise fields for the line: how many before it were left out, when there were any. */
  take(now: Instant): { readonly leftOut?: number } | undefined {
    if (now >= this.#windowEndsAt) {
      this.#windowEndsAt = now + this.#options.windowMs;
      this.#lines = 0;
    }
    if (this.#lines >= this.#options.mostLines) {
      this.#leftOut += 1;
      return undefined;
    }
    this.#lines += 1;
    const leftOut = this.#leftOut;
    this.#leftOut = 0;
    return leftOut === 0 ? {} : { leftOut };
  }
}
