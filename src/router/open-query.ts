/**
 * One query on its way through a router: where it is, what may still be done with it, and the way back to who sent it. It ends
 * exactly once; after that every method is a no-op. It is the link of the deadline wheel's and the queue's lists, so that a query
 * costs one object.
 */

import type { LentMemory } from "../base/lent-memory.ts";
import { messageOf } from "../base/serve-error.ts";
import type { QueryStamp } from "../core/wire/heads.ts";
import { FLOW_WINDOW_BYTES, PART_MEMORY_SHARE, STREAM_WINDOW_BYTES } from "../model/limits.ts";
import type { ReplyHead, WireFailure } from "../model/wire.ts";
import type { WheelEntry } from "./deadline-wheel.ts";
import type { FlowingQuery } from "./flow-window.ts";
import type { Part, ReplySink, RouterQuery, SentQuery } from "./query-types.ts";
import { StreamedBody } from "./streamed-body.ts";

/** Where an open query waits or runs; each can give it up. */
export interface QueryPlace {
  /** The query was cancelled or its deadline passed: forget it. */
  abandon(query: OpenQuery, why: "cancelled" | "deadline"): void;
  /** What to say when the deadline passes here. */
  deadlineFailure(query: OpenQuery): WireFailure;
  /** More of the answer may come. */
  consumed(query: OpenQuery, bytes: number): void;
  /** More of its body has arrived. */
  bodyGrew(query: OpenQuery): void;
}

/** What every query of a router shares. */
export interface QueryOwner {
  /** The query is over: its deadline counts no more. */
  ended(query: OpenQuery, how: QueryEnd): void;
  /** A callback of the sender threw. */
  sinkThrew(query: OpenQuery, problem: string): void;
}

/** A failure is that of `onFailure`; `cancelled`: by whoever sent it. */
export type QueryEnd = "answered" | "cancelled" | WireFailure;

export interface QueryTimes {
  readonly deadline: number;
  readonly allowedMs: number;
}

export class OpenQuery implements SentQuery, WheelEntry<OpenQuery>, QueryStamp, FlowingQuery {
  readonly query: RouterQuery;
  readonly isShadow: boolean;
  /** May run again although it may have run. */
  readonly isRepeatable: boolean;
  readonly deadline: number;
  /** Time from `send` to the deadline. */
  readonly allowedMs: number;
  /** What is left of it at the moment of sending; written into the head. */
  timeoutMs = 0;
  /** undefined before the first place and when it is over. */
  place: QueryPlace | undefined;
  isDone = false;
  hasReply = false;
  refusals = 0;
  retries = 0;
  /** Set when it was sent for the first time. */
  wasSent = false;
  /** Stream on the connection of the replica that has it; 0: not sent there yet. */
  streamId = 0;
  /** Bytes of the body that were sent on this stream, and that may be. */
  bodySent = 0;
  bodyAllowed = 0;
  /** Its body when that is still arriving. */
  readonly upload: StreamedBody | undefined;
  /** The end of `upload` was sent on this stream. */
  uploadEnded = false;
  /** Bytes of the answer that may be on their way. */
  window = STREAM_WINDOW_BYTES;
  /** Bytes of it that were used up and not yet told to the replica. */
  unreported = 0;
  wheelNext: OpenQuery | undefined = undefined;
  wheelPrevious: OpenQuery | undefined = undefined;
  wheelSlot = -1;
  queueNext: OpenQuery | undefined = undefined;
  queuePrevious: OpenQuery | undefined = undefined;
  isQueued = false;
  /** It was in a queue, now or before. */
  hasWaited = false;
  readonly #owner: QueryOwner;
  readonly #sink: ReplySink;

  constructor(
    owner: QueryOwner,
    what: { readonly query: RouterQuery; readonly sink: ReplySink; readonly kind: "primary" | "shadow" },
    rules: QueryTimes & { readonly isRepeatable: boolean },
  ) {
    this.#owner = owner;
    this.#sink = what.sink;
    this.query = what.query;
    this.isShadow = what.kind === "shadow";
    this.deadline = rules.deadline;
    this.allowedMs = rules.allowedMs;
    this.isRepeatable = rules.isRepeatable;
    const { body } = what.query;
    this.upload = body instanceof StreamedBody ? body : undefined;
    if (this.upload !== undefined) this.upload.onGrown = () => this.place?.bodyGrew(this);
  }

  get endpoint(): string {
    return this.query.endpoint;
  }

  /** When the router got it. */
  get since(): number {
    return this.deadline - this.allowedMs;
  }

  /** The whole body can be sent once more. */
  get canReplay(): boolean {
    return this.upload === undefined || this.upload.canReplay;
  }

  /** @param place it goes there now; the one before has let go of it. */
  moveTo(place: QueryPlace): void {
    this.place = place;
  }

  reply(head: ReplyHead, body: Uint8Array, part: Part): void {
    if (this.isDone) return;
    this.hasReply = true;
    if (part === "end") this.#end("answered");
    try {
      this.#sink.onReply(head, body, part);
    } catch (error) {
      this.#owner.sinkThrew(this, messageOf(error));
    }
  }

  data(bytes: Uint8Array, part: Part, memory: LentMemory | undefined): void {
    if (this.isDone) return;
    if (part === "end") this.#end("answered");
    try {
      if (memory === undefined) this.#sink.onData(bytes, part);
      // A small part would keep much memory from being used again.
      else if (this.#sink.onLentData === undefined || bytes.length * PART_MEMORY_SHARE < memory.bytes) {
        this.#sink.onData(new Uint8Array(bytes), part);
      } else this.#sink.onLentData(bytes, part, memory);
    } catch (error) {
      this.#owner.sinkThrew(this, messageOf(error));
    }
  }

  fail(failure: WireFailure): void {
    if (this.isDone) return;
    this.#end(failure);
    try {
      this.#sink.onFailure(failure);
    } catch (error) {
      this.#owner.sinkThrew(this, messageOf(error));
    }
  }

  /** Fails when the caller's own code has returned: `Router.send` never calls back. */
  failSoon(failure: WireFailure): void {
    this.place = undefined;
    queueMicrotask(() => this.fail(failure));
  }

  cancel(): void {
    if (this.isDone) return;
    const { place } = this;
    this.#end("cancelled");
    place?.abandon(this, "cancelled");
  }

  wantedWindow(): number {
    return this.#sink.windowBytes?.() ?? FLOW_WINDOW_BYTES;
  }

  consumed(bytes: number): void {
    if (!this.isDone) this.place?.consumed(this, bytes);
  }

  deadlinePassed(): void {
    if (this.isDone) return;
    const { place } = this;
    if (place === undefined) return;
    const failure = place.deadlineFailure(this);
    place.abandon(this, "deadline");
    this.fail(failure);
  }

  #end(how: QueryEnd): void {
    this.isDone = true;
    this.place = undefined;
    this.upload?.close();
    this.#owner.ended(this, how);
  }
}
