/**
 * `batch()`: many calls with one item each become one call with many items.
 * A batch starts when it is full or when its time, which runs from its first item, is over; several may run side by side.
 * Works in a replica, where a cancelled query's item leaves the batch that has not started and the backend's configuration may
 * override size and wait, and in any other process. Per item: one promise and one small object; one timer a batch.
 */
import { suggestion } from "../base/did-you-mean.ts";
import { ServeError } from "../base/serve-error.ts";
import { DEFAULT_BATCH_WAIT_TIMEOUT_MS, DEFAULT_MAX_BATCH_SIZE, MAX_TIMER_MS } from "../model/limits.ts";
import { currentQuery } from "./context.ts";
import { type BatchReason, type ProcessRecord, processRecord } from "./process-record.ts";
import type { CancelListener, QueryContext } from "./query-context.ts";

export interface BatchOptions {
  /** Items at most; a full batch starts at once. Default 10. */
  readonly maxBatchSize?: number | undefined;
  /** From the first item to the start of a batch that is not full. Default 0: what arrived together, in one turn of the event loop. */
  readonly batchWaitTimeoutMs?: number | undefined;
}

export interface BatchContext {
  /** One for each item: aborts when the query that the item came from is cancelled. */
  readonly signals: readonly AbortSignal[];
}

type BatchFunction<I, O> = (items: I[], context: BatchContext) => readonly O[] | Promise<readonly O[]>;

const OPTION_NAMES: readonly string[] = ["maxBatchSize", "batchWaitTimeoutMs"];
const BATCHED = Symbol.for("maitred/batched");

/** Whether `batch()` made this function. */
export const isBatched = (value: unknown): boolean =>
  typeof value === "function" && (value as unknown as Record<symbol, unknown>)[BATCHED] === true;

/**
 * Items in, as many results out, in the same order; an `Error` in a slot fails that item alone. What `fn` throws fails all items
 * of the batch, and so does another number of results (`batch-wrong-length`).
 * As a class field (`predict = batch(async (rows: number[][]) => …)`) each object has batches of its own, and `this` is the object.
 */
export function batch<I, O>(
  fn: (items: I[], context: BatchContext) => readonly O[] | Promise<readonly O[]>,
  options: BatchOptions = {},
): (item: I) => Promise<Exclude<O, Error>> {
  if (typeof fn !== "function") {
    throw new ServeError("config-invalid", `batch() takes a function of a list of items, got ${typeof fn}`);
  }
  const record = processRecord();
  record.declaredBatches += 1;
  const batcher = new Batcher<I, O>(fn, parseOptions(options), record);
  const batched = function (this: unknown, item: I): Promise<Exclude<O, Error>> {
    return batcher.add(this, item);
  };
  Object.defineProperty(batched, BATCHED, { value: true });
  return batched;
}

interface ParsedOptions {
  readonly maxBatchSize: number;
  readonly batchWaitTimeoutMs: number;
}

function parseOptions(options: BatchOptions): ParsedOptions {
  const { maxBatchSize = DEFAULT_MAX_BATCH_SIZE, batchWaitTimeoutMs = DEFAULT_BATCH_WAIT_TIMEOUT_MS } = options;
  const problems: string[] = [];
  for (const key of Object.keys(options)) {
    if (!OPTION_NAMES.includes(key)) problems.push(`unknown option "${key}".${suggestion(key, OPTION_NAMES)}`);
  }
  if (!Number.isInteger(maxBatchSize) || maxBatchSize < 1) {
    problems.push(`maxBatchSize must be a positive whole number, got ${show(maxBatchSize)}`);
  }
  if (!(typeof batchWaitTimeoutMs === "number" && batchWaitTimeoutMs >= 0 && batchWaitTimeoutMs <= MAX_TIMER_MS)) {
    problems.push(`batchWaitTimeoutMs must be a number from 0 to ${MAX_TIMER_MS}, got ${show(batchWaitTimeoutMs)}`);
  }
  if (problems.length > 0) throw new ServeError("config-invalid", `batch(): ${problems.join("; ")}`);
  return { maxBatchSize, batchWaitTimeoutMs };
}

const show = (value: unknown): string =>
  typeof value === "string" ? `"${value}" (string)` : `${String(value)} (${typeof value})`;

/** The batches of one declared function: one that waits, any number that run. */
class Batcher<I, O> {
  readonly #fn: BatchFunction<I, O>;
  readonly #options: ParsedOptions;
  readonly #record: ProcessRecord;
  #waiting: Entry<I, O>[] = [];
  /** The `this` of the waiting batch. */
  #owner: unknown;
  /** When its first item came. */
  #since = 0;
  #stopTimer: (() => void) | undefined;

  constructor(fn: BatchFunction<I, O>, options: ParsedOptions, record: ProcessRecord) {
    this.#fn = fn;
    this.#options = options;
    this.#record = record;
  }

  add(owner: unknown, item: I): Promise<Exclude<O, Error>> {
    const query = currentQuery();
    return new Promise((resolve, reject) => {
      if (query?.isCancelled) {
        reject(query.cancelReason);
        return;
      }
      // One function shared by several objects (on a prototype): a batch belongs to one of them.
      if (owner !== this.#owner) this.flush("changed");
      const entry = new Entry<I, O>(this, { item, query, resolve, reject });
      query?.onCancel(entry);
      const size = this.#waiting.push(entry);
      this.#owner = owner;
      if (size === 1) this.#since = performance.now();
      const { maxBatchSize, batchWaitTimeoutMs } = query?.own?.batchOverrides ?? this.#record.batchOverrides;
      if (size >= (maxBatchSize ?? this.#options.maxBatchSize)) this.flush("full");
      else if (size === 1) this.#startTimer(batchWaitTimeoutMs ?? this.#options.batchWaitTimeoutMs);
    });
  }

  /** The entry's query was cancelled before its batch started. */
  leave(entry: Entry<I, O>): void {
    this.#waiting = this.#waiting.filter((other) => other !== entry);
    if (this.#waiting.length === 0) this.#endWait();
  }

  /** Starts the waiting batch, if there is one. */
  flush(reason: BatchReason): void {
    const [entries, owner] = [this.#waiting, this.#owner];
    this.#endWait();
    if (entries.length === 0) return;
    this.#record.batchStarted?.(reason, entries.length, performance.now() - this.#since);
    for (const entry of entries) entry.query?.offCancel(entry);
    void this.#run(entries, owner);
  }

  #startTimer(waitMs: number): void {
    this.#record.waitingBatches.add(this);
    if (waitMs === 0) {
      // Not a microtask: all the queries that one read of a socket brings belong together.
      const immediate = setImmediate(() => this.flush("timer"));
      this.#stopTimer = () => clearImmediate(immediate);
    } else {
      // A longer delay would fire at once; this one is for ever, as far as a query is concerned.
      const timeout = setTimeout(() => this.flush("timer"), Math.min(waitMs, MAX_TIMER_MS));
      this.#stopTimer = () => clearTimeout(timeout);
    }
  }

  #endWait(): void {
    this.#waiting = [];
    // Not to keep an object alive that nothing else holds.
    this.#owner = undefined;
    if (this.#stopTimer === undefined) return;
    this.#stopTimer();
    this.#stopTimer = undefined;
    this.#record.waitingBatches.delete(this);
  }

  async #run(entries: readonly Entry<I, O>[], owner: unknown): Promise<void> {
    const items = entries.map((entry) => entry.item);
    let results: readonly O[];
    try {
      // Whatever started this batch (a timer of the first item, the call that filled it), it belongs to no single query.
      results = await this.#record.scopes.run("batch", () => this.#fn.call(owner, items, new Signals(entries)));
      checkResults(results, entries.length);
    } catch (error) {
      for (const entry of entries) entry.reject(error);
      return;
    }
    for (let i = 0; i < entries.length; i++) entries[i]!.settle(results[i] as O);
  }
}

/** One item on its way through a batch. */
class Entry<I, O> implements CancelListener {
  readonly item: I;
  readonly query: QueryContext | undefined;
  readonly reject: (error: unknown) => void;
  readonly #resolve: (result: Exclude<O, Error>) => void;
  readonly #batcher: Batcher<I, O>;

  constructor(
    batcher: Batcher<I, O>,
    call: {
      readonly item: I;
      readonly query: QueryContext | undefined;
      readonly resolve: (result: Exclude<O, Error>) => void;
      readonly reject: (error: unknown) => void;
    },
  ) {
    this.item = call.item;
    this.query = call.query;
    this.reject = call.reject;
    this.#resolve = call.resolve;
    this.#batcher = batcher;
  }

  settle(result: O): void {
    if (result instanceof Error) this.reject(result);
    else this.#resolve(result as Exclude<O, Error>);
  }

  queryCancelled(reason: unknown): void {
    this.#batcher.leave(this);
    this.reject(reason);
  }
}

/** Makes the signals only for a batch function that looks at them. */
class Signals implements BatchContext {
  readonly #entries: readonly { readonly query: QueryContext | undefined }[];
  #signals: readonly AbortSignal[] | undefined;

  constructor(entries: readonly { readonly query: QueryContext | undefined }[]) {
    this.#entries = entries;
  }

  get signals(): readonly AbortSignal[] {
    this.#signals ??= this.#entries.map(({ query }) => query?.signal ?? new AbortController().signal);
    return this.#signals;
  }
}

function checkResults(results: unknown, itemCount: number): void {
  const isList = Array.isArray(results) || (ArrayBuffer.isView(results) && !(results instanceof DataView));
  if (!isList) {
    const got = results === null ? "null" : typeof results;
    throw new ServeError(
      "batch-wrong-length",
      `a batch function got ${itemCount} items and returned ${got} instead of an array. Return one result for each item, in the same order.`,
      { details: { items: itemCount } },
    );
  }
  const resultCount = (results as readonly unknown[]).length;
  if (resultCount === itemCount) return;
  throw new ServeError(
    "batch-wrong-length",
    `a batch function got ${itemCount} items and returned ${resultCount} results. Return one result for each item, in the same order; an Error in its place fails one item alone.`,
    { details: { items: itemCount, results: resultCount } },
  );
}
