/**
 * The parts of a streamed answer between the wire and one reader. Parts wait here until they are read; what was read is reported, so
 * that the sender may send as much more, and no more than a window ever waits. Leaving early cancels the query.
 */

export interface PartSource {
  /** The reader is done with so many bytes. */
  consumed(bytes: number): void;
  /** Nobody reads any more. */
  abandoned(): void;
}

interface Waiting<T> {
  readonly resolve: (result: IteratorResult<T>) => void;
  readonly reject: (error: unknown) => void;
}

interface Part<T> {
  readonly value: T;
  readonly bytes: number;
}

export class PartStream<T> implements AsyncIterable<T>, AsyncIterator<T> {
  readonly #source: PartSource;
  readonly #parts: Part<T>[] = [];
  /** Readers that came before their part, in order. */
  readonly #waiting: Waiting<T>[] = [];
  #end: { readonly error: unknown } | "complete" | "left" | undefined;

  constructor(source: PartSource) {
    this.#source = source;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  // ── for who fills it

  add(value: T, bytes: number): void {
    if (this.#end !== undefined) return;
    const reader = this.#waiting.shift();
    if (reader === undefined) this.#parts.push({ value, bytes });
    else {
      reader.resolve({ done: false, value });
      this.#source.consumed(bytes);
    }
  }

  /** Parts that wait are still read first. */
  close(): void {
    if (this.#end !== undefined) return;
    this.#end = "complete";
    for (const reader of this.#waiting.splice(0)) reader.resolve({ done: true, value: undefined });
  }

  /** Parts that wait are still read first, and the error is told once. */
  fail(error: unknown): void {
    if (this.#end !== undefined) return;
    const reader = this.#waiting.shift();
    this.#end = reader === undefined ? { error } : "complete";
    reader?.reject(error);
    for (const other of this.#waiting.splice(0)) other.resolve({ done: true, value: undefined });
  }

  // ── for who reads it

  next(): Promise<IteratorResult<T>> {
    const part = this.#parts.shift();
    if (part !== undefined) {
      this.#source.consumed(part.bytes);
      return Promise.resolve({ done: false, value: part.value });
    }
    if (typeof this.#end === "object") {
      const { error } = this.#end;
      this.#end = "complete";
      return Promise.reject(error);
    }
    if (this.#end !== undefined) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  return(): Promise<IteratorResult<T>> {
    this.cancel();
    return Promise.resolve({ done: true, value: undefined });
  }

  /** Nobody reads any more: parts that wait are dropped. */
  cancel(): void {
    const isOpen = this.#end === undefined;
    this.#end = "left";
    this.#parts.length = 0;
    for (const reader of this.#waiting.splice(0)) reader.resolve({ done: true, value: undefined });
    if (isOpen) this.#source.abandoned();
  }
}
