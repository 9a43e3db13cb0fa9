/** JSON values, one a line, over a byte stream: cuts what arrives into values, and refuses a line that is too long or is not JSON. */

const NEWLINE = 10;

export const encodeLine = (value: unknown): string => `${JSON.stringify(value)}\n`;

export class LineReader {
  readonly #maxLineBytes: number;
  #parts: Buffer[] = [];
  #bytes = 0;

  constructor(maxLineBytes: number) {
    this.#maxLineBytes = maxLineBytes;
  }

  /** The values that these bytes complete. `problem`, which completes "the peer sent …": give up on this stream. */
  push(bytes: Buffer): { readonly values: readonly unknown[]; readonly problem?: string } {
    const values: unknown[] = [];
    let from = 0;
    for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, from)) {
      this.#keep(bytes.subarray(from, end));
      from = end + 1;
      if (this.#bytes > this.#maxLineBytes) return { values, problem: this.#tooLong() };
      try {
        values.push(JSON.parse(this.#take()));
      } catch {
        return { values, problem: "a line that is not JSON" };
      }
    }
    this.#keep(bytes.subarray(from));
    return this.#bytes > this.#maxLineBytes ? { values, problem: this.#tooLong() } : { values };
  }

  #tooLong(): string {
    return `a line of more than ${this.#maxLineBytes} bytes`;
  }

  #keep(part: Buffer): void {
    if (part.length === 0) return;
    this.#parts.push(part);
    this.#bytes += part.length;
  }

  #take(): string {
    const line = this.#parts.length === 1 ? this.#parts[0]!.toString() : Buffer.concat(this.#parts).toString();
    this.#parts = [];
    this.#bytes = 0;
    return line;
  }
}
