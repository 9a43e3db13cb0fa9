/**
 * How often queries may be run again after a lost replica: a share of the queries sent, plus a few a second. Without it, a
 * backend that falls over under load would get its load again from everybody.
 */
import { RETRY_BUDGET_MIN_PER_SECOND, RETRY_BUDGET_SHARE } from "../model/limits.ts";

/** Saved up at most: what ten seconds without traffic give. */
const MAX_SAVED = RETRY_BUDGET_MIN_PER_SECOND * 10;

export class RetryBudget {
  #saved = RETRY_BUDGET_MIN_PER_SECOND;
  #since: number;

  constructor(now: number) {
    this.#since = now;
  }

  /** A query was sent for the first time. */
  earn(): void {
    if (this.#saved < MAX_SAVED) this.#saved += RETRY_BUDGET_SHARE;
  }

  /** false: the budget is spent. */
  spend(now: number): boolean {
    this.#saved = Math.min(MAX_SAVED, this.#saved + ((now - this.#since) / 1000) * RETRY_BUDGET_MIN_PER_SECOND);
    this.#since = now;
    if (this.#saved < 1) return false;
    this.#saved -= 1;
    return true;
  }
}
