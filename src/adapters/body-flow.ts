/**
 * A request's body on its way from the engine to who takes it: what comes with the head in one piece, then part by part, held back when
 * it is told to. While it is held back for long, it reads on within bounds (read-ahead.ts), and gives that first when it goes on.
 */
import type { IncomingMessage } from "node:http";
import { WaitingParts } from "../core/wire/waiting-parts.ts";
import { STREAM_WINDOW_BYTES } from "../model/limits.ts";
import type { ReadAhead, StandingBody } from "./read-ahead.ts";

type OnPart = (bytes: Uint8Array, part: "more" | "end") => void;

const NOTHING = new Uint8Array(0);

export class BodyFlow implements StandingBody {
  readonly #request: IncomingMessage;
  readonly #ahead: ReadAhead;
  #onPart: OnPart | undefined;
  /** What came before the first part was given. */
  #early: Buffer[] | undefined = [];
  #earlyBytes = 0;
  #isPaused = false;
  /** Read while it was paused. */
  #held = new WaitingParts();
  #heldBytes = 0;
  #hasEnded = false;

  constructor(request: IncomingMessage, ahead: ReadAhead, onPart: OnPart) {
    this.#request = request;
    this.#ahead = ahead;
    this.#onPart = onPart;
    request.on("data", (part: Buffer) => this.#take(part));
    request.on("end", () => this.#end());
    setImmediate(() => this.#giveEarly("more"));
  }

  pause(): void {
    if (this.#isPaused || this.#onPart === undefined) return;
    this.#isPaused = true;
    this.#request.pause();
    this.#ahead.stands(this);
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#ahead.flows(this);
    for (let part = this.#held.shift(); part !== undefined; part = this.#held.shift()) {
      this.#heldBytes -= part.length;
      this.#ahead.release(part.length);
      this.#onPart?.(part, "more");
      // It was paused again, by what it gave.
      if (this.#isPaused) return;
    }
    if (this.#hasEnded) this.#onPart?.(NOTHING, "end");
    else this.#request.resume();
  }

  readOn(): void {
    if (this.#isPaused) this.#request.resume();
  }

  /** Nobody takes the rest: it is read away, or would stand before the next request. */
  drop(): void {
    if (this.#onPart === undefined) return;
    this.leave();
    this.#request.resume();
  }

  /** The connection is closed, or of no more use. */
  leave(): void {
    this.#onPart = undefined;
    this.#isPaused = false;
    this.#ahead.flows(this);
    this.#ahead.release(this.#heldBytes);
    this.#held = new WaitingParts();
    this.#heldBytes = 0;
  }

  #take(part: Buffer): void {
    if (this.#early !== undefined) {
      this.#early.push(part);
      this.#earlyBytes += part.length;
      if (this.#earlyBytes >= STREAM_WINDOW_BYTES) this.#giveEarly("more");
    } else if (this.#isPaused) this.#hold(part);
    else this.#onPart?.(part, "more");
  }

  #end(): void {
    if (this.#early !== undefined) this.#giveEarly("end");
    else if (this.#isPaused) this.#hasEnded = true;
    else this.#onPart?.(NOTHING, "end");
  }

  #hold(part: Buffer): void {
    this.#held.add(part);
    const goesOn = this.#ahead.hold(this.#heldBytes, part.length);
    this.#heldBytes += part.length;
    if (!goesOn) this.#request.pause();
  }

  #giveEarly(part: "more" | "end"): void {
    const early = this.#early;
    if (early === undefined) return;
    this.#early = undefined;
    this.#onPart?.(early.length === 1 ? early[0]! : Buffer.concat(early), part);
  }
}
