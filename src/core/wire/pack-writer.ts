/**
 * Writes MessagePack, and raw bytes, one after the other into memory that it hands out in pieces.
 * A piece that was taken is never written again: the writer goes on behind it and starts a new chunk when the old one is full, so
 * taken bytes can lie in a socket's queue without a copy. Values are the business of pack-values.ts; here are only the primitives.
 */

/** Small enough to have one a connection, large enough for some fifty frames of a small query. */
const CHUNK_BYTES = 16_384;
/** Strings up to this length are written byte by byte: below it a call into the runtime costs more than the loop. */
const SHORT_STRING = 24;

const EMPTY = new Uint8Array(0);

/** `utf8Write` works on every Uint8Array, without making an object as `encodeInto(text, subarray)` does. */
const utf8Write = Buffer.prototype.utf8Write as unknown as (
  this: Uint8Array,
  text: string,
  offset: number,
  length: number,
) => number;

export class PackWriter {
  /** Written by pack-values.ts too; everybody else uses the functions. */
  bytes: Uint8Array = EMPTY;
  view: DataView = new DataView(EMPTY.buffer);
  position = 0;
  #taken = 0;

  /** Bytes written and not taken yet. */
  get pendingBytes(): number {
    return this.position - this.#taken;
  }

  /** Makes sure that `count` bytes fit behind `position`. What is not taken yet may move. */
  reserve(count: number): void {
    if (this.position + count > this.bytes.length) this.#grow(count);
  }

  /** Everything written since the last `take`. */
  take(): Uint8Array {
    const piece = new Uint8Array(this.bytes.buffer, this.bytes.byteOffset + this.#taken, this.position - this.#taken);
    this.#taken = this.position;
    return piece;
  }

  /** Forgets what was written behind `position`, which was read before. */
  rollBackTo(position: number): void {
    this.position = position;
  }

  /** Where the next byte goes, counted from the last `take`: stays right when the memory moves. */
  mark(): number {
    return this.position - this.#taken;
  }

  /** The position of a mark now. */
  positionOf(mark: number): number {
    return this.#taken + mark;
  }

  raw(bytes: Uint8Array): void {
    this.reserve(bytes.length);
    this.bytes.set(bytes, this.position);
    this.position += bytes.length;
  }

  nil(): void {
    this.#byte(0xc0);
  }

  boolean(value: boolean): void {
    this.#byte(value ? 0xc3 : 0xc2);
  }

  number(value: number): void {
    this.reserve(9);
    // `-0 >>> 0 === -0` holds, and so only `Object.is` finds it.
    if (value >>> 0 === value && !Object.is(value, -0)) this.#unsigned(value);
    else if (value >> 0 === value && value < 0) this.#negative(value);
    else {
      this.bytes[this.position] = 0xcb;
      this.view.setFloat64(this.position + 1, value);
      this.position += 9;
    }
  }

  bigint64(value: bigint): void {
    this.reserve(9);
    this.bytes[this.position] = 0xd3;
    this.view.setBigInt64(this.position + 1, value);
    this.position += 9;
  }

  /** Lone surrogates become U+FFFD: UTF-8 has no place for them. */
  string(text: string): void {
    const length = text.length;
    this.reserve(length * 3 + 5);
    if (length <= SHORT_STRING && this.#shortAscii(text, length)) return;
    // The head's size follows from the byte length, which is known only afterwards; guess from the character count, move if wrong.
    const guess = length < 32 ? 1 : length < 256 ? 2 : length < 65_536 ? 3 : 5;
    const start = this.position + guess;
    const written = utf8Write.call(this.bytes, text, start, this.bytes.length - start);
    const head = written < 32 ? 1 : written < 256 ? 2 : written < 65_536 ? 3 : 5;
    if (head !== guess) this.bytes.copyWithin(this.position + head, start, start + written);
    this.#stringHead(written);
    this.position += written;
  }

  binary(bytes: Uint8Array): void {
    const length = bytes.length;
    this.reserve(length + 5);
    if (length < 256) {
      this.bytes[this.position++] = 0xc4;
      this.bytes[this.position++] = length;
    } else {
      this.bytes[this.position] = 0xc6;
      this.view.setUint32(this.position + 1, length);
      this.position += 5;
    }
    this.bytes.set(bytes, this.position);
    this.position += length;
  }

  arrayHead(length: number): void {
    this.#collectionHead(length, 0x90, 0xdc);
  }

  mapHead(length: number): void {
    this.#collectionHead(length, 0x80, 0xde);
  }

  /** An extension of up to 255 bytes, which the caller writes next with `raw`. */
  extensionHead(type: number, length: number): void {
    this.reserve(3 + length);
    this.bytes[this.position++] = 0xc7;
    this.bytes[this.position++] = length;
    this.bytes[this.position++] = type & 0xff;
  }

  /** An extension of a length that is known only at `closeExtension`; answers the mark to close it with. */
  openExtension(type: number): number {
    this.reserve(6);
    const mark = this.mark();
    this.bytes[this.position] = 0xc9;
    this.bytes[this.position + 5] = type & 0xff;
    this.position += 6;
    return mark;
  }

  closeExtension(mark: number): void {
    const start = this.positionOf(mark);
    this.view.setUint32(start + 1, this.position - start - 6);
  }

  #shortAscii(text: string, length: number): boolean {
    const bytes = this.bytes;
    const start = this.position + 1;
    for (let index = 0; index < length; index += 1) {
      const code = text.charCodeAt(index);
      if (code >= 0x80) return false;
      bytes[start + index] = code;
    }
    bytes[this.position] = 0xa0 | length;
    this.position = start + length;
    return true;
  }

  #stringHead(length: number): void {
    const bytes = this.bytes;
    if (length < 32) bytes[this.position++] = 0xa0 | length;
    else if (length < 256) {
      bytes[this.position++] = 0xd9;
      bytes[this.position++] = length;
    } else if (length < 65_536) {
      bytes[this.position] = 0xda;
      this.view.setUint16(this.position + 1, length);
      this.position += 3;
    } else {
      bytes[this.position] = 0xdb;
      this.view.setUint32(this.position + 1, length);
      this.position += 5;
    }
  }

  #collectionHead(length: number, short: number, long: number): void {
    this.reserve(5);
    if (length < 16) this.bytes[this.position++] = short | length;
    else if (length < 65_536) {
      this.bytes[this.position] = long;
      this.view.setUint16(this.position + 1, length);
      this.position += 3;
    } else {
      this.bytes[this.position] = long + 1;
      this.view.setUint32(this.position + 1, length);
      this.position += 5;
    }
  }

  #unsigned(value: number): void {
    const bytes = this.bytes;
    if (value < 0x80) bytes[this.position++] = value;
    else if (value < 0x100) {
      bytes[this.position++] = 0xcc;
      bytes[this.position++] = value;
    } else if (value < 0x10000) {
      bytes[this.position] = 0xcd;
      this.view.setUint16(this.position + 1, value);
      this.position += 3;
    } else {
      bytes[this.position] = 0xce;
      this.view.setUint32(this.position + 1, value);
      this.position += 5;
    }
  }

  #negative(value: number): void {
    const bytes = this.bytes;
    if (value >= -0x20) bytes[this.position++] = 0x100 + value;
    else if (value >= -0x80) {
      bytes[this.position++] = 0xd0;
      bytes[this.position++] = 0x100 + value;
    } else if (value >= -0x8000) {
      bytes[this.position] = 0xd1;
      this.view.setInt16(this.position + 1, value);
      this.position += 3;
    } else {
      bytes[this.position] = 0xd2;
      this.view.setInt32(this.position + 1, value);
      this.position += 5;
    }
  }

  #byte(value: number): void {
    this.reserve(1);
    this.bytes[this.position++] = value;
  }

  #grow(count: number): void {
    const pending = this.position - this.#taken;
    const needed = pending + count;
    // Twice what is pending, so that one long value costs few moves.
    const size = needed <= CHUNK_BYTES / 2 ? CHUNK_BYTES : Math.max(CHUNK_BYTES, needed * 2);
    const chunk = new Uint8Array(Buffer.allocUnsafeSlow(size).buffer);
    chunk.set(this.bytes.subarray(this.#taken, this.position));
    this.bytes = chunk;
    this.view = new DataView(chunk.buffer);
    this.#taken = 0;
    this.position = pending;
  }
}
