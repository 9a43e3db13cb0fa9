/**
 * ports/clock.ts on the clocks of this process. Timers never call back early by the same clock that `now` reads, and take any
 * finite delay: Node's own come up to a millisecond early, and at once when the delay does not fit 31 bits. No delay means after what
 * the event loop has ready now: Node's timers would make a millisecond of it.
 */
import { MAX_TIMER_MS } from "../model/limits.ts";
import type { Clock, Timer } from "../ports/clock.ts";

export interface SystemClockOptions {
  /** Timers of at least this do not keep the process alive. Default: all do. */
  readonly unrefFromMs?: number | undefined;
}

export const createSystemClock = ({ unrefFromMs = Number.POSITIVE_INFINITY }: SystemClockOptions = {}): Clock => ({
  now: () => performance.now(),
  timestamp: () => Date.now(),
  after: (delayMs, callback) =>
    delayMs <= 0
      ? startImmediate(callback)
      : startTimer(performance.now() + delayMs, callback, delayMs < unrefFromMs ? "keeps alive" : "lets go"),
});

function startImmediate(callback: () => void): Timer {
  const armed = setImmediate(callback);
  return { cancel: () => clearImmediate(armed) };
}

function startTimer(due: number, callback: () => void, life: "keeps alive" | "lets go"): Timer {
  const arm = (): NodeJS.Timeout => {
    const delayMs = Math.min(MAX_TIMER_MS, Math.ceil(Math.max(0, due - performance.now())));
    const armed = setTimeout(() => {
      if (performance.now() >= due) callback();
      else timeout = arm();
    }, delayMs);
    return life === "lets go" ? armed.unref() : armed;
  };
  let timeout = arm();
  return { cancel: () => clearTimeout(timeout) };
}
