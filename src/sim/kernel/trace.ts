/**
 * What happened in a simulation: a hash over every line, so that two runs can be compared by one word, and the last lines, for people.
 */
import { createHash } from "node:crypto";

/** Lines kept: what a person reads back from a violation. */
const KEPT_LINES = 120;
/** Characters: one update a line would cost more than the hash. */
const HASHED_AT_ONCE = 16_384;

export class Trace {
  readonly #hash = createHash("sha256");
  readonly #lines: string[] = [];
  readonly #onLine: ((line: string) => void) | undefined;
  #count = 0;
  #unhashed = "";

  constructor(onLine?: (line: string) => void) {
    this.#onLine = onLine;
  }

  note(atMs: number, who: string, what: string): void {
    const line = `${atMs.toFixed(3)} ${who} ${what}`;
    this.#unhashed += line;
    if (this.#unhashed.length >= HASHED_AT_ONCE) this.#update();
    this.#count += 1;
    this.#onLine?.(line);
    this.#lines.push(line);
    if (this.#lines.length > 2 * KEPT_LINES) this.#lines.splice(0, KEPT_LINES);
  }

  get count(): number {
    return this.#count;
  }

  last(): readonly string[] {
    return this.#lines.slice(-KEPT_LINES);
  }

  hash(): string {
    this.#update();
    return this.#hash.copy().digest("hex").slice(0, 32);
  }

  #update(): void {
    this.#hash.update(this.#unhashed);
    this.#unhashed = "";
  }
}
