/** A bound on how long somebody else's promise is waited for. */
import type { ServeError } from "../base/serve-error.ts";
import type { Clock } from "../ports/clock.ts";

/** Rejects with `late()` when the work takes longer; the work itself goes on, and what becomes of it is nobody's business any more. */
export function within<T>(
  clock: Clock,
  timeoutMs: number,
  work: { readonly promise: Promise<T>; readonly late: () => ServeError },
): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = clock.after(timeoutMs, () => reject(work.late()));
    const settle = <V>(done: (value: V) => void) => {
      return (value: V) => {
        timer.cancel();
        done(value);
      };
    };
    work.promise.then(settle(resolve), settle(reject));
  });
}
