/**
 * A router's end of the wire for tests, one frame at a time: says hello, opens queries, collects what comes, gives credit or does not.
 * Real sockets, the real codec, and none of the router's judgement.
 */
import { createSocketTransport } from "../../src/adapters/socket-transport.ts";
import { END, FrameWriter, MORE } from "../../src/core/wire/frame-writer.ts";
import { type Frame, FrameDecoder, isProtocolError } from "../../src/core/wire/frames.ts";
import { decodeCount, decodeFailure, decodeHello, decodeRefuse, decodeReplyHead } from "../../src/core/wire/heads.ts";
import { decodeValue, encodeValue } from "../../src/core/wire/values.ts";
import type { Address } from "../../src/model/actor.ts";
import { FLAG_END, FRAME, type Hello, type QueryHead, type ReplyHead, type WireFailure } from "../../src/model/wire.ts";
import type { Socket } from "../../src/ports/transport.ts";

export interface Answer {
  readonly head: ReplyHead | undefined;
  readonly parts: readonly Uint8Array[];
  readonly failure: WireFailure | undefined;
  readonly refused: string | undefined;
}

interface Open {
  head: ReplyHead | undefined;
  parts: Uint8Array[];
  failure: WireFailure | undefined;
  refused: string | undefined;
  readonly credit: "given" | "kept";
  readonly onPart: (() => void) | undefined;
  readonly settle: (answer: Answer) => void;
}

export interface SentQuery {
  readonly streamId: number;
  readonly answer: Promise<Answer>;
  /** What has come so far. */
  readonly soFar: Answer;
}

const BASE = {
  endpoint: "e",
  requestId: "r-1",
  timeoutMs: 10_000,
  shardKey: undefined,
  isShadow: false,
  trace: undefined,
} as const;

export const httpHead = (head: Partial<Extract<QueryHead, { kind: "http" }>> = {}): QueryHead => ({
  ...{ ...BASE, kind: "http", method: "GET", url: "/", params: {}, headers: [], callMethod: undefined },
  ...head,
});

export const doorHead = (head: Partial<Extract<QueryHead, { kind: "door" }>> = {}): QueryHead => ({
  ...{ ...BASE, kind: "door", method: "POST", headers: [], query: {} },
  ...head,
});

export const methodHead = (name: string, head: Partial<Extract<QueryHead, { kind: "method" }>> = {}): QueryHead => ({
  ...{ ...BASE, kind: "method", name },
  ...head,
});

export class WireClient {
  /** Resolves at the peer's HELLO; rejects when the connection ends before. */
  readonly greeted: Promise<Hello>;
  readonly closed: Promise<void>;
  slots = 0;
  goAways: number[] = [];
  /** Why the replica ended the connection. */
  lastWord: WireFailure | undefined;
  onSlot: (() => void) | undefined;
  readonly writer = new FrameWriter();
  readonly #socket: Socket;
  readonly #decoder = new FrameDecoder();
  readonly #open = new Map<number, Open>();
  #credits = new Map<number, number>();
  #lastStreamId = 0;

  constructor(address: Address, hello: Hello | undefined) {
    const greeted = Promise.withResolvers<Hello>();
    const closed = Promise.withResolvers<void>();
    this.greeted = greeted.promise;
    this.greeted.catch(() => {});
    this.closed = closed.promise;
    this.#socket = createSocketTransport().connect(address, {
      onData: (bytes) => {
        const problem = this.#decoder.push(bytes, (frame) => this.#take(frame, greeted.resolve));
        if (problem !== undefined) throw new Error(problem.reason);
      },
      onDrain: () => {},
      onClose: () => {
        greeted.reject(new Error("closed before HELLO"));
        closed.resolve();
        for (const open of this.#open.values()) {
          open.settle({ ...open, failure: { status: 0, code: "closed", message: "the connection was closed" } });
        }
        this.#open.clear();
      },
    });
    if (hello === undefined) return;
    this.writer.hello(hello);
    this.flush();
  }

  /** Whole in one frame, or its first part. */
  send(
    head: QueryHead,
    options: Partial<Pick<Open, "credit" | "onPart">> & { body?: Uint8Array; more?: true } = {},
  ): SentQuery {
    this.#lastStreamId += 1;
    const streamId = this.#lastStreamId;
    const { promise, open } = this.#expect(streamId, options);
    this.writer.query(streamId, head, options.body, options.more === true ? MORE : END);
    this.flush();
    return { streamId, answer: promise, soFar: open };
  }

  /** The answer to a query that was written by hand. */
  awaitStream(streamId: number): Promise<Answer> {
    return this.#expect(streamId, {}).promise;
  }

  #expect(streamId: number, { credit = "given", onPart }: Partial<Pick<Open, "credit" | "onPart">>) {
    const { promise, resolve } = Promise.withResolvers<Answer>();
    const open: Open = {
      ...{ head: undefined, parts: [], failure: undefined, refused: undefined, credit, onPart },
      settle: resolve,
    };
    this.#open.set(streamId, open);
    return { promise, open };
  }

  /** A method call through a handle. */
  call(name: string, ...args: readonly unknown[]): Promise<Answer> {
    return this.send(methodHead(name), { body: encodeValue(args) }).answer;
  }

  /** Bytes of a query's body that its receiver has given credit for. */
  creditOf(streamId: number): number {
    return this.#credits.get(streamId) ?? 0;
  }

  flush(): void {
    this.#socket.write(...this.writer.take());
  }

  /** Reads nothing until `resume`. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  raw(bytes: Uint8Array): void {
    this.#socket.write(bytes);
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(frame: Frame, greet: (hello: Hello) => void): void {
    const open = this.#open.get(frame.streamId);
    switch (frame.type) {
      case FRAME.HELLO:
        greet(known(decodeHello(frame.head)));
        break;
      case FRAME.SLOT:
        this.slots += 1;
        this.onSlot?.();
        break;
      case FRAME.GOAWAY:
        this.goAways.push(known(decodeCount(frame.head)).count);
        break;
      case FRAME.CREDIT:
        this.#credits.set(frame.streamId, this.creditOf(frame.streamId) + known(decodeCount(frame.head)).count);
        break;
      case FRAME.REFUSE: {
        const { reason } = known(decodeRefuse(frame.head));
        if (open !== undefined) open.refused = reason;
        break;
      }
      case FRAME.REPLY:
        if (open !== undefined) open.head = known(decodeReplyHead(frame.head));
        break;
      case FRAME.FAIL:
        if (frame.streamId === 0) this.lastWord = known(decodeFailure(frame.head));
        else if (open !== undefined) open.failure = known(decodeFailure(frame.head));
        break;
      default:
        break;
    }
    if (open === undefined) return;
    if (frame.body.length > 0) {
      open.parts.push(frame.body);
      if (open.credit === "given") this.giveCredit(frame.streamId, frame.body.length);
      open.onPart?.();
    }
    if ((frame.flags & FLAG_END) === 0) return;
    this.#open.delete(frame.streamId);
    open.settle(open);
  }

  giveCredit(streamId: number, bytes: number): void {
    this.writer.credit(streamId, bytes);
    this.flush();
  }
}

export const bodyOf = (answer: Answer): Buffer => Buffer.concat(answer.parts);
export const textOf = (answer: Answer): string => bodyOf(answer).toString();
export const resultOf = (answer: Answer): unknown => {
  if (answer.failure !== undefined) throw new Error(`${answer.failure.code}: ${answer.failure.message}`);
  return decodeValue(new Uint8Array(bodyOf(answer)));
};
export const itemsOf = (answer: Answer): unknown[] => answer.parts.map((part) => decodeValue(part));

function known<T extends object>(value: T): Exclude<T, { kind: "protocol-error" }> {
  if (isProtocolError(value)) throw new Error(value.reason);
  return value as Exclude<T, { kind: "protocol-error" }>;
}
