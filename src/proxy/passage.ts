/**
 * One HTTP request on its way through the proxy: from its exchange to the router and back. A small answer leaves in one piece; parts are
 * passed on as fast as the client takes them, and the replica is told so; a large body as fast as the replica takes it, and the client is
 * made to wait. The time of a query begins with its head, not with its body. The client gets exactly one answer, or a broken connection
 * when an answer broke off.
 */
import type { LentMemory } from "../base/lent-memory.ts";
import { ERROR_CODES } from "../model/error-codes.ts";
import { DEADLINE_TICK_MS, STREAM_WINDOW_BYTES } from "../model/limits.ts";
import type { ReplyHead, WireFailure } from "../model/wire.ts";
import type { Clock, Instant } from "../ports/clock.ts";
import type { Exchange, ExchangeEvents } from "../ports/http-edge.ts";
import {
  type BodyGiver,
  type DeadlineWheel,
  type Part,
  type QueryBody,
  type ReplySink,
  type Router,
  type RouterQuery,
  type SentQuery,
  StreamedBody,
  type WheelEntry,
  WideWindow,
} from "../router/router.ts";
import type { EdgeMeters, RequestMeters } from "./edge-meters.ts";
import { type ProblemAnswer, problemOf, problemOfFailure } from "./problems.ts";
import { responseHead } from "./response-head.ts";

export interface PassageWorld {
  readonly router: Router;
  readonly clock: Clock;
  readonly meters: EdgeMeters;
  readonly reasonOf: (status: number) => string;
  /** Holds the requests whose small body is still arriving: the router learns of them when it is whole. */
  readonly wheel: DeadlineWheel<Passage>;
}

/** A query whose body is filled in when it is read, and its deadline when that took long. */
export type HttpQuery = Omit<Extract<RouterQuery, { readonly kind: "http" }>, "body" | "notAfter"> & {
  body: QueryBody;
  notAfter: Instant | undefined;
};

/** What a request says of its body; undefined bytes: they come in chunks. */
export type AnnouncedBody = { readonly bytes: number | undefined } | undefined;

/** Statuses that have no body and no length. */
const isBodiless = (status: number): boolean => status === 204 || status === 304;

export class Passage implements ExchangeEvents, ReplySink, BodyGiver, WheelEntry<Passage> {
  deadline: Instant = 0;
  wheelNext: Passage | undefined = undefined;
  wheelPrevious: Passage | undefined = undefined;
  wheelSlot = -1;
  readonly #world: PassageWorld;
  readonly #exchange: Exchange;
  readonly #query: HttpQuery;
  readonly #meters: RequestMeters;
  readonly #since: Instant;
  #sent: SentQuery | undefined;
  #upload: StreamedBody | undefined;
  #state: "asking" | "answering" | "over" = "asking";
  /** Of the answer that has begun. */
  #status = 0;
  /** What the handler says the parts add up to. */
  #declaredBytes: number | undefined;
  #writtenBytes = 0;
  /** Written and not taken by the client. */
  #owedBytes = 0;
  /** Of a large answer. */
  #window: WideWindow | undefined;

  constructor(world: PassageWorld, exchange: Exchange, query: HttpQuery) {
    this.#world = world;
    this.#exchange = exchange;
    this.#query = query;
    this.#meters = world.meters.of(query.endpoint);
    this.#since = world.clock.now();
  }

  /** @param timeoutMs from now to the last byte of the answer. */
  start(announced: AnnouncedBody, timeoutMs: number): void {
    if (announced === undefined) this.#send(undefined);
    else if (announced.bytes !== undefined && announced.bytes <= STREAM_WINDOW_BYTES) {
      this.deadline = this.#since + timeoutMs;
      this.#world.wheel.add(this, this.#since);
      this.#exchange.readBody((body) => this.#bodyRead(body));
    } else this.#exchange.streamBody((bytes, part) => this.#bodyPart(bytes, part));
  }

  // ── from the client
  onGone(): void {
    this.#world.wheel.remove(this);
    if (this.#state !== "over") this.#meters.unanswered("gone", this.#takenMs());
    this.#state = "over";
    this.#sent?.cancel();
  }

  onDrain(): void {
    const owed = this.#owedBytes;
    this.#owedBytes = 0;
    this.#sent?.consumed(owed);
  }

  /** The small body is still not whole. */
  deadlinePassed(): void {
    if (this.#state !== "asking") return;
    const { endpoint } = this.#query;
    const timeoutMs = Math.round(this.deadline - this.#since);
    const code = "deadline-exceeded";
    const message = `endpoint "${endpoint}": no complete answer within ${timeoutMs} ms; the request's body was still arriving. Raise timeoutMs, or send it faster.`;
    const failure = { status: ERROR_CODES[code].status, code, message, details: { endpoint, timeoutMs } };
    this.#answer(code, problemOfFailure(failure, this.#facts()));
  }

  // ── from the body on its way to the replica
  onRoom(): void {
    this.#exchange.resumeBody();
  }

  onWanted(): void {
    this.#exchange.welcomeBody();
  }

  /** The answer, or the client's leaving, is the end of the body too. */
  onClosed(): void {}

  // ── from the replica
  onReply(head: ReplyHead, body: Uint8Array, part: Part): void {
    if (head.kind !== "http" || head.status < 200 || head.status > 599) {
      this.#giveUp("wire-protocol", "the replica answered with something that is no HTTP answer.");
      return;
    }
    const { headers, declaredBytes } = responseHead(head.headers);
    if (!headers.includes("x-request-id")) headers.push("x-request-id", this.#query.requestId);
    const isWhole = part === "end" || this.#query.method === "HEAD" || isBodiless(head.status);
    const wholeBytes = part === "end" ? body.length : undefined;
    // What a HEAD would have had counts; otherwise what is there counts more than what is said.
    const length = this.#query.method === "HEAD" ? (declaredBytes ?? wholeBytes) : (wholeBytes ?? declaredBytes);
    if (length !== undefined && !isBodiless(head.status)) headers.push("content-length", String(length));
    const isSent = isWhole ? this.#reply(head.status, headers, body, part) : this.#begin(head.status, headers);
    if (!isSent) {
      this.#giveUp("result-invalid", "the handler's answer has a status or header that HTTP does not allow.");
    } else if (!isWhole) {
      this.#declaredBytes = declaredBytes;
      this.#write(body);
    }
  }

  onLentData(bytes: Uint8Array, part: Part, memory: LentMemory): void {
    this.onData(bytes, part, memory);
  }

  onData(bytes: Uint8Array, part: Part, memory?: LentMemory): void {
    this.#write(bytes, memory);
    if (part === "end" && this.#state === "answering") this.#finish();
  }

  onFailure(failure: WireFailure): void {
    if (this.#state === "asking") this.#answer(failure.code, problemOfFailure(failure, this.#facts()));
    else if (this.#state === "answering") this.#cut();
  }

  windowBytes(): number {
    this.#window ??= this.#openWindow();
    return this.#window.bytes();
  }

  /** Open for as long as a part may wait for the client: a slow one still has much to take when the replica has sent the last. */
  #openWindow(): WideWindow {
    const window = new WideWindow(this.#world.router.flowBudget);
    this.#exchange.whenSent(() => window.close());
    return window;
  }

  #send(body: QueryBody): void {
    this.#query.body = body;
    this.#sent = this.#world.router.send(this.#query, this);
  }

  #bodyRead(body: Uint8Array): void {
    this.#world.wheel.remove(this);
    // What is left of the time. One that was there at once has all of it, to the millisecond that its endpoint says.
    if (this.#takenMs() >= DEADLINE_TICK_MS) this.#query.notAfter = this.deadline;
    this.#send(body);
  }

  #bodyPart(bytes: Uint8Array, part: Part): void {
    if (this.#sent === undefined && part === "end") {
      this.#send(bytes);
      return;
    }
    const isFirst = this.#upload === undefined;
    this.#upload ??= new StreamedBody(this);
    if (!this.#upload.add(bytes, part)) this.#exchange.pauseBody();
    if (isFirst) this.#send(this.#upload);
  }

  #reply(status: number, headers: string[], body: Uint8Array, part: Part): boolean {
    const hasBody = body.length > 0 && this.#query.method !== "HEAD" && !isBodiless(status);
    if (!this.#exchange.reply(status, headers, hasBody ? body : undefined)) return false;
    this.#answered(status);
    // Parts that nobody wants: of a HEAD, say.
    if (part === "more") this.#sent?.cancel();
    return true;
  }

  #begin(status: number, headers: string[]): boolean {
    if (!this.#exchange.begin(status, headers)) return false;
    this.#state = "answering";
    this.#status = status;
    return true;
  }

  #write(bytes: Uint8Array, memory?: LentMemory): void {
    if (bytes.length === 0 || this.#state !== "answering") return;
    this.#writtenBytes += bytes.length;
    if (this.#declaredBytes !== undefined && this.#writtenBytes > this.#declaredBytes) {
      // More than the client was told: it would take the rest for the next answer.
      this.#cut();
    } else if (this.#exchange.write(bytes, memory?.hold())) this.#sent?.consumed(bytes.length);
    else this.#owedBytes += bytes.length;
  }

  #finish(): void {
    if (this.#declaredBytes !== undefined && this.#writtenBytes !== this.#declaredBytes) {
      this.#cut();
      return;
    }
    this.#answered(this.#status);
    this.#exchange.end();
  }

  #giveUp(code: "wire-protocol" | "result-invalid", detail: string): void {
    this.#sent?.cancel();
    if (this.#state === "asking") this.#answer(code, problemOf(code, detail, this.#facts()));
    else this.#cut();
  }

  #answer(code: string, { status, headers, body }: ProblemAnswer): void {
    this.#answered(status);
    this.#world.meters.problem(code);
    headers.push("content-length", String(body.length));
    this.#exchange.reply(status, headers, this.#query.method === "HEAD" ? undefined : body);
  }

  #cut(): void {
    if (this.#state !== "over") this.#meters.unanswered("cut", this.#takenMs());
    this.#state = "over";
    this.#sent?.cancel();
    this.#exchange.cut();
  }

  #answered(status: number): void {
    this.#state = "over";
    this.#meters.answered(status, this.#takenMs());
  }

  #takenMs(): number {
    return this.#world.clock.now() - this.#since;
  }

  #facts() {
    return { requestId: this.#query.requestId, reasonOf: this.#world.reasonOf };
  }
}
