/**
 * Waiting in tests: for a condition, with a deadline, never for a time to pass.
 * `healed` is the same for promises with a time limit: the limit times SLACK is the deadline, and what it took is printed.
 */

/**
 * Two cores shared with other test files, and perhaps with other work: a promise of 1 s is waited for up to 10 s, and what it took is
 * printed. How long something took proves nothing on a busy machine; that it happens does.
 */
const SLACK = 10;
const LOOK_INTERVAL_MS = 20;

type Found<T> = Exclude<T, undefined | false>;

/** Looks until `look` answers something (not undefined, not false). Rejects, naming `what` and the last error, at the deadline. */
export const waitFor = async <T>(what: string, look: () => T | Promise<T>, deadlineMs: number): Promise<Found<T>> => {
  const deadline = performance.now() + deadlineMs;
  for (;;) {
    let failure: unknown;
    try {
      const seen = await look();
      // What comes true only after the deadline came too late, also when one look took all the time.
      if (seen !== undefined && seen !== false && performance.now() <= deadline) return seen as Found<T>;
    } catch (error) {
      failure = error;
    }
    if (performance.now() > deadline) {
      throw new Error(`waited ${deadlineMs} ms in vain until ${what}`, { cause: failure });
    }
    await pause(LOOK_INTERVAL_MS);
  }
};

/** A promise of the product: true within `promisedMs`. Waits SLACK times as long and prints what it took. */
export const healed = async <T>(
  what: string,
  promise: { readonly sinceInstant: number; readonly promisedMs: number },
  look: () => T | Promise<T>,
): Promise<Found<T>> => {
  const found = await waitFor(what, look, promise.promisedMs * SLACK);
  const tookMs = performance.now() - promise.sinceInstant;
  printMeasured(what, `${Math.round(tookMs)} ms (promised: ${promise.promisedMs} ms)`);
  return found;
};

export const printMeasured = (what: string, value: string): void => {
  process.stdout.write(`  measured: ${what}: ${value}\n`);
};

/** Lets time pass while something else goes on (a load, a stopped process). Never a way to wait until something is true. */
export const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
