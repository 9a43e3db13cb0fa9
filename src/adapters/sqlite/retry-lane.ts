/**
 * Attempts that another process may hold up, one at a time and in order. Each attempt is one synchronous call; when it throws
 * "busy" the lane waits without blocking and tries again, STORE_BUSY_RETRIES times for each job. An attempt made while the lane
 * is empty runs at once. An attempt must not call back into the lane.
 */
import { ServeError } from "../../base/serve-error.ts";
import {
  MAX_STORE_QUEUE,
  STORE_BUSY_BACKOFF_MAX_MS,
  STORE_BUSY_BACKOFF_MIN_MS,
  STORE_BUSY_RETRIES,
  STORE_TURN_MS,
} from "../../model/store-limits.ts";
import type { Clock, Timer } from "../../ports/clock.ts";
import { isBusy, toStoreError } from "./store-errors.ts";

interface Job {
  /** Answers what was thrown when the file was busy; anything else settles the job. */
  readonly tryNow: () => { readonly busy: unknown } | undefined;
  readonly fail: (error: unknown) => void;
  /** The lane's count of busy answers after which the job has waited long enough. */
  readonly giveUpAfter: number;
}

export class RetryLane {
  readonly #path: string;
  readonly #clock: Clock;
  readonly #jobs: Job[] = [];
  #busyAnswers = 0;
  /** Busy answers in a row: how long the next pause is. */
  #streak = 0;
  #pause: Timer | undefined;
  #closed = false;

  constructor(path: string, clock: Clock) {
    this.#path = path;
    this.#clock = clock;
  }

  /** Rejects with a `ServeError` when the attempt throws anything but "busy", or has been busy for too long. */
  run<T>(attempt: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(this.#unavailable("is closed in this process."));
      if (this.#jobs.length >= MAX_STORE_QUEUE)
        return reject(this.#unavailable(`has ${MAX_STORE_QUEUE} calls waiting.`));
      const fail = (error: unknown) => reject(toStoreError(error, this.#path));
      const tryNow = () => {
        try {
          resolve(attempt());
        } catch (error) {
          if (isBusy(error)) return { busy: error };
          fail(error);
        }
        return undefined;
      };
      this.#jobs.push({ tryNow, fail, giveUpAfter: this.#busyAnswers + STORE_BUSY_RETRIES });
      if (this.#jobs.length === 1) this.#next();
    });
  }

  /** Rejects what waits. Whether it took effect is known: it did not. */
  close(): void {
    this.#closed = true;
    this.#pause?.cancel();
    for (const job of this.#jobs.splice(0))
      job.fail(this.#unavailable("was closed in this process before its turn came."));
  }

  #next(): void {
    this.#pause = undefined;
    const until = this.#clock.now() + STORE_TURN_MS;
    for (let job = this.#jobs[0]; job !== undefined; job = this.#jobs[0]) {
      const answer = job.tryNow();
      if (answer !== undefined) {
        this.#wait(answer.busy);
        break;
      }
      this.#streak = 0;
      this.#jobs.shift();
      if (this.#jobs.length > 0 && this.#clock.now() >= until) {
        this.#continueIn(0);
        break;
      }
    }
  }

  #wait(busy: unknown): void {
    this.#busyAnswers += 1;
    while ((this.#jobs[0]?.giveUpAfter ?? Number.POSITIVE_INFINITY) <= this.#busyAnswers)
      this.#jobs.shift()?.fail(busy);
    const pauseMs = Math.min(STORE_BUSY_BACKOFF_MAX_MS, STORE_BUSY_BACKOFF_MIN_MS * 2 ** this.#streak);
    this.#streak += 1;
    if (this.#jobs.length > 0) this.#continueIn(pauseMs);
  }

  #continueIn(pauseMs: number): void {
    this.#pause = this.#clock.after(pauseMs, () => this.#next());
  }

  #unavailable(what: string): ServeError {
    return new ServeError("store-unavailable", `The store ${this.#path} ${what}`, { retryable: true });
  }
}
