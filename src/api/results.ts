/**
 * The two results that say how an iterable is sent: `sse()` as server-sent events, `ndjson()` as lines of JSON.
 * They only mark the iterable and are read by the replica through `sseOf` and `ndjsonOf`; nothing is iterated here. The marks
 * hang on `Symbol.for`, so another copy of the package makes the same ones.
 */
import { ServeError } from "../base/serve-error.ts";

declare const sseBrand: unique symbol;
/** A result that is sent as `text/event-stream`. Through a handle it is a `Stream<T>`. */
export interface Sse<T> {
  readonly [sseBrand]: T;
}

/** An item of `sse()` that sets the event's own fields; any other item is the `data` of an event without them. */
export interface SseEvent<D> {
  readonly data: D;
  readonly event?: string | undefined;
  readonly id?: string | undefined;
}

declare const ndjsonBrand: unique symbol;
/** A result that is sent as `application/x-ndjson`. Through a handle it is a `Stream<T>`. */
export interface Ndjson<T> {
  readonly [ndjsonBrand]: T;
}

export interface SseOptions {
  /** A comment line is sent after this much silence, so that no proxy on the way closes the connection. Default: none. */
  readonly heartbeatMs?: number | undefined;
  /** Data of one last event when the iterable ends without an error: `[DONE]`. Default: none. */
  readonly done?: string | undefined;
}

/** What `sse()` was given. */
export interface SseResult {
  readonly events: AsyncIterable<unknown>;
  readonly heartbeatMs: number | undefined;
  readonly done: string | undefined;
}

/** What `ndjson()` was given. */
export interface NdjsonResult {
  readonly items: AsyncIterable<unknown> | Iterable<unknown>;
}

const SSE = Symbol.for("maitred/Sse");
const NDJSON = Symbol.for("maitred/Ndjson");

/**
 * Sends each item as one server-sent event: `return sse(this.generate(prompt), { done: "[DONE]" })`.
 * Strings are sent as they are, everything else as JSON. An error after the first byte becomes `event: error`.
 */
export function sse<T>(
  events: AsyncIterable<T>,
  options: { heartbeatMs?: number | undefined; done?: string | undefined } = {},
): Sse<T> {
  const { heartbeatMs, done } = options;
  if (!isAsyncIterable(events)) throw notIterable("sse", "an async iterable", events);
  if (heartbeatMs !== undefined && !(Number.isFinite(heartbeatMs) && heartbeatMs > 0)) {
    throw new ServeError("result-invalid", `sse(): heartbeatMs must be a positive number, got ${String(heartbeatMs)}`);
  }
  const result: SseResult = { events, heartbeatMs, done };
  return Object.freeze({ [SSE]: result }) as unknown as Sse<T>;
}

/** Sends each item as one line of JSON. */
export function ndjson<T>(items: AsyncIterable<T> | Iterable<T>): Ndjson<T> {
  if (!isAsyncIterable(items) && !isIterable(items)) throw notIterable("ndjson", "an iterable", items);
  const result: NdjsonResult = { items };
  return Object.freeze({ [NDJSON]: result }) as unknown as Ndjson<T>;
}

/** What stands behind a value that `sse()` made; undefined for every other value. */
export const sseOf = (value: unknown): SseResult | undefined => marked(value, SSE) as SseResult | undefined;

/** What stands behind a value that `ndjson()` made; undefined for every other value. */
export const ndjsonOf = (value: unknown): NdjsonResult | undefined => marked(value, NDJSON) as NdjsonResult | undefined;

export const isSse = (value: unknown): value is Sse<unknown> => sseOf(value) !== undefined;

export const isNdjson = (value: unknown): value is Ndjson<unknown> => ndjsonOf(value) !== undefined;

/** Whether an item of `sse()` is an `SseEvent`: has `data` and no members but the three of an event. */
export function isSseEvent(item: unknown): item is SseEvent<unknown> {
  if (typeof item !== "object" || item === null || !("data" in item)) return false;
  return Object.keys(item).every((key) => key === "data" || key === "event" || key === "id");
}

const marked = (value: unknown, mark: symbol): unknown =>
  typeof value === "object" && value !== null ? (value as Record<symbol, unknown>)[mark] : undefined;

const isAsyncIterable = (value: unknown): boolean => hasMember(value, Symbol.asyncIterator);

const isIterable = (value: unknown): boolean => hasMember(value, Symbol.iterator);

const hasMember = (value: unknown, key: symbol): boolean =>
  typeof value === "object" && value !== null && typeof (value as Record<symbol, unknown>)[key] === "function";

function notIterable(word: string, wanted: string, got: unknown): ServeError {
  const hint = typeof got === "function" ? " Call the generator function and pass what it returns." : "";
  const kind = got === null ? "null" : typeof got;
  return new ServeError(
    "result-invalid",
    `${word}() takes ${wanted}, such as a running generator; got ${kind}.${hint}`,
  );
}
