/**
 * Writes frames one after the other, heads and small bodies into one piece of memory, so that the frames of a turn leave in one
 * write; large bodies are passed on without a copy and must not be changed by their owner. One writer a connection.
 * How bodies are cut into frames: see frames.ts.
 */
import { MAX_FRAME_BYTES, MAX_FRAME_HEAD_BYTES } from "../../model/limits.ts";
import {
  FLAG_BYTES,
  FLAG_END,
  FRAME,
  FRAME_HEAD_BYTES,
  type FrameType,
  type Hello,
  type QueryHead,
  type RefuseReason,
  type ReplyHead,
  type WireFailure,
} from "../../model/wire.ts";
import {
  type QueryFields,
  type QueryStamp,
  writeFailure,
  writeHello,
  writeQueryHead,
  writeReplyHead,
} from "./heads.ts";
import { PackWriter } from "./pack-writer.ts";

/** Bodies up to this size are copied behind their head: cheaper than one more buffer in the socket's write. */
const COPIED_BODY_BYTES = 8_192;

/** The flags of a frame that ends its direction of the stream, and of one that does not. */
export const END = FLAG_END;
export const MORE = 0;
export type FrameEnd = typeof END | typeof MORE;

/** Largest part of a body that fits in a DATA frame. */
export const MAX_DATA_BYTES = MAX_FRAME_BYTES - FRAME_HEAD_BYTES;

export interface StampedQuery {
  readonly fields: QueryFields;
  readonly stamp: QueryStamp;
  readonly body: Uint8Array | undefined;
  readonly end: FrameEnd;
}

export class FrameWriter {
  readonly #pack = new PackWriter();
  #pieces: Uint8Array[] = [];
  #pieceBytes = 0;
  /** Begin of the frame that is being written; still set at the next one when a head's encoder threw, and the frame is dropped. */
  #unfinished: number | undefined;

  /** Bytes that wait for `take`. */
  get pendingBytes(): number {
    return this.#pieceBytes + this.#pack.pendingBytes;
  }

  /** What was written since the last time, in order; mostly one piece. Their memory is not written again. */
  take(): readonly Uint8Array[] {
    this.#dropUnfinished();
    if (this.#pack.pendingBytes > 0) this.#pieces.push(this.#pack.take());
    const pieces = this.#pieces;
    this.#pieces = [];
    this.#pieceBytes = 0;
    return pieces;
  }

  hello(hello: Hello): void {
    const mark = this.#open();
    writeHello(this.#pack, hello);
    this.#close(mark, FRAME.HELLO, MORE, 0);
  }

  /** false: the head is larger than MAX_FRAME_HEAD_BYTES; nothing was written. */
  query(streamId: number, head: QueryHead, body: Uint8Array | undefined, end: FrameEnd): boolean {
    return this.stampedQuery(streamId, { fields: head, stamp: head, body, end });
  }

  /** The same for a query that is kept, and sent again elsewhere with less time left. */
  stampedQuery(streamId: number, query: StampedQuery): boolean {
    const mark = this.#open();
    writeQueryHead(this.#pack, query.fields, query.stamp);
    return this.#close(mark, FRAME.QUERY, query.end, streamId, query.body);
  }

  /** false: the head is larger than MAX_FRAME_HEAD_BYTES; nothing was written. */
  reply(streamId: number, head: ReplyHead, body: Uint8Array | undefined, end: FrameEnd): boolean {
    const mark = this.#open();
    writeReplyHead(this.#pack, head);
    return this.#close(mark, FRAME.REPLY, end, streamId, body);
  }

  /** Arrives as it is, in one piece. At most MAX_DATA_BYTES at a time. */
  data(streamId: number, body: Uint8Array | undefined, end: FrameEnd): void {
    this.#close(this.#open(), FRAME.DATA, end, streamId, body);
  }

  /** Bytes of a longer body: what is large may arrive in pieces. At most MAX_DATA_BYTES at a time. */
  bytes(streamId: number, body: Uint8Array | undefined, end: FrameEnd): void {
    const isLarge = body !== undefined && body.length > COPIED_BODY_BYTES;
    this.#close(this.#open(), FRAME.DATA, isLarge ? end | FLAG_BYTES : end, streamId, body);
  }

  /** Long messages and details are cut by `writeFailure`, so that a failure always fits. */
  fail(streamId: number, failure: WireFailure): void {
    const mark = this.#open();
    writeFailure(this.#pack, failure);
    this.#close(mark, FRAME.FAIL, END, streamId);
  }

  credit(streamId: number, bytes: number): void {
    this.#withNumber(FRAME.CREDIT, streamId, bytes);
  }

  cancel(streamId: number): void {
    this.#close(this.#open(), FRAME.CANCEL, MORE, streamId);
  }

  refuse(streamId: number, reason: RefuseReason): void {
    const mark = this.#open();
    this.#pack.arrayHead(1);
    this.#pack.string(reason);
    this.#close(mark, FRAME.REFUSE, END, streamId);
  }

  slot(): void {
    this.#close(this.#open(), FRAME.SLOT, MORE, 0);
  }

  goaway(lastStreamId: number): void {
    this.#withNumber(FRAME.GOAWAY, 0, lastStreamId);
  }

  ping(): void {
    this.#close(this.#open(), FRAME.PING, MORE, 0);
  }

  pong(): void {
    this.#close(this.#open(), FRAME.PONG, MORE, 0);
  }

  #withNumber(type: FrameType, streamId: number, value: number): void {
    const mark = this.#open();
    this.#pack.arrayHead(1);
    this.#pack.number(value);
    this.#close(mark, type, MORE, streamId);
  }

  /** Leaves room for the frame head; the head's bytes follow. */
  #open(): number {
    this.#dropUnfinished();
    const pack = this.#pack;
    pack.reserve(FRAME_HEAD_BYTES);
    const mark = pack.mark();
    pack.position += FRAME_HEAD_BYTES;
    this.#unfinished = mark;
    return mark;
  }

  #dropUnfinished(): void {
    if (this.#unfinished === undefined) return;
    this.#pack.rollBackTo(this.#pack.positionOf(this.#unfinished));
    this.#unfinished = undefined;
  }

  #close(mark: number, type: FrameType, flags: number, streamId: number, body?: Uint8Array | undefined): boolean {
    const pack = this.#pack;
    const headLength = pack.position - pack.positionOf(mark) - FRAME_HEAD_BYTES;
    const bodyLength = body === undefined ? 0 : body.length;
    if (headLength > MAX_FRAME_HEAD_BYTES) return false;
    this.#unfinished = undefined;
    if (bodyLength > 0 && bodyLength <= COPIED_BODY_BYTES) pack.raw(body!);
    const start = pack.positionOf(mark);
    const { view } = pack;
    view.setUint32(start, FRAME_HEAD_BYTES - 4 + headLength + bodyLength, true);
    pack.bytes[start + 4] = type;
    pack.bytes[start + 5] = flags;
    view.setUint16(start + 6, headLength, true);
    view.setUint32(start + 8, streamId, true);
    if (bodyLength > COPIED_BODY_BYTES) {
      const piece = pack.take();
      this.#pieces.push(piece, body!);
      this.#pieceBytes += piece.length + bodyLength;
    }
    return true;
  }
}
