/**
 * ports/clock.ts on the clocks of this process. Timers never call back early by the same clock that `now` reads, and take any
 * finite delay: Node's own come up to a millisecond early, and at once when the delay does not fit 31 bits.
 */
import { MAX_TIMER_MS } from "../model/limits.ts";
import type { Clock, Timer } from "../ports/clock.ts";

export const createSystemClock = (): Clock => ({
  now: () => performance.now(),
  timestamp: () => Date.now(),
  after: (delayMs, callback) => startTimer(performance.now() + delayMs, callback),
});

function startTimer(due: number, callback: () => void): Timer {
  const arm = (): NodeJS.Timeout =>
    setTimeout(
      () => {
        if (performance.now() >= due) callback();
        else timeout = arm();
      },
      Math.min(MAX_TIMER_MS, Math.ceil(Math.max(0, due - performance.now()))),
    );
  let timeout = arm();
  return { cancel: () => clearTimeout(timeout) };
}
