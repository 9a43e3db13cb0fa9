/**
 * The time from the command `run` to an app that serves: one signal ends whatever step is going on, because the user interrupts
 * it or because `--timeout` is over. In the second case the error says what was lacking. An import has a bound of its own when
 * nobody gives one; the steps behind it end by themselves.
 */
import { ServeError } from "../base/serve-error.ts";
import { MAX_TIMER_MS, PROBE_TIMEOUT_MS } from "../model/limits.ts";

export interface StartWindow {
  /** The import of the app file. */
  load<T>(step: (signal: AbortSignal) => Promise<T>): Promise<T>;
  /** @param lacking what had not happened when the time was over; ends a sentence. */
  step<T>(lacking: string | (() => string), step: (signal: AbortSignal) => Promise<T>): Promise<T>;
}

export const openStartWindow = (options: {
  readonly file: string;
  readonly timeoutMs: number | undefined;
  /** The command could have been given one for its imports. */
  readonly hasTimeout: boolean;
  readonly interrupted: AbortSignal;
}): StartWindow => {
  const { file, timeoutMs, hasTimeout, interrupted } = options;
  const late = timeoutMs === undefined ? undefined : AbortSignal.timeout(Math.min(timeoutMs, MAX_TIMER_MS));
  const signals = late === undefined ? [interrupted] : [interrupted, late];

  const within = async <T>(bound: Bound, step: (signal: AbortSignal) => Promise<T>): Promise<T> => {
    try {
      return await step(AbortSignal.any([...signals, ...(bound.over === undefined ? [] : [bound.over])]));
    } catch (error) {
      // Whoever is told to stop throws the reason that it is given.
      if (late !== undefined && error === late.reason) throw lateError(file, timeoutMs ?? 0, textOf(bound.lacking));
      if (bound.over !== undefined && error === bound.over.reason) throw importTooLong(file, hasTimeout);
      throw error;
    }
  };
  return {
    load: (step) => {
      const over = late === undefined ? AbortSignal.timeout(PROBE_TIMEOUT_MS) : undefined;
      return within({ lacking: "its import had not ended", over }, step);
    },
    step: (lacking, step) => within({ lacking, over: undefined }, step),
  };
};

interface Bound {
  readonly lacking: string | (() => string);
  /** The step's own, beside those of the window. */
  readonly over: AbortSignal | undefined;
}

const textOf = (lacking: string | (() => string)): string => (typeof lacking === "string" ? lacking : lacking());

const lateError = (file: string, timeoutMs: number, lacking: string): ServeError =>
  new ServeError(
    "run-timeout",
    `${file} did not serve within ${timeoutMs / 1_000} s (--timeout): ${lacking}. Nothing of it goes on; allow it more time, or look for what takes so long.`,
  );

const importTooLong = (file: string, hasTimeout: boolean): ServeError =>
  new ServeError(
    "module-load-failed",
    `module ${file}: its import did not end within ${PROBE_TIMEOUT_MS / 1_000} s. Load in start() what takes long${hasTimeout ? ", or allow more time with --timeout 2m" : ""}.`,
  );
