/**
 * Time. An instant is monotonic milliseconds of this process; a timestamp is wall-clock milliseconds since 1970, for people only.
 * Timers call back later, never at once; `cancel` is safe at any time.
 */
import type { Instant, Timestamp } from "../base/time.ts";

export type { Instant, Timestamp } from "../base/time.ts";

export interface Timer {
  cancel(): void;
}

export interface Clock {
  now(): Instant;
  timestamp(): Timestamp;
  /** Calls back once, `delayMs` from now. */
  after(delayMs: number, callback: () => void): Timer;
}
