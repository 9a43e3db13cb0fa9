/**
 * Parts of a body that wait for their reader. A part looks into the memory that the socket delivered, up to 64 KiB, and keeps all of it
 * alive; so small ones are copied, one behind the other. What is held is at most PART_MEMORY_SHARE times what waits, and no object
 * stands for a few bytes. Large parts stay where they are.
 */
import { PART_MEMORY_SHARE, SMALL_PART_BYTES, STREAM_WINDOW_BYTES } from "../../model/limits.ts";

const EMPTY = new Uint8Array(0);

export class WaitingParts {
  readonly #parts: Uint8Array[];
  /** Where the last part lies, when it is a copy that may grow, up to a window. */
  #memory: Uint8Array | undefined;

  /** @param first stays where it is: a body that is all there goes to its handler at once. */
  constructor(...first: Uint8Array[]) {
    this.#parts = first;
  }

  get isEmpty(): boolean {
    return this.#parts.length === 0;
  }

  add(part: Uint8Array): void {
    if (part.length >= SMALL_PART_BYTES && part.length * PART_MEMORY_SHARE >= part.buffer.byteLength) {
      this.#memory = undefined;
      this.#parts.push(part);
      return;
    }
    const last = this.#parts.at(-1);
    if (this.#memory === undefined || last === undefined || last.length + part.length > STREAM_WINDOW_BYTES) {
      this.#memory = new Uint8Array(part);
      this.#parts.push(this.#memory);
      return;
    }
    const length = last.length + part.length;
    if (length > this.#memory.length) {
      this.#memory = new Uint8Array(Math.min(2 * length, STREAM_WINDOW_BYTES));
      this.#memory.set(last);
    }
    this.#memory.set(part, last.length);
    this.#parts[this.#parts.length - 1] = this.#memory.subarray(0, length);
  }

  /** The oldest; whoever has it has it alone. */
  shift(): Uint8Array | undefined {
    const part = this.#parts.shift();
    if (this.#parts.length === 0) this.#memory = undefined;
    return part;
  }

  /** The oldest, or so many bytes of it. */
  take(bytes: number): Uint8Array | undefined {
    const first = this.#parts[0];
    if (first === undefined || first.length <= bytes) return this.shift();
    this.#parts[0] = first.subarray(bytes);
    // What is left does not begin where its memory does.
    if (this.#parts.length === 1) this.#memory = undefined;
    return first.subarray(0, bytes);
  }

  /** Everything in one piece, without taking it. */
  joined(): Uint8Array {
    const parts = this.#parts;
    if (parts.length < 2) return parts[0] ?? EMPTY;
    let length = 0;
    for (const part of parts) length += part.length;
    const whole = new Uint8Array(length);
    let position = 0;
    for (const part of parts) {
      whole.set(part, position);
      position += part.length;
    }
    return whole;
  }
}
