/**
 * What a handler returned, as a reply: bytes that are all there, or a stream of parts. One table for HTTP, one for handles:
 *
 *   HTTP    undefined 204 · string text/plain · bytes application/octet-stream · Response itself · sse() and ndjson() as they say ·
 *           iterable of strings or bytes raw, of anything else NDJSON · everything else JSON
 *   handle  Response as an HTTP reply · async iterables, sse(), ndjson() as a stream of items · everything else one value
 *
 * Looks at the result only; nothing is iterated here (streams.ts).
 */
import { ndjsonOf, sseOf } from "../api/api.ts";
import { ServeError } from "../base/serve-error.ts";
import { MAX_EXCERPT_CHARS } from "../model/limits.ts";
import type { ReplyHead } from "../model/wire.ts";
import { encodeResult, jsonText } from "./result-bytes.ts";
import { bodyStream, itemStream, ndjsonStream, type PartStream, rawStream, sseStream } from "./streams.ts";

export type Reply =
  | { readonly kind: "whole"; readonly head: ReplyHead; readonly body: Uint8Array | undefined }
  | { readonly kind: "stream"; readonly stream: PartStream };

const NO_CONTENT: Reply = { kind: "whole", head: { kind: "http", status: 204, headers: [] }, body: undefined };
const TEXT: ReplyHead = { kind: "http", status: 200, headers: ["content-type", "text/plain; charset=utf-8"] };
const BYTES: ReplyHead = { kind: "http", status: 200, headers: ["content-type", "application/octet-stream"] };
const JSON_VALUE: ReplyHead = { kind: "http", status: 200, headers: ["content-type", "application/json"] };
const VALUE: ReplyHead = { kind: "value" };

/** @throws ServeError `result-invalid` */
export function replyOfHttp(result: unknown): Reply {
  switch (typeof result) {
    case "undefined":
      return NO_CONTENT;
    case "string":
      return { kind: "whole", head: TEXT, body: Buffer.from(result) };
    case "object":
      return result === null ? json(result) : replyOfObject(result);
    default:
      return json(result);
  }
}

/** @throws ServeError `result-invalid` */
export function replyOfValue(result: unknown): Reply {
  if (typeof result === "object" && result !== null) {
    if (isResponse(result)) return replyOfResponse(result);
    const items = sseOf(result)?.events ?? ndjsonOf(result)?.items ?? asyncIterableOf(result) ?? iteratorOf(result);
    if (items !== undefined) return { kind: "stream", stream: itemStream(items) };
  }
  return { kind: "whole", head: VALUE, body: encodeResult(result) };
}

function replyOfObject(result: object): Reply {
  if (result instanceof Uint8Array) return { kind: "whole", head: BYTES, body: result };
  if (isResponse(result)) return replyOfResponse(result);
  const events = sseOf(result);
  if (events !== undefined) return { kind: "stream", stream: sseStream(events) };
  const lines = ndjsonOf(result);
  if (lines !== undefined) return { kind: "stream", stream: ndjsonStream(lines.items) };
  if (Array.isArray(result)) return json(result);
  if (result instanceof ArrayBuffer) return { kind: "whole", head: BYTES, body: new Uint8Array(result) };
  if (ArrayBuffer.isView(result))
    return result instanceof DataView ? viewBytes(result) : json(Array.from(numbers(result)));
  if (isBlob(result)) return replyOfResponse(new Response(result));
  // Whoever says how it becomes JSON is not a stream.
  if (typeof (result as { readonly toJSON?: unknown }).toJSON !== "function") {
    const items = asyncIterableOf(result) ?? iterableOf(result);
    if (items !== undefined) return { kind: "stream", stream: rawStream(items) };
  }
  return json(result);
}

/** Spelt out as an array: `JSON.stringify` makes `{"0":…}` of a typed array. */
const numbers = (view: ArrayBufferView): Iterable<unknown> => view as unknown as Iterable<unknown>;

const viewBytes = (view: DataView): Reply => ({
  kind: "whole",
  head: BYTES,
  body: new Uint8Array(view.buffer, view.byteOffset, view.byteLength),
});

const json = (result: unknown): Reply => ({ kind: "whole", head: JSON_VALUE, body: Buffer.from(jsonText(result)) });

function replyOfResponse(response: Response): Reply {
  const { status, body } = response;
  if (response.bodyUsed) {
    throw new ServeError(
      "result-invalid",
      "the handler returned a Response whose body was read before. Return a new one.",
    );
  }
  if (!(Number.isInteger(status) && status >= 200 && status <= 599)) {
    throw new ServeError(
      "result-invalid",
      `the handler returned a Response of status ${String(status)}; it must be 200 to 599.`,
    );
  }
  const headers: string[] = [];
  // `set-cookie` comes once for each cookie.
  for (const [name, value] of response.headers) addHeader(headers, name, value);
  const head: ReplyHead = { kind: "http", status, headers };
  return body === null ? { kind: "whole", head, body: undefined } : { kind: "stream", stream: bodyStream(head, body) };
}

/** RFC 9110. `Headers` refuses the rest itself; what only looks like a Response may hold anything. */
const HEADER_NAME = /^[\w!#$%&'*+.^`|~-]+$/;
const HEADER_VALUE = /^[\t -~\x80-\xff]*$/;

/** Names in lower case: what becomes of a header goes by its name. */
function addHeader(headers: string[], name: unknown, value: unknown): void {
  if (typeof name !== "string" || !HEADER_NAME.test(name)) {
    throw new ServeError(
      "result-invalid",
      `the handler returned a Response with a header whose name HTTP does not allow: ${JSON.stringify(excerptOf(name))}.`,
    );
  }
  if (typeof value !== "string" || !HEADER_VALUE.test(value)) {
    throw new ServeError(
      "result-invalid",
      `the handler returned a Response whose header ${excerptOf(name)} has a value that HTTP does not allow. It must be a string without line breaks and characters above U+00FF; encodeURIComponent makes one of any text.`,
    );
  }
  headers.push(name.toLowerCase(), value);
}

const excerptOf = (name: unknown): string =>
  typeof name === "string" ? name.slice(0, MAX_EXCERPT_CHARS) : typeof name;

/**
 * Seen by its shape, so that one of another copy of the class counts too (a package's own, a framework's in the place of the global
 * one), and so that a replica whose code never makes one never loads the class: 80 ms in the middle of a first query.
 */
function isResponse(value: object): value is Response {
  const { status, headers, arrayBuffer } = value as Partial<Response>;
  return typeof arrayBuffer === "function" && typeof status === "number" && typeof headers?.forEach === "function";
}

function isBlob(value: object): value is Blob {
  const { size, stream, arrayBuffer } = value as Partial<Blob>;
  return typeof arrayBuffer === "function" && typeof size === "number" && typeof stream === "function";
}

const asyncIterableOf = (value: object): AsyncIterable<unknown> | undefined =>
  typeof (value as Partial<AsyncIterable<unknown>>)[Symbol.asyncIterator] === "function"
    ? (value as AsyncIterable<unknown>)
    : undefined;

const iterableOf = (value: object): Iterable<unknown> | undefined =>
  typeof (value as Partial<Iterable<unknown>>)[Symbol.iterator] === "function"
    ? (value as Iterable<unknown>)
    : undefined;

/** A running generator. Arrays, Maps and Sets are values, and cross as such. */
const iteratorOf = (value: object): Iterable<unknown> | undefined =>
  typeof (value as { readonly next?: unknown }).next === "function" ? iterableOf(value) : undefined;
