/**
 * The wire between routers and replicas: frames over one connection per pair.
 *
 *   0        4      5       6            8           12
 *   | length | type | flags | headLength | streamId  | head … | body … |      integers little-endian
 *
 * `length` counts what follows its own four bytes. Heads are MessagePack arrays in the order of the types below; bodies are raw bytes.
 * A small query is one QUERY frame with END there, and one REPLY frame with END back. Stream ids are drawn by the router: 1, 2, 3 …
 */
import type { ErrorBody } from "./error-codes.ts";
import type { TraceContext } from "./trace.ts";

export const WIRE_PROTOCOL = 2;
export const FRAME_HEAD_BYTES = 12;

export const FRAME = {
  /** Both ways, first: head Hello. */
  HELLO: 1,
  /** Router → replica: opens a stream; head QueryHead, body = (first part of) the query's body. */
  QUERY: 2,
  /** Replica → router: head ReplyHead, body = (first part of) the result. */
  REPLY: 3,
  /** Both ways: a further part of a body. */
  DATA: 4,
  /** Both ways: the receiver takes that many more body bytes of this stream; head [bytes]. */
  CREDIT: 5,
  /** Router → replica: nobody waits for this query any more. */
  CANCEL: 6,
  /** Replica → router: the query was not started; head [reason]. `busy` registers this connection for a SLOT. */
  REFUSE: 7,
  /** Replica → router, stream 0: one slot is free and held for this router for a short time. */
  SLOT: 8,
  /** Replica → router, stream 0: no streams above the id in head [lastStreamId] will be run; finish the others, then close. */
  GOAWAY: 9,
  PING: 10,
  PONG: 11,
  /**
   * Replica → router: the query failed, before or after its REPLY; head WireFailure. Ends the stream. On stream 0, also before or instead
   * of HELLO: why the replica ends this connection (`wire-protocol`, `peer-refused`); the last frame.
   */
  FAIL: 12,
  /** Reserved. */
  WEBSOCKET: 15,
} as const;

export type FrameType = (typeof FRAME)[keyof typeof FRAME];

/** Flag: last frame of this direction of the stream. */
export const FLAG_END = 1;
/** Flag of DATA: its body is bytes of a longer body, not a value of its own; whoever gets it may give it on in pieces. */
export const FLAG_BYTES = 2;

export interface Hello {
  readonly protocol: number;
  readonly instanceId: string;
  /** The replica that the router means to reach, or that answers. */
  readonly replica: string;
  readonly incarnation: number;
  /** Who connects, for logs. */
  readonly peer: string;
}

/** Fields common to all queries. */
interface QueryBase {
  readonly endpoint: string;
  readonly requestId: string;
  /** What is left of the deadline when the frame is sent. */
  readonly timeoutMs: number;
  readonly shardKey: string | undefined;
  readonly isShadow: boolean;
  /** Where it belongs in somebody's trace. */
  readonly trace: TraceContext | undefined;
}

/** Flat `[name, value, name, value, …]`, names in lower case. */
export type FlatHeaders = readonly string[];

export type QueryHead = QueryBase &
  (
    | {
        /** From a proxy, or `handle.fetch(request)`: the reply is an HTTP reply. `callMethod`: an exposed method instead of the door. */
        readonly kind: "http";
        readonly method: string;
        /** Path and query as the handler sees them (after stripPrefix), absolute for `handle.fetch`. */
        readonly url: string;
        readonly params: Readonly<Record<string, string>>;
        readonly headers: FlatHeaders;
        readonly callMethod: string | undefined;
      }
    /** `handle(body, send)`: body is MessagePack; the reply is a value, an HTTP reply when the door returns a Response. */
    | {
        readonly kind: "door";
        readonly method: string;
        readonly headers: FlatHeaders;
        readonly query: Readonly<Record<string, string>>;
      }
    /** `handle.method(...args)`: body is MessagePack of the argument array; the reply is a value. */
    | { readonly kind: "method"; readonly name: string }
  );

export type ReplyHead =
  | { readonly kind: "http"; readonly status: number; readonly headers: FlatHeaders }
  /** Body is one MessagePack value. */
  | { readonly kind: "value" }
  /** Each DATA frame (and the REPLY's body when not empty) is one MessagePack value: a stream of items. */
  | { readonly kind: "items" };

export interface WireFailure extends ErrorBody {
  readonly status: number;
}

export type RefuseReason = "busy" | "draining";
