/**
 * What a router takes and gives: one query, and the callbacks by which its answer comes. Callbacks instead of promises, because a
 * proxy passes answers on as they come and would only pay for the promise.
 */
import type { LentMemory } from "../base/lent-memory.ts";
import type { QueryFields } from "../core/wire/heads.ts";
import type { ReplyHead, WireFailure } from "../model/wire.ts";
import type { StreamedBody } from "./streamed-body.ts";

/** A body that is all there, or one that is still arriving. */
export type QueryBody = Uint8Array | StreamedBody | undefined;

/** `kind` and the fields of a query's head (model/wire.ts) but for the two that the router knows better. */
export type RouterQuery = QueryFields & {
  readonly body: QueryBody;
  /** From now to the last byte of the answer; undefined: the endpoint's, else the default. */
  readonly timeoutMs: number | undefined;
  /** An instant after which nobody waits, whatever `timeoutMs` and the endpoint say: the deadline of the query that this one is part of. */
  readonly notAfter?: number | undefined;
  /** Whether it may run twice, as the caller says; undefined: as the endpoint says. */
  readonly idempotent: boolean | undefined;
  /** GET, HEAD, OPTIONS: may always run twice. */
  readonly safeMethod: boolean;
};

/** Whether more of an answer follows. */
export type Part = "more" | "end";

/**
 * Where an answer goes. Exactly one of these ends it: `onReply` with "end", `onData` with "end", `onFailure`. After `cancel` none is
 * called. Never called inside `Router.send`. The bytes are views of what the socket delivered: nobody changes them, but what is kept
 * longer than the query should be copied, since a small view holds on to a large buffer.
 */
export interface ReplySink {
  onReply(head: ReplyHead, body: Uint8Array, part: Part): void;
  onData(bytes: Uint8Array, part: Part): void;
  /** Takes large parts in the place of `onData`, if it is there: the memory is only lent. */
  onLentData?(bytes: Uint8Array, part: Part, memory: LentMemory): void;
  /** Also after a reply has begun. */
  onFailure(failure: WireFailure): void;
  /** Bytes of a large answer that may be on their way to it, asked again and again; absent: FLOW_WINDOW_BYTES. */
  windowBytes?(): number;
}

/** A query on its way. */
export interface SentQuery {
  /** Nobody waits for the answer any more: the replica is told, the slot is free at once. */
  cancel(): void;
  /** So many bytes of the answer (of `onReply` and `onData`) are used up: the replica may send as many more. */
  consumed(bytes: number): void;
}
