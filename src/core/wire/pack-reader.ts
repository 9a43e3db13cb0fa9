/**
 * Reads MessagePack out of a Uint8Array that somebody else may have made wrong on purpose. Nothing is believed: lengths are checked
 * against the bytes that are there before anything of that size is made, depth is bounded, unknown things are refused.
 * Everything wrong is thrown as `MalformedPack`, which the functions that use a reader (values.ts, heads.ts) catch and turn into a
 * value; it never leaves this folder.
 */

/** The bytes are not the MessagePack that was expected; the message completes "the peer sent …". */
export class MalformedPack extends Error {}

/**
 * Strings up to this length are looked for among those read lately: keys, tags, header names and words come again and again, and
 * finding one costs a third of making it.
 */
const REMEMBERED_BYTES = 24;
const REMEMBERED_STRINGS = 1_024;

/** Works on every Uint8Array; malformed UTF-8 becomes U+FFFD. */
const utf8Slice = Buffer.prototype.utf8Slice as unknown as (this: Uint8Array, start: number, end: number) => string;
const latin1Slice = Buffer.prototype.latin1Slice as unknown as (this: Uint8Array, start: number, end: number) => string;

export class PackReader {
  readonly bytes: Uint8Array;
  position: number;
  readonly end: number;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.position = 0;
    this.end = bytes.length;
  }

  get isAtEnd(): boolean {
    return this.position >= this.end;
  }

  /** Moves over `count` bytes and answers where they begin. */
  skip(count: number): number {
    const start = this.position;
    if (count > this.end - start) throw new MalformedPack("a value that ends before its last byte");
    this.position = start + count;
    return start;
  }

  byte(): number {
    return this.bytes[this.skip(1)]!;
  }

  uint16(): number {
    const start = this.skip(2);
    return (this.bytes[start]! << 8) | this.bytes[start + 1]!;
  }

  uint32(): number {
    const { bytes } = this;
    const start = this.skip(4);
    return ((bytes[start]! << 24) | (bytes[start + 1]! << 16) | (bytes[start + 2]! << 8) | bytes[start + 3]!) >>> 0;
  }

  /** The next `count` (at most 8) bytes at the beginning of a view: copying them is cheaper than making a view of the whole. */
  scratch(count: number): DataView {
    const start = this.skip(count);
    for (let index = 0; index < count; index += 1) scratchBytes[index] = this.bytes[start + index]!;
    return scratchView;
  }

  /** The characters of a string of that many bytes. */
  text(length: number): string {
    const start = this.skip(length);
    if (length <= REMEMBERED_BYTES) return this.#remembered(start, length);
    return utf8Slice.call(this.bytes, start, start + length);
  }

  arrayLength(): number {
    const token = this.byte();
    if ((token & 0xf0) === 0x90) return token & 0x0f;
    if (token === 0xdc) return this.#count(this.uint16(), 1);
    if (token === 0xdd) return this.#count(this.uint32(), 1);
    throw new MalformedPack("something else where an array belongs");
  }

  mapLength(): number {
    const token = this.byte();
    if ((token & 0xf0) === 0x80) return token & 0x0f;
    if (token === 0xde) return this.#count(this.uint16(), 2);
    if (token === 0xdf) return this.#count(this.uint32(), 2);
    throw new MalformedPack("something else where a map belongs");
  }

  string(): string {
    const token = this.byte();
    const length = this.stringLength(token);
    if (length === undefined) throw new MalformedPack("something else where a string belongs");
    return this.text(length);
  }

  stringOrNil(): string | undefined {
    return this.takeNil() ? undefined : this.string();
  }

  /** Whether nil was next; it is passed then. */
  takeNil(): boolean {
    if (this.bytes[this.position] !== 0xc0) return false;
    this.position += 1;
    return true;
  }

  boolean(): boolean {
    const token = this.byte();
    if (token === 0xc3) return true;
    if (token === 0xc2) return false;
    throw new MalformedPack("something else where a boolean belongs");
  }

  /** Any MessagePack number but a 64-bit integer. */
  number(): number {
    const value = this.numberOf(this.byte());
    if (value === undefined) throw new MalformedPack("something else where a number belongs");
    return value;
  }

  /** A whole number from 0 up to 2^53. */
  count(): number {
    const value = this.number();
    if (!Number.isSafeInteger(value) || value < 0) throw new MalformedPack("something else where a count belongs");
    return value;
  }

  /** The byte length that a string's token announces; undefined when the token begins something else. */
  stringLength(token: number): number | undefined {
    if ((token & 0xe0) === 0xa0) return token & 0x1f;
    if (token === 0xd9) return this.byte();
    if (token === 0xda) return this.uint16();
    if (token === 0xdb) return this.uint32();
    return undefined;
  }

  /** The number that a token begins; undefined when it begins something else. */
  numberOf(token: number): number | undefined {
    if (token < 0x80) return token;
    if (token >= 0xe0) return token - 0x100;
    switch (token) {
      case 0xcc:
        return this.byte();
      case 0xcd:
        return this.uint16();
      case 0xce:
        return this.uint32();
      case 0xd0:
        return (this.byte() << 24) >> 24;
      case 0xd1:
        return (this.uint16() << 16) >> 16;
      case 0xd2:
        return this.uint32() | 0;
      case 0xca:
        return this.scratch(4).getFloat32(0);
      case 0xcb:
        return this.scratch(8).getFloat64(0);
      default:
        return undefined;
    }
  }

  /** A claimed number of elements, each of at least `bytesEach`: refused when the bytes cannot hold them. */
  #count(claimed: number, bytesEach: number): number {
    if (claimed * bytesEach > this.end - this.position) {
      throw new MalformedPack("a collection that claims more elements than it has bytes");
    }
    return claimed;
  }

  #remembered(start: number, length: number): string {
    const { bytes } = this;
    let hash = length;
    let all = 0;
    for (let index = start; index < start + length; index += 1) {
      const byte = bytes[index]!;
      hash = (hash * 31 + byte) | 0;
      all |= byte;
    }
    if (all >= 0x80) return utf8Slice.call(bytes, start, start + length);
    const slot = hash & (REMEMBERED_STRINGS - 1);
    const known = remembered[slot]!;
    if (known.length === length && isAt(known, bytes, start)) return known;
    const text = latin1Slice.call(bytes, start, start + length);
    remembered[slot] = text;
    return text;
  }
}

const scratchBytes = new Uint8Array(8);
const scratchView = new DataView(scratchBytes.buffer);

const remembered: string[] = new Array<string>(REMEMBERED_STRINGS).fill("");

function isAt(text: string, bytes: Uint8Array, start: number): boolean {
  for (let index = 0; index < text.length; index += 1) {
    if (text.charCodeAt(index) !== bytes[start + index]) return false;
  }
  return true;
}
