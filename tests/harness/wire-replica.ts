/**
 * A replica's end of the wire for tests, with a script instead of user code: real unix sockets, the real codec, and none of the replica's
 * judgement. What comes is collected; what is answered, refused, cut or garbled is the test's to say.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createSocketTransport } from "../../src/adapters/socket-transport.ts";
import { END, type FrameEnd, FrameWriter, MORE } from "../../src/core/wire/frame-writer.ts";
import { type Frame, FrameDecoder, isProtocolError } from "../../src/core/wire/frames.ts";
import { decodeCount, decodeHello, decodeQueryHead } from "../../src/core/wire/heads.ts";
import { decodeValue, encodeValue } from "../../src/core/wire/values.ts";
import type { Address } from "../../src/model/actor.ts";
import { actorName } from "../../src/model/ids.ts";
import type { ReplicaEntry } from "../../src/model/longpoll.ts";
import {
  FLAG_END,
  FRAME,
  type Hello,
  type QueryHead,
  type RefuseReason,
  type ReplyHead,
  WIRE_PROTOCOL,
  type WireFailure,
} from "../../src/model/wire.ts";
import type { Listening, Socket } from "../../src/ports/transport.ts";
import { waitFor } from "./wait-for.ts";

const DEADLINE_MS = 5_000;

export interface WireReplicaOptions {
  readonly backend?: string | undefined;
  readonly ordinal?: number | undefined;
  readonly incarnation?: number | undefined;
  readonly instanceId?: string | undefined;
  /** Said instead of the true hello. */
  readonly hello?: Partial<Hello> | undefined;
  /** Does not say hello at all. */
  readonly silent?: true | undefined;
  /** Default: collects and does nothing. */
  readonly onQuery?: ((query: WireQuery) => void) | undefined;
}

export class WireReplica {
  readonly entry: ReplicaEntry;
  readonly lines: WireLine[] = [];
  /** Every QUERY frame that came, in order. */
  readonly queries: WireQuery[] = [];
  onQuery: (query: WireQuery) => void;
  readonly #folder: string;
  #listening: Listening | undefined;

  constructor(folder: string, entry: ReplicaEntry, onQuery: (query: WireQuery) => void) {
    this.#folder = folder;
    this.entry = entry;
    this.onQuery = onQuery;
  }

  static async start(options: WireReplicaOptions = {}): Promise<WireReplica> {
    const { backend = "b", ordinal = 1, incarnation = 1, instanceId = "i-1" } = options;
    const folder = mkdtempSync(join(tmpdir(), "maitred-wire-"));
    const replica = actorName(backend, ordinal);
    const address: Address = `unix:${join(folder, "r.sock")}`;
    const started = new WireReplica(folder, { replica, incarnation, address }, options.onQuery ?? (() => {}));
    const hello = { protocol: WIRE_PROTOCOL, instanceId, replica, incarnation, peer: replica, ...options.hello };
    await started.#listen(address, options.silent === true ? undefined : hello);
    return started;
  }

  /** Lines that are open now. */
  get open(): readonly WireLine[] {
    return this.lines.filter((line) => !line.isClosed);
  }

  async received(count: number): Promise<readonly WireQuery[]> {
    await waitFor(`${count} queries came to ${this.entry.replica}`, () => this.queries.length >= count, DEADLINE_MS);
    return this.queries;
  }

  /** As kill -9: every connection is cut, nobody accepts any more. */
  async die(): Promise<void> {
    await this.#listening?.close();
    for (const line of this.lines) line.destroy();
  }

  async close(): Promise<void> {
    await this.die();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #listen(address: Address, hello: Hello | undefined): Promise<void> {
    this.#listening = await createSocketTransport().listen(address, (socket) => {
      const line = new WireLine(socket, hello, (query) => {
        this.queries.push(query);
        this.onQuery(query);
      });
      this.lines.push(line);
      return line;
    });
  }
}

/** One router's connection. */
export class WireLine {
  readonly writer = new FrameWriter();
  hello: Hello | undefined;
  isClosed = false;
  /** Types of the frames that came. */
  readonly frameTypes: number[] = [];
  /** As a process whose event loop stands: pings are not answered. */
  isDeaf = false;
  /** Pieces in which they came. */
  chunks = 0;
  /** Bytes of credit that the router gave, by stream. */
  readonly credits = new Map<number, number>();
  readonly #socket: Socket;
  readonly #ours: Hello | undefined;
  readonly #decoder = new FrameDecoder();
  readonly #queries = new Map<number, WireQuery>();
  readonly #onQuery: (query: WireQuery) => void;

  constructor(socket: Socket, ours: Hello | undefined, onQuery: (query: WireQuery) => void) {
    this.#socket = socket;
    this.#ours = ours;
    this.#onQuery = onQuery;
  }

  onData(bytes: Uint8Array): void {
    this.chunks += 1;
    const problem = this.#decoder.push(bytes, (frame) => this.#take(frame));
    if (problem !== undefined) throw new Error(problem.reason);
  }

  onDrain(): void {}

  onClose(): void {
    this.isClosed = true;
  }

  flush(): void {
    this.#socket.write(...this.writer.take());
  }

  slot(): void {
    this.writer.slot();
    this.flush();
  }

  goAway(lastStreamId: number): void {
    this.writer.goaway(lastStreamId);
    this.flush();
  }

  raw(bytes: Uint8Array): void {
    this.#socket.write(bytes);
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #take(frame: Frame): void {
    this.frameTypes.push(frame.type);
    switch (frame.type) {
      case FRAME.HELLO: {
        this.hello = known(decodeHello(frame.head));
        if (this.#ours === undefined) return;
        this.writer.hello(this.#ours);
        this.flush();
        return;
      }
      case FRAME.QUERY: {
        const query = new WireQuery(this, frame, known(decodeQueryHead(frame.head)));
        this.#queries.set(frame.streamId, query);
        this.#onQuery(query);
        return;
      }
      case FRAME.DATA:
        this.#queries.get(frame.streamId)?.add(frame);
        return;
      case FRAME.CANCEL:
        this.#queries.get(frame.streamId)?.cancelled();
        return;
      case FRAME.CREDIT: {
        const { count } = known(decodeCount(frame.head));
        this.credits.set(frame.streamId, (this.credits.get(frame.streamId) ?? 0) + count);
        return;
      }
      case FRAME.PONG:
        return;
      case FRAME.PING:
        if (this.isDeaf) return;
        this.writer.pong();
        this.flush();
        return;
      default:
        throw new Error(`a router sent a frame of type ${frame.type}`);
    }
  }
}

export class WireQuery {
  readonly line: WireLine;
  readonly streamId: number;
  readonly head: QueryHead;
  readonly parts: Uint8Array[];
  isWhole: boolean;
  isCancelled = false;

  constructor(line: WireLine, frame: Frame, head: QueryHead) {
    this.line = line;
    this.streamId = frame.streamId;
    this.head = head;
    this.parts = [frame.body];
    this.isWhole = (frame.flags & FLAG_END) !== 0;
  }

  get body(): Buffer {
    return Buffer.concat(this.parts);
  }

  get value(): unknown {
    return decodeValue(this.body);
  }

  /** The whole answer: one value. */
  answer(value: unknown = null): void {
    this.reply({ kind: "value" }, encodeValue(value), END);
  }

  reply(head: ReplyHead, body: Uint8Array | undefined, end: FrameEnd = MORE): void {
    this.line.writer.reply(this.streamId, head, body, end);
    this.line.flush();
  }

  data(body: Uint8Array | undefined, end: FrameEnd = MORE): void {
    this.line.writer.data(this.streamId, body, end);
    this.line.flush();
  }

  fail(failure: WireFailure): void {
    this.line.writer.fail(this.streamId, failure);
    this.line.flush();
  }

  refuse(reason: RefuseReason): void {
    this.line.writer.refuse(this.streamId, reason);
    this.line.flush();
  }

  credit(bytes: number): void {
    this.line.writer.credit(this.streamId, bytes);
    this.line.flush();
  }

  // ── from the line
  add(frame: Frame): void {
    this.parts.push(frame.body);
    this.isWhole = (frame.flags & FLAG_END) !== 0;
  }

  cancelled(): void {
    this.isCancelled = true;
  }
}

function known<T extends object>(value: T): Exclude<T, { kind: "protocol-error" }> {
  if (isProtocolError(value)) throw new Error(value.reason);
  return value as Exclude<T, { kind: "protocol-error" }>;
}
