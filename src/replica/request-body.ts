/**
 * The body of one query on its way in. Small ones are there from the first moment; of larger ones a window is, and more comes as it is
 * taken (model/wire.ts: credit). Nothing that nobody reads is asked for.
 */
import { ServeError } from "../base/serve-error.ts";
import { WaitingParts } from "../core/wire/waiting-parts.ts";
import { FLOW_WINDOW_BYTES, MAX_BODY_BYTES, STREAM_WINDOW_BYTES } from "../model/limits.ts";

export interface BodySource {
  /** The sender may send that many more bytes; 0: nothing has come yet, and the handler waits for it. */
  giveCredit(bytes: number): void;
}

export const bodyTooLarge = (): ServeError =>
  new ServeError(
    "body-too-large",
    `the body is larger than ${MAX_BODY_BYTES} bytes. Send less, or in several requests; a handler that is to take more reads it as a stream.`,
  );

export class RequestBody {
  readonly #source: BodySource;
  #parts: WaitingParts;
  #isComplete: boolean;
  #failure: unknown;
  /** What the sender may still send. */
  #allowed: number;
  /** What may be on its way. */
  #window = STREAM_WINDOW_BYTES;
  /** Used up and not told to the sender. */
  #unreported = 0;
  #wake: (() => void) | undefined;
  /** Something has come, or was asked for. */
  #hasBegun: boolean;

  constructor(source: BodySource, first: Uint8Array, rest: "complete" | "more") {
    this.#source = source;
    this.#isComplete = rest === "complete";
    this.#parts = this.#isComplete && first.length > 0 ? new WaitingParts(first) : new WaitingParts();
    if (!this.#isComplete && first.length > 0) this.#parts.add(first);
    this.#allowed = STREAM_WINDOW_BYTES - first.length;
    this.#hasBegun = first.length > 0;
  }

  get isEmpty(): boolean {
    return this.#isComplete && this.#parts.isEmpty;
  }

  /** The whole body when nothing is missing and nothing was taken from it; without a promise. */
  get whole(): Uint8Array | undefined {
    return this.#isComplete ? this.#parts.joined() : undefined;
  }

  /** false: more than was allowed. */
  add(part: Uint8Array, rest: "complete" | "more"): boolean {
    this.#allowed -= part.length;
    if (this.#allowed < 0 || this.#isComplete) return false;
    if (part.length > 0) this.#parts.add(part);
    this.#hasBegun = true;
    this.#isComplete = rest === "complete";
    this.#notify();
    return true;
  }

  /** Nothing more comes: the query was cancelled. */
  fail(reason: unknown): void {
    if (this.#isComplete) return;
    this.#failure = reason;
    this.#isComplete = true;
    this.#notify();
  }

  /** Waits until the body is complete and keeps it as `whole`. */
  async gather(): Promise<void> {
    this.#parts = new WaitingParts(await this.readAll());
  }

  /** Everything, in one piece. @throws ServeError `body-too-large`; the reason of a cancellation */
  async readAll(): Promise<Uint8Array> {
    const parts = new WaitingParts();
    let bytes = 0;
    for (let part = await this.read(); part !== undefined; part = await this.read()) {
      bytes += part.length;
      if (bytes > MAX_BODY_BYTES) {
        throw bodyTooLarge();
      }
      parts.add(part);
    }
    return parts.joined();
  }

  /** The next part; undefined at the end. One reader at a time. */
  async read(): Promise<Uint8Array | undefined> {
    while (this.#parts.isEmpty) {
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#isComplete) return undefined;
      if (!this.#hasBegun) {
        // A client that waits for a nod before it sends gets it by this.
        this.#hasBegun = true;
        this.#source.giveCredit(0);
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const part = this.#parts.shift()!;
    if (!this.#isComplete) this.#used(part.length);
    return part;
  }

  /**
   * Not each part: credit in small amounts would cut what follows into parts as small, and those again, until there is nothing but
   * frame heads. With half a window kept back the sender still has the other half.
   */
  #used(bytes: number): void {
    this.#unreported += bytes;
    if (this.#unreported < this.#window / 2) return;
    const credit = this.#unreported + FLOW_WINDOW_BYTES - this.#window;
    this.#window = FLOW_WINDOW_BYTES;
    this.#unreported = 0;
    this.#allowed += credit;
    this.#source.giveCredit(credit);
  }

  #notify(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}
