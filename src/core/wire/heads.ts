/**
 * The heads of frames: MessagePack arrays, their elements in the order written here. Written straight into the frame, read from the
 * view that the decoder gives. What does not fit is a `ProtocolError`.
 */
import { isTraceparent, type TraceContext } from "../../model/trace.ts";
import type { FlatHeaders, Hello, QueryHead, RefuseReason, ReplyHead, WireFailure } from "../../model/wire.ts";
import { type ProtocolError, protocolError } from "./frames.ts";
import { MalformedPack, PackReader } from "./pack-reader.ts";
import { readValue, writeValue } from "./pack-values.ts";
import { PackWriter } from "./pack-writer.ts";

const QUERY_KINDS = ["http", "door", "method"] as const;
const REPLY_KINDS = ["http", "value", "items"] as const;
const REFUSE_REASONS: readonly string[] = ["busy", "draining"] satisfies RefuseReason[];

/** A failure is told to people: beyond this its message is cut. */
const MAX_FAILURE_MESSAGE_CHARS = 8_000;
/** Beyond this the details of a failure are left out. */
const MAX_FAILURE_DETAILS_BYTES = 32_000;

// ── writing

export function writeHello(pack: PackWriter, hello: Hello): void {
  pack.arrayHead(5);
  pack.number(hello.protocol);
  pack.string(hello.instanceId);
  pack.string(hello.replica);
  pack.number(hello.incarnation);
  pack.string(hello.peer);
}

type WithoutStamp<H> = H extends QueryStamp ? Omit<H, keyof QueryStamp> : never;
/** What stays the same each time a query is sent. */
export type QueryFields = WithoutStamp<QueryHead>;
/** What may be different the next time. */
export type QueryStamp = Pick<QueryHead, "timeoutMs" | "isShadow">;

export function writeQueryHead(pack: PackWriter, head: QueryFields, stamp: QueryStamp): void {
  pack.arrayHead(head.kind === "http" ? 12 : head.kind === "door" ? 10 : 8);
  pack.number(QUERY_KINDS.indexOf(head.kind));
  pack.string(head.endpoint);
  pack.string(head.requestId);
  pack.number(stamp.timeoutMs);
  stringOrNil(pack, head.shardKey);
  pack.boolean(stamp.isShadow);
  if (head.trace === undefined) pack.nil();
  else {
    pack.arrayHead(2);
    pack.string(head.trace.traceparent);
    stringOrNil(pack, head.trace.tracestate);
  }
  switch (head.kind) {
    case "method":
      pack.string(head.name);
      break;
    case "door":
      pack.string(head.method);
      strings(pack, head.headers);
      stringMap(pack, head.query);
      break;
    default:
      pack.string(head.method);
      pack.string(head.url);
      stringMap(pack, head.params);
      strings(pack, head.headers);
      stringOrNil(pack, head.callMethod);
  }
}

export function writeReplyHead(pack: PackWriter, head: ReplyHead): void {
  pack.arrayHead(head.kind === "http" ? 3 : 1);
  pack.number(REPLY_KINDS.indexOf(head.kind));
  if (head.kind === "http") {
    pack.number(head.status);
    strings(pack, head.headers);
  }
}

/** Details that cannot cross, or are too large, are left out: the failure itself must arrive. */
export function writeFailure(pack: PackWriter, failure: WireFailure): void {
  pack.arrayHead(4);
  pack.number(failure.status);
  pack.string(failure.code);
  pack.string(cut(failure.message));
  const details = failure.details === undefined ? undefined : packedDetails(failure.details);
  if (details === undefined) pack.nil();
  else pack.raw(details);
}

function packedDetails(details: NonNullable<WireFailure["details"]>): Uint8Array | undefined {
  const pack = new PackWriter();
  try {
    writeValue(pack, details);
  } catch {
    // Whatever it was, from a function among the details to a throwing `toJSON`: the failure without details is the answer.
    return undefined;
  }
  const bytes = pack.take();
  return bytes.length > MAX_FAILURE_DETAILS_BYTES ? undefined : bytes;
}

const cut = (message: string): string =>
  message.length <= MAX_FAILURE_MESSAGE_CHARS ? message : `${message.slice(0, MAX_FAILURE_MESSAGE_CHARS)} …`;

function stringOrNil(pack: PackWriter, text: string | undefined): void {
  if (text === undefined) pack.nil();
  else pack.string(text);
}

function strings(pack: PackWriter, texts: readonly string[]): void {
  pack.arrayHead(texts.length);
  for (const text of texts) pack.string(text);
}

function stringMap(pack: PackWriter, map: Readonly<Record<string, string>>): void {
  const keys = Object.keys(map);
  pack.mapHead(keys.length);
  for (const key of keys) {
    pack.string(key);
    pack.string(map[key]!);
  }
}

// ── reading

export const decodeHello = (head: Uint8Array): Hello | ProtocolError => read("HELLO", head, readHello);

export const decodeQueryHead = (head: Uint8Array): QueryHead | ProtocolError => read("QUERY", head, readQueryHead);

export const decodeReplyHead = (head: Uint8Array): ReplyHead | ProtocolError => read("REPLY", head, readReplyHead);

export const decodeFailure = (head: Uint8Array): WireFailure | ProtocolError => read("FAIL", head, readFailure);

export const decodeRefuse = (head: Uint8Array): { readonly reason: RefuseReason } | ProtocolError =>
  read("REFUSE", head, (reader) => {
    expectLength(reader, 1);
    const reason = reader.string();
    if (!REFUSE_REASONS.includes(reason)) throw new MalformedPack("an unknown reason");
    return { reason: reason as RefuseReason };
  });

/** The number in the head of CREDIT (bytes) and GOAWAY (last stream id). */
export const decodeCount = (head: Uint8Array): { readonly count: number } | ProtocolError =>
  read("CREDIT or GOAWAY", head, (reader) => {
    expectLength(reader, 1);
    return { count: reader.count() };
  });

function read<T extends object>(frame: string, head: Uint8Array, decode: (reader: PackReader) => T): T | ProtocolError {
  try {
    const reader = new PackReader(head);
    const value = decode(reader);
    return reader.isAtEnd ? value : protocolError(`a ${frame} head with bytes behind its end`);
  } catch (error) {
    if (error instanceof MalformedPack) return protocolError(`a ${frame} head with ${error.message}`);
    throw error;
  }
}

function readHello(reader: PackReader): Hello {
  expectLength(reader, 5);
  return {
    protocol: reader.count(),
    instanceId: reader.string(),
    replica: reader.string(),
    incarnation: reader.count(),
    peer: reader.string(),
  };
}

function readQueryHead(reader: PackReader): QueryHead {
  const length = reader.arrayLength();
  const kind = QUERY_KINDS[reader.count()];
  if (length !== (kind === "http" ? 12 : kind === "door" ? 10 : kind === "method" ? 8 : 0)) {
    throw new MalformedPack("an unknown kind or a wrong number of elements");
  }
  const endpoint = reader.string();
  const requestId = reader.string();
  const timeoutMs = reader.number();
  const shardKey = reader.stringOrNil();
  const isShadow = reader.boolean();
  const trace = readTrace(reader);
  const text = reader.string();
  const base = { endpoint, requestId, timeoutMs, shardKey, isShadow, trace };
  switch (kind) {
    case "method":
      return { kind, ...base, name: text };
    case "door":
      return { kind, ...base, method: text, headers: readHeaders(reader), query: readStringMap(reader) };
    default:
      return {
        kind: "http",
        ...base,
        method: text,
        url: reader.string(),
        params: readStringMap(reader),
        headers: readHeaders(reader),
        callMethod: reader.stringOrNil(),
      };
  }
}

function readTrace(reader: PackReader): TraceContext | undefined {
  if (reader.takeNil()) return undefined;
  expectLength(reader, 2);
  const traceparent = reader.string();
  const tracestate = reader.stringOrNil();
  if (!isTraceparent(traceparent)) throw new MalformedPack("a malformed traceparent");
  return { traceparent, tracestate };
}

function readReplyHead(reader: PackReader): ReplyHead {
  const length = reader.arrayLength();
  const kind = REPLY_KINDS[reader.count()];
  if (kind === undefined || length !== (kind === "http" ? 3 : 1)) {
    throw new MalformedPack("an unknown kind or a wrong number of elements");
  }
  if (kind !== "http") return { kind };
  return { kind, status: reader.count(), headers: readHeaders(reader) };
}

function readFailure(reader: PackReader): WireFailure {
  expectLength(reader, 4);
  const status = reader.count();
  const code = reader.string();
  const message = reader.string();
  const details = readValue(reader);
  if (details === null) return { status, code, message };
  if (typeof details !== "object" || Array.isArray(details)) throw new MalformedPack("details that are not an object");
  return { status, code, message, details: details as Record<string, unknown> };
}

function readHeaders(reader: PackReader): FlatHeaders {
  const length = reader.arrayLength();
  if (length % 2 !== 0) throw new MalformedPack("a header without a value");
  const headers: string[] = [];
  for (let index = 0; index < length; index += 1) headers.push(reader.string());
  return headers;
}

function readStringMap(reader: PackReader): Record<string, string> {
  const length = reader.mapLength();
  const map: Record<string, string> = {};
  for (let index = 0; index < length; index += 1) {
    const key = reader.string();
    const value = reader.string();
    // An assignment to `__proto__` would change what the object is.
    if (key === "__proto__")
      Object.defineProperty(map, key, { value, enumerable: true, configurable: true, writable: true });
    else map[key] = value;
  }
  return map;
}

function expectLength(reader: PackReader, length: number): void {
  if (reader.arrayLength() !== length) throw new MalformedPack("a wrong number of elements");
}
