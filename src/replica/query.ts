/**
 * One query in its replica: runs the door or method, sends the result, is cancelled by its caller or its deadline. Ends exactly once;
 * what the handler does afterwards is not sent. A small query costs one object of this class, one context, and no promise of ours.
 */
import {
  endHandlerSpan,
  isTracing,
  QueryContext,
  type QueryFacts,
  type ReplicaFacts,
  runWithContext,
  type Span,
  startHandlerSpan,
} from "../api/api.ts";
import { suggestion } from "../base/did-you-mean.ts";
import { ServeError } from "../base/serve-error.ts";
import { END, type FrameEnd } from "../core/wire/frame-writer.ts";
import { decodeValue } from "../core/wire/values.ts";
import { STREAM_WINDOW_BYTES } from "../model/limits.ts";
import type { TraceContext } from "../model/trace.ts";
import type { QueryHead, ReplyHead, WireFailure } from "../model/wire.ts";
import type { Clock, Instant } from "../ports/clock.ts";
import type { Log } from "../ports/log.ts";
import type { Target } from "../target/target.ts";
import { failureOf, isForLog } from "./failures.ts";
import { type HandlerOutcome, outcomeOf, type ReplicaMeters } from "./replica-meters.ts";
import { type BodySource, RequestBody } from "./request-body.ts";
import { type Reply, replyOfHttp, replyOfValue } from "./results.ts";
import { IncomingRequest, parseJson, pathOf, type RequestQuery } from "./serve-request.ts";
import { type ReplySink, StreamReply } from "./stream-reply.ts";
import { type PartStream, wholeStream } from "./streams.ts";

/** What all queries of a replica share. */
export interface QueryWorld {
  readonly facts: ReplicaFacts;
  readonly target: Target;
  readonly clock: Clock;
  readonly log: Log;
  readonly meters: ReplicaMeters;
}

/** The query's line to its router. */
export interface QueryLine {
  readonly isBlocked: boolean;
  /** false: the head is too large, nothing was sent. */
  sendReply(streamId: number, head: ReplyHead, body: Uint8Array | undefined, end: FrameEnd): boolean;
  sendData(streamId: number, body: Uint8Array | undefined, end: FrameEnd, parts: PartStream["parts"]): void;
  sendFailure(streamId: number, failure: WireFailure): void;
  sendCredit(streamId: number, bytes: number): void;
  endOfTurn(callback: () => void): void;
  queryOver(streamId: number): void;
}

export interface OpenedQuery {
  readonly streamId: number;
  readonly head: QueryHead;
  readonly body: Uint8Array;
  readonly rest: "complete" | "more";
  readonly receivedAt: Instant;
}

export class Query implements QueryFacts, RequestQuery, BodySource, ReplySink {
  readonly body: RequestBody;
  readonly deadline: Instant;
  readonly #world: QueryWorld;
  readonly #line: QueryLine;
  readonly #streamId: number;
  readonly #receivedAt: Instant;
  readonly #head: QueryHead;
  readonly #context: QueryContext;
  /** When the user's code has OpenTelemetry. */
  readonly #span: Span | undefined;
  #reply: StreamReply | undefined;
  /** Of an HTTP reply whose head has left. */
  #status: number | undefined;
  #isOver = false;

  constructor(world: QueryWorld, line: QueryLine, opened: OpenedQuery) {
    this.#world = world;
    this.#line = line;
    this.#streamId = opened.streamId;
    this.#head = opened.head;
    this.#receivedAt = opened.receivedAt;
    this.body = new RequestBody(this, opened.body, opened.rest);
    this.deadline = opened.receivedAt + opened.head.timeoutMs;
    this.#context = new QueryContext(world.facts, this);
    this.#span = isTracing() ? this.#startSpan() : undefined;
  }

  // ── facts
  get requestId(): string {
    return this.#head.requestId;
  }
  get endpoint(): string {
    return this.#head.endpoint;
  }
  get shardKey(): string | undefined {
    return this.#head.shardKey;
  }
  get isShadow(): boolean {
    return this.#head.isShadow;
  }
  get trace(): TraceContext | undefined {
    return this.#span?.trace ?? this.#head.trace;
  }
  get signal(): AbortSignal {
    return this.#context.signal;
  }

  // ── life
  start(): void {
    const isStreamed = this.#head.kind === "http" && this.#head.callMethod === undefined;
    if (isStreamed || this.body.whole !== undefined) this.#run();
    else void this.#runWhenWhole();
  }

  /** Nobody waits any more: the signal fires, the slot is free at once. */
  cancel(reason: unknown): void {
    this.#stop(reason, "cancelled", undefined);
  }

  #stop(reason: unknown, outcome: "cancelled" | "expired", failure: WireFailure | undefined): void {
    if (this.#isOver) return;
    this.#end(outcome, failure);
    this.body.fail(reason);
    // Listeners of the signal are the handler's code too.
    this.run(() => this.#context.cancel(reason));
    this.#reply?.cancel();
  }

  expire(): void {
    const { endpoint, requestId } = this;
    const reason = new ServeError(
      "deadline-exceeded",
      `endpoint "${endpoint}": the query's deadline passed while its handler ran; request id ${requestId}. Raise timeoutMs, or stop early on context().signal.`,
      { details: { endpoint, replica: this.#world.facts.replicaTag } },
    );
    const failure = this.failureOf(reason);
    this.#line.sendFailure(this.#streamId, failure);
    this.#stop(reason, "expired", failure);
  }

  addCredit(bytes: number): void {
    this.#reply?.addCredit(bytes);
  }

  /** The connection has room again. */
  resume(): void {
    this.#reply?.resume();
  }

  // ── for the body and the streamed reply
  get clock(): Clock {
    return this.#world.clock;
  }
  get isBlocked(): boolean {
    return this.#line.isBlocked;
  }

  giveCredit(bytes: number): void {
    if (!this.#isOver) this.#line.sendCredit(this.#streamId, bytes);
  }

  sendReply(head: ReplyHead, body: Uint8Array | undefined, end: FrameEnd): void {
    if (!this.#line.sendReply(this.#streamId, head, body, end)) {
      const error = new ServeError("result-invalid", "the headers of the reply are larger than 64 KiB. Send less.");
      this.sendFailure(this.failureOf(error));
      this.#reply?.cancel();
      return;
    }
    if (head.kind === "http") this.#status = head.status;
    if (end === END) this.#end(outcomeOf(this.#status), undefined);
  }

  sendData(body: Uint8Array | undefined, end: FrameEnd, parts: PartStream["parts"]): void {
    this.#line.sendData(this.#streamId, body, end, parts);
    if (end === END) this.#end(outcomeOf(this.#status), undefined);
  }

  sendFailure(failure: WireFailure): void {
    this.#line.sendFailure(this.#streamId, failure);
    this.#end(outcomeOf(failure.status), failure);
  }

  failureOf(thrown: unknown): WireFailure {
    const { backendTag } = this.#world.facts;
    const { requestId, endpoint } = this;
    if (isForLog(thrown)) {
      this.#world.log.error("handler-failed", { requestId, endpoint, error: thrown });
      this.#span?.threw(thrown);
    }
    return failureOf(thrown, { requestId, backendTag, caller: this.#head.kind === "http" ? "http" : "handle" });
  }

  endOfTurn(callback: () => void): void {
    this.#line.endOfTurn(callback);
  }

  run<T>(code: () => T): T {
    const span = this.#span;
    return runWithContext(this.#context, span === undefined ? code : () => span.run(code));
  }

  // ── work
  async #runWhenWhole(): Promise<void> {
    try {
      // From here on `whole` holds what was read.
      await this.body.gather();
    } catch (error) {
      if (!this.#isOver) this.sendFailure(this.failureOf(error));
      return;
    }
    if (!this.#isOver) this.#run();
  }

  #run(): void {
    let result: unknown;
    try {
      result = this.run(() => this.#invoke());
    } catch (error) {
      this.#failed(error);
      return;
    }
    if (isThenable(result)) {
      result.then(
        (value) => this.#succeeded(value),
        (error) => this.#failed(error),
      );
    } else this.#succeeded(result);
  }

  #invoke(): unknown {
    const head = this.#head;
    const { target } = this.#world;
    switch (head.kind) {
      case "method":
        return this.#method(head.name, argumentsOf(this.body.whole!));
      case "door":
        if (target.offers.door === "fetch") throw this.#noDoor("a fetch door: call it with handle.fetch(request)");
        if (target.door === undefined) throw this.#noDoor("methods only");
        return target.door(new IncomingRequest(head, this));
      default:
        if (head.callMethod !== undefined) {
          const body = this.body.whole!;
          return this.#method(head.callMethod, body.length === 0 ? [] : [parseJson(body)]);
        }
        if (target.door === undefined) throw this.#noDoor("methods only, and no door for a request");
        if (target.offers.door === "fetch") return target.door(new IncomingRequest(head, this).toRequest());
        return target.door(new IncomingRequest(head, this));
    }
  }

  #method(name: string, args: readonly unknown[]): unknown {
    const { target, facts } = this.#world;
    if (target.has(name)) return target.run(name, args);
    const { methods } = target.offers;
    throw new ServeError(
      "method-unknown",
      `backend "${facts.backendTag}" has no method "${name}".${this.#head.kind === "http" ? "" : suggestion(name, methods)}`,
      { details: { backend: facts.backendTag, method: name } },
    );
  }

  #startSpan(): Span | undefined {
    const head = this.#head;
    const { endpoint, requestId, isShadow } = head;
    const facts = { ...this.#world.facts, isShadow };
    if (head.kind !== "http") {
      const name = head.kind === "method" ? head.name : "call";
      return startHandlerSpan({ kind: "rpc", name, endpoint, requestId }, facts, head.trace);
    }
    // Absolute through `handle.fetch`.
    const path = head.url.startsWith("/") ? pathOf(head.url) : (URL.parse(head.url)?.pathname ?? "");
    return startHandlerSpan({ kind: "http", method: head.method, path, endpoint, requestId }, facts, head.trace);
  }

  #noDoor(what: string): ServeError {
    const { backendTag } = this.#world.facts;
    return new ServeError("method-unknown", `backend "${backendTag}" has ${what}.`, {
      details: { backend: backendTag },
    });
  }

  #succeeded(result: unknown): void {
    if (this.#isOver) return;
    let reply: Reply;
    try {
      reply = this.#head.kind === "http" ? replyOfHttp(result) : replyOfValue(result);
    } catch (error) {
      this.#failed(error);
      return;
    }
    if (reply.kind === "whole" && (reply.body === undefined || reply.body.length <= STREAM_WINDOW_BYTES)) {
      this.sendReply(reply.head, reply.body, END);
      return;
    }
    const stream = reply.kind === "stream" ? reply.stream : wholeStream(reply.head, reply.body!);
    this.#reply = new StreamReply(this, stream);
    void this.#reply.send();
  }

  #failed(error: unknown): void {
    if (!this.#isOver) this.sendFailure(this.failureOf(error));
  }

  #end(outcome: HandlerOutcome, failure: WireFailure | undefined): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const { clock, meters } = this.#world;
    meters.of(this.#head).ended(outcome, clock.now() - this.#receivedAt);
    if (this.#span !== undefined) {
      const status = this.#head.kind === "http" ? (this.#status ?? failure?.status) : undefined;
      endHandlerSpan(this.#span, { status, failure });
    }
    this.#line.queryOver(this.#streamId);
  }
}

const isThenable = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === "object" && value !== null && typeof (value as Partial<PromiseLike<unknown>>).then === "function";

function argumentsOf(body: Uint8Array): readonly unknown[] {
  if (body.length === 0) return [];
  const args = decodeValue(body);
  if (Array.isArray(args)) return args;
  throw new ServeError("wire-protocol", "the peer sent arguments that are not an array.");
}
