/**
 * Sends a result that comes in parts, or is too large for one frame: pulls the next part only when the reader has room for it (credit
 * of the stream, buffer of the connection), so a slow reader makes nothing grow. The first part is held until the end of the turn: a
 * result that turns out to have only one travels as one frame, and an error that comes at once is still an honest status.
 */
import { END, type FrameEnd, MAX_DATA_BYTES, MORE } from "../core/wire/frame-writer.ts";
import { STREAM_WINDOW_BYTES } from "../model/limits.ts";
import type { ReplyHead, WireFailure } from "../model/wire.ts";
import type { Clock, Timer } from "../ports/clock.ts";
import type { PartStream } from "./streams.ts";

/** The query whose reply it is. Nothing is called after `cancel`. */
export interface ReplySink {
  readonly clock: Clock;
  sendReply(head: ReplyHead, body: Uint8Array | undefined, end: FrameEnd): void;
  sendData(body: Uint8Array | undefined, end: FrameEnd, parts: PartStream["parts"]): void;
  sendFailure(failure: WireFailure): void;
  /** What the reader is told of something that was thrown. */
  failureOf(thrown: unknown): WireFailure;
  /** The connection's buffer is full; `resume` of every open reply is called when it is not any more. */
  readonly isBlocked: boolean;
  endOfTurn(callback: () => void): void;
  /** Runs user code as part of the query. */
  run<T>(code: () => T): T;
}

interface Steps {
  next(): unknown;
  return?(): unknown;
}

export class StreamReply {
  readonly #sink: ReplySink;
  readonly #stream: PartStream;
  #steps: Steps | undefined;
  #window = STREAM_WINDOW_BYTES;
  #state: "headless" | "held" | "open" | "over" = "headless";
  #held: { readonly head: ReplyHead; body: Uint8Array | undefined } | undefined;
  #wake: (() => void) | undefined;
  #heartbeat: Timer | undefined;
  #lastSent = 0;

  constructor(sink: ReplySink, stream: PartStream) {
    this.#sink = sink;
    this.#stream = stream;
  }

  /** Resolves when everything is sent, or after `cancel`. Never rejects. */
  async send(): Promise<void> {
    try {
      const { head, items, heartbeat } = this.#stream;
      this.#steps = this.#sink.run(() => stepsOf(items));
      if (head !== undefined) {
        this.#hold(head);
        this.#release(MORE);
      }
      if (heartbeat !== undefined) this.#beat(heartbeat.intervalMs);
      await this.#sendParts(this.#steps);
    } catch (error) {
      if (!this.#isOver()) this.#fail(error);
    } finally {
      this.#heartbeat?.cancel();
    }
  }

  addCredit(bytes: number): void {
    this.#window += bytes;
    this.resume();
  }

  /** There may be room again. */
  resume(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  /** Nobody reads any more: the code behind is told to stop, and nothing is sent. */
  cancel(): void {
    if (this.#isOver()) return;
    this.#state = "over";
    this.#heartbeat?.cancel();
    this.resume();
    this.#stopSteps();
  }

  async #sendParts(steps: Steps): Promise<void> {
    const { encode, parts, ending, items } = this.#stream;
    const isSync = !(Symbol.asyncIterator in items);
    for (;;) {
      const step = (await this.#sink.run(() => steps.next())) as IteratorResult<unknown>;
      if (this.#isOver()) return;
      if (step.done === true) break;
      // As in `for await`: an iterable of promises gives what they resolve to.
      const item = isSync ? await step.value : step.value;
      const bytes = encode(item);
      if (this.#state === "headless") this.#hold(this.#stream.headFor(item));
      if (parts === "bytes") await this.#sendCut(bytes);
      // A value cannot be cut: it may go beyond the window by its own size.
      else if (this.#hasRoom() || (await this.#waitForRoom())) this.#put(bytes);
      if (this.#isOver()) return;
    }
    if (this.#state === "headless") this.#hold(this.#stream.headFor(undefined));
    if (ending !== undefined) await this.#sendCut(ending);
    if (this.#isOver()) return;
    if (this.#held === undefined) this.#sink.sendData(undefined, END, parts);
    else this.#release(END);
    this.#state = "over";
  }

  async #sendCut(bytes: Uint8Array): Promise<void> {
    for (let position = 0; position < bytes.length; ) {
      if (!this.#hasRoom() && !(await this.#waitForRoom())) return;
      const end = Math.min(bytes.length, position + Math.min(this.#window, MAX_DATA_BYTES));
      this.#put(position === 0 && end === bytes.length ? bytes : bytes.subarray(position, end));
      position = end;
    }
  }

  #hasRoom(): boolean {
    return this.#window > 0 && !this.#sink.isBlocked && !this.#isOver();
  }

  /** false: the reply is over. */
  async #waitForRoom(): Promise<boolean> {
    while (!this.#hasRoom() && !this.#isOver()) {
      this.#release(MORE);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return !this.#isOver();
  }

  #put(bytes: Uint8Array): void {
    this.#window -= bytes.length;
    if (this.#heartbeat !== undefined) this.#lastSent = this.#sink.clock.now();
    if (this.#held !== undefined && this.#held.body === undefined) {
      this.#held.body = bytes;
      return;
    }
    this.#release(MORE);
    this.#sink.sendData(bytes, MORE, this.#stream.parts);
  }

  #hold(head: ReplyHead): void {
    this.#held = { head, body: undefined };
    this.#state = "held";
    this.#sink.endOfTurn(() => this.#release(MORE));
  }

  /** Sends what is held, if anything is. */
  #release(end: FrameEnd): void {
    const held = this.#held;
    if (held === undefined || this.#isOver()) return;
    this.#held = undefined;
    this.#state = "open";
    this.#sink.sendReply(held.head, held.body, end);
  }

  #fail(error: unknown): void {
    const failure = this.#sink.failureOf(error);
    const inBand = this.#state === "open" ? this.#stream.encodeFailure : undefined;
    this.#state = "over";
    this.#stopSteps();
    if (inBand === undefined) this.#sink.sendFailure(failure);
    else this.#sink.sendData(inBand(failure), END, "bytes");
  }

  #stopSteps(): void {
    const steps = this.#steps;
    if (steps === undefined) return;
    try {
      // A generator that is at work hears of it at its next `yield`; one that has ended does nothing.
      const ended = this.#sink.run(() => steps.return?.());
      // Its reader has gone, and with it whoever would be told of an error.
      if (ended instanceof Promise) ended.catch(() => {});
    } catch {
      // As above.
    }
  }

  #beat(intervalMs: number): void {
    this.#lastSent = this.#sink.clock.now();
    const look = () => {
      const silentMs = this.#sink.clock.now() - this.#lastSent;
      // While bytes of a part wait for room, a comment would stand in the middle of it.
      if (silentMs >= intervalMs && this.#hasRoom()) this.#put(this.#stream.heartbeat!.bytes);
      this.#heartbeat = this.#sink.clock.after(silentMs >= intervalMs ? intervalMs : intervalMs - silentMs, look);
    };
    this.#heartbeat = this.#sink.clock.after(intervalMs, look);
  }

  #isOver(): boolean {
    return this.#state === "over";
  }
}

const stepsOf = (items: AsyncIterable<unknown> | Iterable<unknown>): Steps =>
  Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]();
