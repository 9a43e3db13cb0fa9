/**
 * Reads the head of a request once: headers in lower case without those of the hop, the few that a proxy itself understands, and what
 * is wrong with it. Names are kept between requests, since clients send the same ones.
 */
import { CALL_METHOD_HEADER, REQUEST_ID_HEADER, SHARD_KEY_HEADER } from "../model/endpoint.ts";
import { MAX_HEADERS, MAX_KNOWN_HEADER_NAMES } from "../model/limits.ts";
import { TRACEPARENT_HEADER, type TraceContext, traceOf, withTrace } from "../model/trace.ts";
import type { FlatHeaders } from "../model/wire.ts";
import { isHost } from "./request-target.ts";

export interface RequestHead {
  readonly kind: "head";
  readonly headers: FlatHeaders;
  readonly host: string | undefined;
  readonly hasBody: boolean;
  /** Its declared length; undefined = none, or it comes in chunks. */
  readonly bodyBytes: number | undefined;
  readonly requestId: string | undefined;
  readonly callMethod: string | undefined;
  readonly shardKey: string | undefined;
  /** Well-formed; a malformed one is not in the headers either. */
  readonly trace: TraceContext | undefined;
}

/** Completes "the request …". */
export interface HeadProblem {
  readonly kind: "request-malformed" | "headers-too-large" | "upgrade-unsupported";
  readonly problem: string;
}

type Role =
  | "pass"
  | "hop"
  | "chunks"
  | "length"
  | "host"
  | "id"
  | "method"
  | "shard"
  | "trace"
  | "connection"
  | "upgrade";

interface KnownName {
  readonly name: string;
  readonly role: Role;
}

/** RFC 9110 7.6.1, and `expect`, which the edge has answered. */
const HOP = ["keep-alive", "proxy-connection", "te", "trailer", "expect", "proxy-authorization"];
const ROLES: ReadonlyMap<string, Role> = new Map<string, Role>([
  ...HOP.map((name) => [name, "hop"] as const),
  ["transfer-encoding", "chunks"],
  ["content-length", "length"],
  ["connection", "connection"],
  ["upgrade", "upgrade"],
  ["host", "host"],
  [REQUEST_ID_HEADER, "id"],
  [CALL_METHOD_HEADER, "method"],
  [SHARD_KEY_HEADER, "shard"],
  [TRACEPARENT_HEADER, "trace"],
]);

const REQUEST_ID = /^[A-Za-z0-9._:~+/=-]{1,128}$/;

export class HeadReader {
  readonly #known = new Map<string, KnownName>();

  read(rawHeaders: readonly string[], version: "1.0" | "1.1"): RequestHead | HeadProblem {
    if (rawHeaders.length > 2 * MAX_HEADERS) {
      return { kind: "headers-too-large", problem: `has more than ${MAX_HEADERS} header fields` };
    }
    const headers: string[] = [];
    let host: string | undefined;
    let requestId: string | undefined;
    let callMethod: string | undefined;
    let shardKey: string | undefined;
    let isTraced = false;
    let connection: string | undefined;
    let bodyBytes: number | undefined;
    let isChunked = false;
    for (let index = 0; index < rawHeaders.length; index += 2) {
      const { name, role } = this.#nameOf(rawHeaders[index]!);
      const value = rawHeaders[index + 1]!;
      switch (role) {
        case "hop":
          continue;
        case "chunks":
          // A coding that is not undone here would reach the handler unannounced; HTTP/1.0 has no chunks at all (RFC 9112 6.1).
          if (version === "1.0" || !/^\s*chunked\s*$/i.test(value)) {
            return { kind: "request-malformed", problem: `has a transfer coding other than chunks of HTTP/1.1` };
          }
          isChunked = true;
          continue;
        case "length":
          bodyBytes = Number(value);
          break;
        case "connection":
          connection = connection === undefined ? value : `${connection},${value}`;
          continue;
        case "upgrade":
          // Others, such as h2c, are offers that a server may pass over.
          if (/websocket/i.test(value)) {
            return { kind: "upgrade-unsupported", problem: "asks for a WebSocket, which is not served" };
          }
          continue;
        case "host":
          if (host !== undefined) return { kind: "request-malformed", problem: "has two Host headers" };
          if (!isHost(value)) return { kind: "request-malformed", problem: "has a Host header that names no host" };
          host = value;
          break;
        case "id":
          if (REQUEST_ID.test(value)) requestId = value;
          break;
        case "method":
          callMethod = value;
          break;
        case "shard":
          if (value !== "") shardKey = value;
          break;
        case "trace":
          isTraced = true;
          break;
        default:
          break;
      }
      headers.push(name, value);
    }
    const kept = connection === undefined ? headers : withoutNamed(headers, connection);
    const hasBody = isChunked || (bodyBytes !== undefined && bodyBytes > 0);
    const trace = isTraced ? traceOf(kept) : undefined;
    const told = isTraced ? withTrace(kept, trace) : kept;
    return { kind: "head", headers: told, host, hasBody, bodyBytes, requestId, callMethod, shardKey, trace };
  }

  #nameOf(raw: string): KnownName {
    const known = this.#known.get(raw);
    if (known !== undefined) return known;
    const name = raw.toLowerCase();
    const made = { name, role: ROLES.get(name) ?? "pass" };
    // What strangers invent must not fill the memory.
    if (this.#known.size < MAX_KNOWN_HEADER_NAMES) this.#known.set(raw, made);
    return made;
  }
}

/** Headers that `Connection` names are for this hop only; nearly always it names none. */
function withoutNamed(headers: string[], connection: string): FlatHeaders {
  if (/^\s*(keep-alive|close)\s*$/i.test(connection)) return headers;
  const named = new Set(connection.split(",").map((name) => name.trim().toLowerCase()));
  // Not to be hidden from the handler: what the request is about stays.
  for (const name of ["host", "content-length", "content-type"]) named.delete(name);
  const kept: string[] = [];
  for (let index = 0; index < headers.length; index += 2) {
    if (!named.has(headers[index]!)) kept.push(headers[index]!, headers[index + 1]!);
  }
  return kept;
}
