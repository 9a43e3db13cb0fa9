/**
 * One router's connection to this replica: HELLO first, then frames. What does not fit the protocol closes this connection and no other:
 * the peer is told why, and the log gets one line, of which there are only so many. Frames that a turn of the event loop causes leave in
 * one write.
 */
import { IdTable } from "../base/id-table.ts";
import type { LineBound } from "../base/line-bound.ts";
import { ServeError } from "../base/serve-error.ts";
import { type FrameEnd, FrameWriter } from "../core/wire/frame-writer.ts";
import { type Frame, FrameDecoder, isProtocolError } from "../core/wire/frames.ts";
import { decodeCount, decodeHello, decodeQueryHead } from "../core/wire/heads.ts";
import { ERROR_CODES } from "../model/error-codes.ts";
import {
  GOODBYE_MS,
  MAX_EXCERPT_CHARS,
  MAX_REPLY_HOLD_MS,
  MAX_STREAMS_PER_CONNECTION,
  MAX_WIRE_BACKLOG_BYTES,
  WIRE_HELLO_TIMEOUT_MS,
  WIRE_PEER_IDLE_MS,
} from "../model/limits.ts";
import {
  FLAG_END,
  FRAME,
  type Hello,
  type QueryHead,
  type ReplyHead,
  WIRE_PROTOCOL,
  type WireFailure,
} from "../model/wire.ts";
import type { Instant, Timer } from "../ports/clock.ts";
import type { Socket, SocketEvents, Transport } from "../ports/transport.ts";
import type { Admission, Guest } from "./admission.ts";
import { Query, type QueryLine, type QueryWorld } from "./query.ts";
import type { PartStream } from "./streams.ts";

/** The server that accepted it. */
export interface ConnectionWorld extends QueryWorld {
  readonly hello: Hello;
  readonly admission: Admission;
  readonly transport: Transport;
  readonly isDraining: boolean;
  /** Shared by all connections: peers that break the protocol dial again. */
  readonly breaches: LineBound;
  queryStarted(): void;
  queryEnded(): void;
  connectionClosed(connection: Connection): void;
}

export class Connection implements SocketEvents, Guest, QueryLine {
  refusals = 0;
  heldSlots = 0;
  heldUntil: Instant = 0;
  lastTurn = 0;
  isBlocked = false;
  readonly #world: ConnectionWorld;
  readonly #socket: Socket;
  readonly #decoder = new FrameDecoder();
  readonly #writer = new FrameWriter();
  readonly #queries = new IdTable<Query>();
  /** For its HELLO, then for silence, at last for its goodbye. */
  #timer: Timer;
  #wasUsed = false;
  #state: "new" | "open" | "closed" = "new";
  #peer = "unknown";
  #lastStreamId = 0;
  /** The clock, as last read. */
  #now: Instant = 0;
  #turnBegan: Instant = 0;
  #willFlush = false;
  /** Written since the socket was full. */
  #backlogBytes = 0;

  constructor(world: ConnectionWorld, socket: Socket) {
    this.#world = world;
    this.#socket = socket;
    this.#timer = world.clock.after(WIRE_HELLO_TIMEOUT_MS, () =>
      this.#break(`no HELLO within ${WIRE_HELLO_TIMEOUT_MS} ms`),
    );
  }

  // ── from the socket
  onData(bytes: Uint8Array): void {
    if (this.#state === "closed") return;
    this.#wasUsed = true;
    this.#now = this.#world.clock.now();
    this.#turnBegan = this.#now;
    const problem = this.#decoder.push(bytes, this.#take);
    if (problem !== undefined) this.#break(problem.reason);
  }

  onDrain(): void {
    this.isBlocked = false;
    this.#backlogBytes = 0;
    this.#socket.resume();
    for (const query of this.#queries.values()) query.resume();
  }

  onClose(): void {
    this.#close();
    this.#timer.cancel();
  }

  // ── from the server
  /** No streams above the newest one are run; the router closes when it has its answers. */
  goAway(): void {
    if (this.#state !== "open") return;
    this.#writer.goaway(this.#lastStreamId);
    this.#flushSoon();
  }

  expireQueries(now: Instant): void {
    for (const query of this.#queries.values()) if (query.deadline <= now) query.expire();
  }

  destroy(): void {
    this.#close();
    this.#socket.destroy();
  }

  // ── from admission
  offerSlot(): void {
    this.#writer.slot();
    this.#flushSoon();
  }

  // ── from queries
  sendReply(streamId: number, head: ReplyHead, body: Uint8Array | undefined, end: FrameEnd): boolean {
    const fits = this.#writer.reply(streamId, head, body, end);
    this.#flushSoon();
    return fits;
  }

  sendData(streamId: number, body: Uint8Array | undefined, end: FrameEnd, parts: PartStream["parts"]): void {
    if (parts === "bytes") this.#writer.bytes(streamId, body, end);
    else this.#writer.data(streamId, body, end);
    this.#flushSoon();
  }

  sendFailure(streamId: number, failure: WireFailure): void {
    this.#writer.fail(streamId, failure);
    this.#flushSoon();
  }

  sendCredit(streamId: number, bytes: number): void {
    this.#writer.credit(streamId, bytes);
    this.#flushSoon();
  }

  endOfTurn(callback: () => void): void {
    this.#world.transport.endOfTurn(callback);
  }

  queryOver(streamId: number): void {
    if (!this.#queries.delete(streamId)) return;
    this.#world.admission.leave();
    this.#world.queryEnded();
  }

  // ── frames
  readonly #take = (frame: Frame): void => {
    // Frames of the same bytes, behind one that closed the connection, are not looked at.
    if (this.#state === "closed") return;
    const problem = this.#state === "new" ? this.#greet(frame) : this.#takeOpen(frame);
    if (problem !== undefined) this.#break(problem);
  };

  /** Answers, as all of these do, what is wrong with the frame: it completes "the peer sent …". */
  #greet(frame: Frame): string | undefined {
    if (frame.type !== FRAME.HELLO) return `a frame of type ${frame.type} before its HELLO`;
    const hello = decodeHello(frame.head);
    if (isProtocolError(hello)) return hello.reason;
    this.#peer = shown(hello.peer);
    const mismatch = mismatchOf(hello, this.#world.hello);
    if (mismatch !== undefined) {
      this.#refuse("peer-refused", `the HELLO of ${mismatch}`);
      return undefined;
    }
    this.#timer.cancel();
    this.#state = "open";
    this.#watchSilence();
    this.#writer.hello(this.#world.hello);
    if (this.#world.isDraining) this.#writer.goaway(0);
    this.#flushSoon();
    return undefined;
  }

  #takeOpen(frame: Frame): string | undefined {
    switch (frame.type) {
      case FRAME.QUERY:
        return this.#query(frame);
      case FRAME.DATA:
        return this.#data(frame);
      case FRAME.CREDIT:
        return this.#credit(frame);
      case FRAME.CANCEL:
        this.#queries.get(frame.streamId)?.cancel(cancelled("the caller does not wait for this query any more."));
        return undefined;
      case FRAME.PING:
        this.#writer.pong();
        this.#flushSoon();
        return undefined;
      case FRAME.PONG:
        return undefined;
      default:
        return `a frame of type ${frame.type}, which only replicas send`;
    }
  }

  #query(frame: Frame): string | undefined {
    const { streamId } = frame;
    if (streamId <= this.#lastStreamId) return `a query on stream ${streamId} behind ${this.#lastStreamId}`;
    if (this.#queries.size >= MAX_STREAMS_PER_CONNECTION) return "more open streams than allowed";
    this.#lastStreamId = streamId;
    if (this.#world.isDraining || !this.#world.admission.enter(this)) {
      const reason = this.#world.isDraining ? "draining" : "busy";
      this.#world.meters.refusals[reason].add();
      this.#writer.refuse(streamId, reason);
      this.#flushSoon();
      return undefined;
    }
    const head = decodeQueryHead(frame.head);
    if (isProtocolError(head)) {
      this.#world.admission.leave();
      return head.reason;
    }
    this.#start(frame, head);
    return undefined;
  }

  #start(frame: Frame, head: QueryHead): void {
    const { streamId, body } = frame;
    const query = new Query(this.#world, this, {
      streamId,
      head,
      body,
      rest: restOf(frame),
      receivedAt: this.#turnBegan,
    });
    this.#queries.add(streamId, query);
    this.#world.queryStarted();
    // Behind slow synchronous handlers of the same turn its time may be over before it begins.
    if (query.deadline <= this.#now) query.expire();
    else query.start();
    this.#now = this.#world.clock.now();
    // A handler that blocked the loop must not keep the replies before it from leaving.
    if (this.#now - this.#turnBegan > MAX_REPLY_HOLD_MS) this.#flush();
  }

  /** Parts of a query that has ended, or was refused, may still be on their way. */
  #data(frame: Frame): string | undefined {
    const isTaken = this.#queries.get(frame.streamId)?.body.add(frame.body, restOf(frame));
    return isTaken === false ? "more of a body than it had credit for" : undefined;
  }

  #credit(frame: Frame): string | undefined {
    const credit = decodeCount(frame.head);
    if (isProtocolError(credit)) return credit.reason;
    this.#queries.get(frame.streamId)?.addCredit(credit.count);
    return undefined;
  }

  // ── ends
  #break(what: string): void {
    if (this.#state !== "closed") this.#refuse("wire-protocol", what);
  }

  /** Ends the connection for what the peer sent, and says so to it and in the log. */
  #refuse(code: "wire-protocol" | "peer-refused", what: string): void {
    const { log, breaches, clock, hello } = this.#world;
    const line = breaches.take(clock.now());
    const event = code === "peer-refused" ? "wire-hello-refused" : "wire-connection-broken";
    if (line !== undefined) log.warn(event, { code, peer: this.#peer, reason: `the peer sent ${what}`, ...line });
    const message = `replica ${hello.replica} closes this connection: ${this.#peer} sent ${what}.`;
    this.#writer.fail(0, { code, status: ERROR_CODES[code].status, message });
    this.#flush();
    this.#close();
    this.#socket.end();
    // Who does not close in turn must not hold a descriptor for ever.
    this.#timer = clock.after(GOODBYE_MS, () => this.#socket.destroy());
  }

  #close(): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#timer.cancel();
    this.#world.admission.forget(this);
    const gone = cancelled("the connection of the caller was closed.");
    for (const query of this.#queries.values()) query.cancel(gone);
    this.#world.connectionClosed(this);
  }

  #flushSoon(): void {
    if (this.#willFlush) return;
    this.#willFlush = true;
    this.#world.transport.endOfTurn(this.#flush);
  }

  readonly #flush = (): void => {
    this.#willFlush = false;
    if (this.#state === "closed") return;
    const bytes = this.#writer.pendingBytes;
    if (!this.#socket.write(...this.#writer.take())) this.isBlocked = true;
    if (this.isBlocked) this.#backlogBytes += bytes;
    // Who does not read its answers gets no more of them to wait for. Streams have stopped long before.
    if (this.#backlogBytes > MAX_WIRE_BACKLOG_BYTES) this.#socket.pause();
  };

  #watchSilence(): void {
    this.#wasUsed = false;
    this.#timer = this.#world.clock.after(WIRE_PEER_IDLE_MS, () => {
      if (this.#wasUsed || this.#queries.size > 0) this.#watchSilence();
      else this.destroy();
    });
  }
}

const restOf = (frame: Frame): "complete" | "more" => ((frame.flags & FLAG_END) === 0 ? "more" : "complete");

const cancelled = (why: string): ServeError => new ServeError("query-cancelled", why);

/** Why the caller means somebody else; undefined = it means this replica. */
function mismatchOf(theirs: Hello, ours: Hello): string | undefined {
  if (theirs.protocol !== WIRE_PROTOCOL) return `protocol ${theirs.protocol}, and this is ${WIRE_PROTOCOL}`;
  if (theirs.instanceId !== ours.instanceId)
    return `instance ${shown(theirs.instanceId)}, and this is ${ours.instanceId}`;
  if (theirs.replica !== ours.replica) return `replica ${shown(theirs.replica)}, and this is ${ours.replica}`;
  if (theirs.incarnation !== ours.incarnation) {
    return `incarnation ${theirs.incarnation}, and this is ${ours.incarnation}`;
  }
  return undefined;
}

/** What a stranger calls things, for a sentence of one line. */
const shown = (name: string): string => {
  const line = name.slice(0, MAX_EXCERPT_CHARS).replace(/\p{C}/gu, "?");
  return name.length <= MAX_EXCERPT_CHARS ? line : `${line}…`;
};
