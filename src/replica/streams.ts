/**
 * Results that come in parts: what to send first, each part as bytes, what to send at the end and after an error. Pulls nothing by
 * itself: the query does (stream-reply.ts), as fast as its reader takes.
 */
import { isSseEvent, type SseResult } from "../api/api.ts";
import { ServeError } from "../base/serve-error.ts";
import { MAX_ITEM_BYTES } from "../model/limits.ts";
import type { FlatHeaders, ReplyHead, WireFailure } from "../model/wire.ts";
import { encodeResult, jsonText } from "./result-bytes.ts";

export interface PartStream {
  /** Sent at once; undefined = known with the first part. */
  readonly head: ReplyHead | undefined;
  /** `first` undefined: there is no part. */
  headFor(first: unknown): ReplyHead;
  readonly items: AsyncIterable<unknown> | Iterable<unknown>;
  /** @throws ServeError `result-invalid` */
  encode(item: unknown): Uint8Array;
  /** A part travels in one piece, as one value; otherwise bytes may be cut anywhere. */
  readonly parts: "values" | "bytes";
  /** Behind the last part. */
  readonly ending: Uint8Array | undefined;
  /** How the stream itself tells of an error; undefined = it cannot, and is cut. */
  readonly encodeFailure: ((failure: WireFailure) => Uint8Array) | undefined;
  /** Sent after this much silence. */
  readonly heartbeat: { readonly intervalMs: number; readonly bytes: Uint8Array } | undefined;
}

const http = (...headers: FlatHeaders): ReplyHead => ({ kind: "http", status: 200, headers });

const NDJSON = http("content-type", "application/x-ndjson");
const TEXT = http("content-type", "text/plain; charset=utf-8");
const BYTES = http("content-type", "application/octet-stream");
const SSE = http("content-type", "text/event-stream", "cache-control", "no-cache");
const ITEMS: ReplyHead = { kind: "items" };

const PLAIN = { ending: undefined, encodeFailure: undefined, heartbeat: undefined } as const;
const COMMENT = Buffer.from(":\n\n");

export const itemStream = (items: AsyncIterable<unknown> | Iterable<unknown>): PartStream => ({
  ...PLAIN,
  head: undefined,
  headFor: () => ITEMS,
  items,
  encode: encodeItem,
  parts: "values",
});

export const ndjsonStream = (items: AsyncIterable<unknown> | Iterable<unknown>): PartStream => ({
  ...PLAIN,
  head: undefined,
  headFor: () => NDJSON,
  items,
  encode: encodeLine,
  parts: "bytes",
});

/** Strings and bytes as they are, anything else as lines of JSON; the first one decides what the stream is called. */
export const rawStream = (items: AsyncIterable<unknown> | Iterable<unknown>): PartStream => ({
  ...PLAIN,
  head: undefined,
  headFor: (first) => (typeof first === "string" ? TEXT : bytesOf(first) === undefined ? NDJSON : BYTES),
  items,
  encode: (item) => (typeof item === "string" ? Buffer.from(item) : (bytesOf(item) ?? encodeLine(item))),
  parts: "bytes",
});

/** The body of a Response. */
export const bodyStream = (head: ReplyHead, body: AsyncIterable<unknown>): PartStream => ({
  ...PLAIN,
  head: undefined,
  headFor: () => head,
  items: body,
  encode: (item) => {
    const bytes = typeof item === "string" ? Buffer.from(item) : bytesOf(item);
    if (bytes === undefined) {
      throw new ServeError("result-invalid", `the body of a Response holds a ${typeof item}; it must be bytes.`);
    }
    return bytes;
  },
  parts: "bytes",
});

/** A result that is all there and larger than a window. */
export const wholeStream = (head: ReplyHead, body: Uint8Array): PartStream => {
  const isHttp = head.kind === "http" && !head.headers.includes("content-length");
  const sized = isHttp ? { ...head, headers: [...head.headers, "content-length", String(body.length)] } : head;
  return { ...PLAIN, head: undefined, headFor: () => sized, items: [body], encode: () => body, parts: "bytes" };
};

export const sseStream = ({ events, heartbeatMs, done }: SseResult): PartStream => ({
  head: SSE,
  headFor: () => SSE,
  items: events,
  encode: encodeEvent,
  parts: "bytes",
  ending: done === undefined ? undefined : Buffer.from(eventText({ data: done })),
  encodeFailure: ({ code, message }) =>
    Buffer.from(eventText({ event: "error", data: JSON.stringify({ code, message }) })),
  heartbeat: heartbeatMs === undefined ? undefined : { intervalMs: heartbeatMs, bytes: COMMENT },
});

function encodeItem(item: unknown): Uint8Array {
  const bytes = encodeResult(item);
  if (bytes.length <= MAX_ITEM_BYTES) return bytes;
  throw new ServeError(
    "result-invalid",
    `an item of a streamed result is ${bytes.length} bytes; at most ${MAX_ITEM_BYTES} are allowed. Yield smaller ones.`,
  );
}

function bytesOf(item: unknown): Uint8Array | undefined {
  if (item instanceof Uint8Array) return item;
  if (item instanceof ArrayBuffer) return new Uint8Array(item);
  if (ArrayBuffer.isView(item)) return new Uint8Array(item.buffer, item.byteOffset, item.byteLength);
  return undefined;
}

const encodeLine = (item: unknown): Uint8Array => Buffer.from(`${jsonText(item)}\n`);

function encodeEvent(item: unknown): Uint8Array {
  if (!isSseEvent(item)) return Buffer.from(eventText({ data: dataOf(item) }));
  return Buffer.from(eventText({ data: dataOf(item.data), event: item.event, id: item.id }));
}

const dataOf = (data: unknown): string => (typeof data === "string" ? data : jsonText(data));

interface EventText {
  readonly data: string;
  readonly event?: string | undefined;
  readonly id?: string | undefined;
}

/** https://html.spec.whatwg.org/multipage/server-sent-events.html: each line of the data is a field of its own. */
function eventText({ data, event, id }: EventText): string {
  const lines = data.split(/\r\n|\r|\n/);
  return `${field("event", event)}${field("id", id)}${lines.map((line) => `data: ${line}\n`).join("")}\n`;
}

/** A line break in a name would begin another field. */
const field = (name: string, value: string | undefined): string =>
  value === undefined ? "" : `${name}: ${String(value).replace(/[\r\n]+/g, " ")}\n`;
