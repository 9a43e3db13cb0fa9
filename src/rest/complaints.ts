/**
 * What REST tells its process's log of requests: those that are refused at the door, because they are no HTTP, come from a web page or lack
 * the token, and those over which maitred itself fails. Strangers cause them, so there are only so many lines.
 */
import { LineBound } from "../base/line-bound.ts";
import type { ServeError } from "../base/serve-error.ts";
import { BREACH_WINDOW_MS, MOST_BREACH_LINES } from "../model/limits.ts";
import type { Clock } from "../ports/clock.ts";
import type { Log } from "../ports/log.ts";

export class Complaints {
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #refusals = newBound();
  readonly #bugs = newBound();

  constructor({ log, clock }: { readonly log: Log; readonly clock: Clock }) {
    this.#log = log;
    this.#clock = clock;
  }

  refused({ code, message }: ServeError): void {
    const line = this.#refusals.take(this.#clock.now());
    if (line !== undefined) this.#log.warn("request-refused", { code, reason: message, ...line });
  }

  /** Whoever sent the request learns nothing of it. */
  bug(error: unknown): void {
    const line = this.#bugs.take(this.#clock.now());
    if (line !== undefined) this.#log.error("request-failed", { error, ...line });
  }
}

const newBound = (): LineBound => new LineBound({ mostLines: MOST_BREACH_LINES, windowMs: BREACH_WINDOW_MS });
