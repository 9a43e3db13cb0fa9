/**
 * The frame codec: bytes of a connection to frames (`FrameDecoder`) and back (`FrameWriter`). Layout and meaning: model/wire.ts.
 * Pure: knows no socket, no state of a stream. Whatever comes in, the decoder answers with a sentence, never with a throw.
 *
 *   reading   const problem = decoder.push(bytes, onFrame)       // a ProtocolError: log it, close this connection
 *             switch (frame.type) { case FRAME.QUERY: const head = decodeQueryHead(frame.head); if (isProtocolError(head)) … }
 *   writing   writer.query(streamId, head, body, END)            // false: the head is too large, nothing was written
 *             at the end of the turn: for (const piece of writer.take()) socket.write(piece)
 *
 * Heads are in heads.ts, values (`encodeValue`, `decodeValue`) in values.ts.
 *
 * Bodies. A body of up to STREAM_WINDOW_BYTES goes in its QUERY or REPLY frame. Of a longer one the first STREAM_WINDOW_BYTES go
 * there without END, the rest in DATA frames as far as the receiver's CREDIT allows, the last with END. A receiver that takes a body
 * gives credit for what it has used up, so at most a window of each stream lies in between: STREAM_WINDOW_BYTES until it has begun,
 * FLOW_WINDOW_BYTES from then on, of an answer up to WIDE_WINDOW_BYTES.
 */

import type { LentMemory } from "../../base/lent-memory.ts";
import { MAX_FRAME_BYTES } from "../../model/limits.ts";
import { FLAG_BYTES, FLAG_END, FRAME, FRAME_HEAD_BYTES, type FrameType } from "../../model/wire.ts";

/** Why a peer's bytes are not what the protocol allows; completes "the peer sent …". The connection cannot go on. */
export interface ProtocolError {
  readonly kind: "protocol-error";
  readonly reason: string;
}

export const protocolError = (reason: string): ProtocolError => ({ kind: "protocol-error", reason });

export const isProtocolError = (value: object): value is ProtocolError =>
  (value as Partial<ProtocolError>).kind === "protocol-error";

/**
 * One frame. `head` and `body` look into the memory that the socket delivered: copy what must outlive the query.
 */
export interface Frame {
  readonly type: FrameType;
  readonly flags: number;
  readonly streamId: number;
  readonly head: Uint8Array;
  readonly body: Uint8Array;
  /** The body lies in lent memory: whoever looks at it after `onFrame` has returned holds that. */
  readonly memory: LentMemory | undefined;
}

const EMPTY = new Uint8Array(0);
const MIN_LENGTH = FRAME_HEAD_BYTES - 4;
/** WEBSOCKET is reserved: nobody may send it yet. */
const KNOWN_TYPES: ReadonlySet<number> = new Set(Object.values(FRAME).filter((type) => type !== FRAME.WEBSOCKET));

/**
 * Cuts a byte stream into frames. Holds at most one incomplete frame; one with FLAG_BYTES it does not even hold, but gives what is there
 * as a frame, and what comes later as further ones.
 */
export class FrameDecoder {
  /** The beginning of a frame; its memory is as large as the frame once the length is known. */
  #partial: Uint8Array | undefined;
  #partialBytes = 0;
  /** Of a frame that is given on in pieces: what has not come yet, and how it began. */
  #restBytes = 0;
  #restFlags = 0;
  #restStreamId = 0;
  /** Of the bytes that are being read, when it is lent. */
  #memory: LentMemory | undefined;
  #error: ProtocolError | undefined;

  /**
   * Calls `onFrame` for each frame that is complete with these bytes. After the first problem, which is answered from then on,
   * nothing more is read.
   * @param memory of the bytes, when it is lent: DATA with FLAG_BYTES is lent on, anything else and what follows it is copied first.
   */
  push(given: Uint8Array, onFrame: (frame: Frame) => void, memory?: LentMemory): ProtocolError | undefined {
    if (this.#error !== undefined) return this.#error;
    let bytes = given;
    let position = this.#partial === undefined ? 0 : this.#complete(bytes, onFrame);
    this.#memory = memory;
    while (this.#error === undefined && position < bytes.length) {
      const available = bytes.length - position;
      if (this.#restBytes > 0) {
        position = this.#giveOn(bytes, position, onFrame);
        continue;
      }
      const length = available >= 4 ? this.#frameBytes(bytes, position) : undefined;
      if (this.#error !== undefined) break;
      if (length === undefined || length > available) {
        if (available >= FRAME_HEAD_BYTES && isInPieces(bytes, position)) {
          this.#begin(bytes, position, length!);
          position += FRAME_HEAD_BYTES;
          continue;
        }
        this.#keep(bytes, position, length ?? FRAME_HEAD_BYTES);
        break;
      }
      if (this.#memory !== undefined && !isInPieces(bytes, position)) {
        bytes = new Uint8Array(bytes.subarray(position));
        position = 0;
        this.#memory = undefined;
      }
      this.#deliver(bytes, position, length, onFrame);
      position += length;
    }
    this.#memory = undefined;
    return this.#error;
  }

  /** Bytes of a frame that has begun; an end of the connection now cuts it. */
  get pendingBytes(): number {
    return this.#partialBytes + this.#restBytes;
  }

  /** The whole size of the frame that begins at `start`. */
  #frameBytes(bytes: Uint8Array, start: number): number | undefined {
    const length = uint32(bytes, start);
    if (length < MIN_LENGTH) return this.#fail(`a frame of ${length} bytes, which is less than a frame head`);
    if (length + 4 > MAX_FRAME_BYTES) {
      return this.#fail(`a frame of ${length + 4} bytes; at most ${MAX_FRAME_BYTES} are allowed`);
    }
    return length + 4;
  }

  #deliver(bytes: Uint8Array, start: number, length: number, onFrame: (frame: Frame) => void): void {
    const type = bytes[start + 4]!;
    const headLength = bytes[start + 6]! | (bytes[start + 7]! << 8);
    const headStart = start + FRAME_HEAD_BYTES;
    const bodyStart = headStart + headLength;
    const end = start + length;
    if (!KNOWN_TYPES.has(type)) return void this.#fail(`a frame of the unknown type ${type}`);
    if (bodyStart > end) return void this.#fail("a frame whose head is longer than the frame");
    onFrame({
      type: type as FrameType,
      flags: bytes[start + 5]!,
      streamId: uint32(bytes, start + 8),
      head: viewOf(bytes, headStart, bodyStart),
      body: viewOf(bytes, bodyStart, end),
      memory: this.#memory,
    });
  }

  #begin(bytes: Uint8Array, start: number, length: number): void {
    this.#restBytes = length - FRAME_HEAD_BYTES;
    this.#restFlags = bytes[start + 5]!;
    this.#restStreamId = uint32(bytes, start + 8);
  }

  /** Answers where the next frame begins. */
  #giveOn(bytes: Uint8Array, start: number, onFrame: (frame: Frame) => void): number {
    const end = Math.min(bytes.length, start + this.#restBytes);
    this.#restBytes -= end - start;
    const flags = this.#restBytes === 0 ? this.#restFlags : this.#restFlags & ~FLAG_END;
    const body = viewOf(bytes, start, end);
    onFrame({ type: FRAME.DATA, flags, streamId: this.#restStreamId, head: EMPTY, body, memory: this.#memory });
    return end;
  }

  #keep(bytes: Uint8Array, start: number, capacity: number): void {
    this.#partial = memory(capacity);
    this.#partial.set(bytes.subarray(start));
    this.#partialBytes = bytes.length - start;
  }

  /** Adds to the frame that has begun; answers how many bytes that took. */
  #complete(bytes: Uint8Array, onFrame: (frame: Frame) => void): number {
    let position = 0;
    if (this.#partialBytes < 4) {
      position = this.#append(bytes, 0, 4);
      if (this.#partialBytes < 4) return position;
    }
    const length = this.#frameBytes(this.#partial!, 0);
    if (length === undefined) return position;
    position = this.#append(bytes, position, FRAME_HEAD_BYTES);
    if (this.#partialBytes < FRAME_HEAD_BYTES) return position;
    if (this.#partialBytes === FRAME_HEAD_BYTES && length > FRAME_HEAD_BYTES && isInPieces(this.#partial!, 0)) {
      this.#begin(this.#partial!, 0, length);
      this.#partial = undefined;
      this.#partialBytes = 0;
      return position;
    }
    if (this.#partial!.length !== length) {
      const whole = memory(length);
      whole.set(this.#partial!.subarray(0, this.#partialBytes));
      this.#partial = whole;
    }
    position = this.#append(bytes, position, length);
    if (this.#partialBytes < length) return position;
    const frame = this.#partial!;
    this.#partial = undefined;
    this.#partialBytes = 0;
    this.#deliver(frame, 0, length, onFrame);
    return position;
  }

  #append(bytes: Uint8Array, position: number, upTo: number): number {
    const count = Math.min(upTo - this.#partialBytes, bytes.length - position);
    if (count <= 0) return position;
    this.#partial!.set(bytes.subarray(position, position + count), this.#partialBytes);
    this.#partialBytes += count;
    return position + count;
  }

  #fail(reason: string): undefined {
    this.#error = protocolError(reason);
    this.#partial = undefined;
  }
}

const uint32 = (bytes: Uint8Array, at: number): number =>
  (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;

const isInPieces = (bytes: Uint8Array, start: number): boolean =>
  bytes[start + 4] === FRAME.DATA &&
  (bytes[start + 5]! & FLAG_BYTES) !== 0 &&
  bytes[start + 6] === 0 &&
  bytes[start + 7] === 0;

/** Not zeroed: it is given to nobody before it is full. */
const memory = (bytes: number): Uint8Array => new Uint8Array(Buffer.allocUnsafeSlow(bytes).buffer);

/** Not `subarray`, which makes a Buffer of a Buffer and takes twice as long. */
const viewOf = (bytes: Uint8Array, start: number, end: number): Uint8Array =>
  start === end ? EMPTY : new Uint8Array(bytes.buffer, bytes.byteOffset + start, end - start);
