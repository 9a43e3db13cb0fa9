/**
 * The body of a query that is still arriving, between who gives it and the replica that gets it. Up to STREAM_WINDOW_BYTES may be sent
 * before the replica has used any: they are kept, so that a refused query can be sent again. From the first bytes that were used up on
 * the query is with one replica for good, and only what waits for its credit is held: about a window, whatever the length of the body.
 */
import { WaitingParts } from "../core/wire/waiting-parts.ts";
import { STREAM_WINDOW_BYTES } from "../model/limits.ts";

/** Who fills the body. Nothing is called after `onClosed`. */
export interface BodyGiver {
  /** There is room again: go on. */
  onRoom(): void;
  /** The handler waits for the body, of which nothing has come. */
  onWanted(): void;
  /** Nobody takes the rest. */
  onClosed(): void;
}

export class StreamedBody {
  readonly #giver: BodyGiver;
  /** Called when there is more to take; the query's. */
  onGrown: (() => void) | undefined;
  /** What can be sent again; undefined: no more. */
  #head: Uint8Array | undefined = new Uint8Array(STREAM_WINDOW_BYTES);
  #headBytes = 0;
  #headTaken = 0;
  #tail = new WaitingParts();
  #tailBytes = 0;
  #isComplete = false;
  #isClosed = false;
  #isStopped = false;

  constructor(giver: BodyGiver) {
    this.#giver = giver;
  }

  // ── for who gives

  /** false: enough for now; wait for `onRoom`. */
  add(bytes: Uint8Array, part: "more" | "end"): boolean {
    if (this.#isClosed || this.#isComplete) return true;
    const rest = this.#head === undefined ? bytes : this.#keep(this.#head, bytes);
    if (rest.length > 0) {
      this.#tail.add(rest);
      this.#tailBytes += rest.length;
    }
    this.#isComplete = part === "end";
    this.onGrown?.();
    this.#isStopped = this.isFull;
    return !this.#isStopped;
  }

  // ── for the router

  /** Holds all that it may: it waits for the replica, not for the giver. */
  get isFull(): boolean {
    return (this.#head === undefined ? 0 : this.#headBytes) + this.#tailBytes >= STREAM_WINDOW_BYTES;
  }

  /** It waits for the giver. */
  get isStarved(): boolean {
    return !this.#isComplete && !this.isFull;
  }

  /** Everything has come and was taken. */
  get isTaken(): boolean {
    return this.#isComplete && this.#headTaken === this.#headBytes && this.#tail.isEmpty;
  }

  get canReplay(): boolean {
    return this.#head !== undefined;
  }

  /** From the beginning again, for another replica. */
  rewind(): void {
    this.#headTaken = 0;
  }

  /** At most so many bytes more; undefined: nothing is there, or none are allowed. */
  take(bytes: number): Uint8Array | undefined {
    if (bytes <= 0) return undefined;
    if (this.#head !== undefined && this.#headTaken < this.#headBytes) {
      const from = this.#headTaken;
      this.#headTaken = Math.min(this.#headBytes, from + bytes);
      return this.#head.subarray(from, this.#headTaken);
    }
    const part = this.#tail.take(bytes);
    if (part === undefined) return undefined;
    this.#tailBytes -= part.length;
    return part;
  }

  /** The handler waits for bytes. */
  wanted(): void {
    if (!this.#isClosed) this.#giver.onWanted();
  }

  /** The replica has used some: nothing is kept for another. What was sent is all that the head holds. */
  release(): void {
    this.#head = undefined;
    this.#headBytes = 0;
    this.#headTaken = 0;
  }

  /** After `take` or `release`: asks for more when there is room. */
  ask(): void {
    if (!this.#isStopped || this.#isClosed || this.isFull) return;
    this.#isStopped = false;
    this.#giver.onRoom();
  }

  /** The query is over. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.onGrown = undefined;
    this.#head = undefined;
    this.#tail = new WaitingParts();
    this.#giver.onClosed();
  }

  /** Answers what did not fit. A copy, so that a body in tiny parts costs no more than one in large ones. */
  #keep(head: Uint8Array, bytes: Uint8Array): Uint8Array {
    const count = Math.min(bytes.length, STREAM_WINDOW_BYTES - this.#headBytes);
    head.set(count === bytes.length ? bytes : bytes.subarray(0, count), this.#headBytes);
    this.#headBytes += count;
    return bytes.subarray(count);
  }
}
