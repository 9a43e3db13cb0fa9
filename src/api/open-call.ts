/**
 * One call through a handle while it is under way: makes the `CallResult` that the user holds and settles it.
 * The result is a plain promise with `cancel` and an iterator, so `await` costs what it costs for any promise. A call that fails
 * and that nobody awaits is silent: whoever iterates or cancels never sees the promise, and one forgotten `await` in a handler
 * must not end a replica with all its other queries.
 */
import { ServeError } from "../base/serve-error.ts";
import type { CallResult } from "./caller.ts";

type Writable<T> = { -readonly [K in keyof T]: T[K] };

export class OpenCall {
  readonly result: CallResult;
  readonly #resolve: (value: unknown) => void;
  readonly #reject: (error: unknown) => void;

  /** @param cancel ends the query; it is the caller's to reject the call then. */
  constructor(cancel: (reason: unknown) => void) {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const result = promise as Writable<CallResult>;
    result.cancel = cancel;
    result[Symbol.asyncIterator] = iterate;
    this.result = result;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  /** @param value the result, or an async iterable when the result is a stream. */
  resolve(value: unknown): void {
    this.#resolve(value);
  }

  reject(error: unknown): void {
    // Marks the promise as handled, on the failing path only.
    this.result.then(undefined, ignore);
    this.#reject(error);
  }
}

/** A call that was never made. */
export function failedCall(error: unknown): CallResult {
  const call = new OpenCall(ignore);
  call.reject(error);
  return call.result;
}

function ignore(): void {}

function iterate(this: CallResult): AsyncIterator<unknown> {
  return new StreamIterator(this);
}

/** Iterates a call whose result is a stream; leaving early cancels it. */
class StreamIterator implements AsyncIterator<unknown> {
  readonly #call: CallResult;
  #stream: AsyncIterator<unknown> | undefined;
  #isDone = false;

  constructor(call: CallResult) {
    this.#call = call;
  }

  next(): Promise<IteratorResult<unknown>> {
    if (this.#isDone) return Promise.resolve({ done: true, value: undefined });
    if (this.#stream !== undefined) return this.#stream.next();
    return this.#call.then((value) => {
      this.#stream ??= streamOf(value)[Symbol.asyncIterator]();
      return this.#stream.next();
    });
  }

  async return(): Promise<IteratorResult<unknown>> {
    this.#isDone = true;
    if (this.#stream?.return === undefined) this.#call.cancel();
    else await this.#stream.return();
    return { done: true, value: undefined };
  }
}

function streamOf(value: unknown): AsyncIterable<unknown> {
  if (typeof value === "object" && value !== null && Symbol.asyncIterator in value) {
    return value as AsyncIterable<unknown>;
  }
  throw new ServeError(
    "not-a-stream",
    "a call through a handle was iterated, but its result is one value. Use `await` instead of `for await`.",
  );
}
