/**
 * One connection from a router to a replica: HELLO both ways, frames in and out, what is written in a turn of the event loop in one
 * piece. It opens at once, closes when it is idle, and tells its owner once how it ended. A peer that breaks the protocol costs
 * this connection and nothing else.
 */
import type { LentMemory } from "../base/lent-memory.ts";
import { FrameWriter } from "../core/wire/frame-writer.ts";
import { type Frame, FrameDecoder, isProtocolError, type ProtocolError } from "../core/wire/frames.ts";
import { decodeFailure, decodeHello } from "../core/wire/heads.ts";
import type { Address } from "../model/actor.ts";
import { WIRE_HELLO_TIMEOUT_MS, WIRE_IDLE_MS } from "../model/limits.ts";
import { FRAME, type Hello, WIRE_PROTOCOL } from "../model/wire.ts";
import type { Clock, Timer } from "../ports/clock.ts";
import type { Socket, Transport } from "../ports/transport.ts";
import type { WireMeters } from "./router-meters.ts";

export type WireEnd =
  /** It was idle. */
  | { readonly kind: "idle" }
  /** The peer went away, or was never there. */
  | { readonly kind: "gone"; readonly why: string }
  /** Somebody else answers at this address, or in another language. */
  | { readonly kind: "mismatch"; readonly why: string }
  /** The peer sent what no replica sends. */
  | { readonly kind: "broken"; readonly reason: string };

export interface WireEvents {
  /** Hellos are exchanged: queries may be written. */
  onReady(): void;
  /** Every frame but HELLO, PING and PONG. A ProtocolError breaks the connection. */
  onFrame(frame: Frame): ProtocolError | undefined;
  /** Once, and not after `close`; never inside the constructor. */
  onEnd(end: WireEnd): void;
  isIdle(): boolean;
}

export interface WirePorts {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly meters: WireMeters;
}

export class WireConnection {
  readonly writer = new FrameWriter();
  /** Of the newest stream on it; the owner counts. */
  lastStreamId = 0;
  /** The newest stream of which anything may have reached the peer. */
  carriedStreamId = 0;
  readonly #ports: WirePorts;
  readonly #hello: Hello;
  readonly #events: WireEvents;
  readonly #decoder = new FrameDecoder();
  readonly #socket: Socket;
  #state: "greeting" | "ready" | "ended" = "greeting";
  #willFlush = false;
  #timer: Timer;
  /** Set by every write; the idle timer looks whether it was. */
  #wasUsed = false;
  #wasHeard = false;

  constructor(ports: WirePorts, address: Address, what: { readonly hello: Hello; readonly events: WireEvents }) {
    this.#ports = ports;
    this.#hello = what.hello;
    this.#events = what.events;
    this.#timer = ports.clock.after(WIRE_HELLO_TIMEOUT_MS, () =>
      this.#finish({ kind: "gone", why: `no HELLO within ${WIRE_HELLO_TIMEOUT_MS} ms` }),
    );
    this.#socket = ports.transport.connect(address, {
      onData: (bytes) => this.#read(bytes),
      onLent: (bytes, memory) => this.#read(bytes, memory),
      onDrain: () => {},
      onClose: (error) => this.#closed(error),
    });
    this.writer.hello(what.hello);
    this.flushSoon();
  }

  get isReady(): boolean {
    return this.#state === "ready";
  }

  /** Whether anything came since the last time. */
  takeHeard(): boolean {
    const heard = this.#wasHeard;
    this.#wasHeard = false;
    return heard;
  }

  /** To be called after each write to `writer`. */
  flushSoon(): void {
    this.#wasUsed = true;
    if (this.#willFlush) return;
    this.#willFlush = true;
    this.#ports.transport.endOfTurn(this.#flush);
  }

  /** Sends what is written, then closes. Its owner hears no more of it. */
  close(): void {
    if (this.#state === "ended") return;
    this.#flush();
    this.#state = "ended";
    this.#timer.cancel();
    this.#socket.end();
  }

  readonly #flush = (): void => {
    this.#willFlush = false;
    if (this.#state === "ended") return;
    const bytes = this.writer.pendingBytes;
    this.#socket.write(...this.writer.take());
    // Nobody is there any more, and `onEnd` will follow.
    if (!this.#socket.isOpen) return;
    this.#ports.meters.sentBytes.add(bytes);
    this.carriedStreamId = this.lastStreamId;
  };

  #read(bytes: Uint8Array, memory?: LentMemory): void {
    if (this.#state === "ended") return;
    this.#wasHeard = true;
    this.#ports.meters.receivedBytes.add(bytes.length);
    const problem = this.#decoder.push(bytes, this.#onFrame, memory);
    if (problem !== undefined) this.#finish({ kind: "broken", reason: problem.reason });
  }

  readonly #onFrame = (frame: Frame): void => {
    // Frames of the same bytes, after one that ended the connection.
    if (this.#state === "ended") return;
    const end = isLastWord(frame) ? endOf(frame) : this.#state === "greeting" ? this.#greet(frame) : this.#take(frame);
    if (end !== undefined) this.#finish(end);
  };

  #take(frame: Frame): WireEnd | undefined {
    if (frame.type === FRAME.PING) {
      this.writer.pong();
      this.flushSoon();
      return undefined;
    }
    if (frame.type === FRAME.PONG) return undefined;
    const problem = this.#events.onFrame(frame);
    return problem === undefined ? undefined : { kind: "broken", reason: problem.reason };
  }

  #greet(frame: Frame): WireEnd | undefined {
    if (frame.type !== FRAME.HELLO) return { kind: "broken", reason: `a frame of type ${frame.type} before HELLO` };
    const hello = decodeHello(frame.head);
    if (isProtocolError(hello)) return { kind: "broken", reason: hello.reason };
    const why = mismatch(this.#hello, hello);
    if (why !== undefined) return { kind: "mismatch", why };
    this.#state = "ready";
    this.#timer.cancel();
    this.#watchIdle();
    this.#events.onReady();
    return undefined;
  }

  #watchIdle(): void {
    this.#timer = this.#ports.clock.after(WIRE_IDLE_MS, () => {
      if (!this.#wasUsed && this.#events.isIdle()) {
        this.close();
        this.#events.onEnd({ kind: "idle" });
        return;
      }
      this.#wasUsed = false;
      this.#watchIdle();
    });
  }

  /** Ends the connection from our side, for a reason that the owner must hear. */
  #finish(end: WireEnd): void {
    if (this.#state === "ended") return;
    this.#socket.destroy();
    this.#over(end);
  }

  #closed(error: Error | undefined): void {
    if (this.#state === "ended") return;
    const cut = this.#decoder.pendingBytes > 0 ? "its last frame was cut" : "it closed the connection";
    this.#over({ kind: "gone", why: error === undefined ? cut : error.message });
  }

  #over(end: WireEnd): void {
    this.#state = "ended";
    this.#timer.cancel();
    this.#events.onEnd(end);
  }
}

const isLastWord = ({ type, streamId }: Frame): boolean => type === FRAME.FAIL && streamId === 0;

/** The replica says why it ends the connection; of our HELLO it may say so instead of its own. */
function endOf(frame: Frame): WireEnd {
  const failure = decodeFailure(frame.head);
  if (isProtocolError(failure)) return { kind: "broken", reason: failure.reason };
  return { kind: failure.code === "peer-refused" ? "mismatch" : "gone", why: failure.message };
}

function mismatch(ours: Hello, theirs: Hello): string | undefined {
  if (theirs.protocol !== WIRE_PROTOCOL) return `it speaks protocol ${theirs.protocol}, we speak ${WIRE_PROTOCOL}`;
  if (theirs.instanceId !== ours.instanceId) return "it belongs to another instance";
  if (theirs.replica !== ours.replica) return `replica ${theirs.replica} answers there`;
  if (theirs.incarnation !== ours.incarnation) return `incarnation ${theirs.incarnation} answers there`;
  return undefined;
}
