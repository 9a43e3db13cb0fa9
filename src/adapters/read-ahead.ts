/**
 * Which uploads stand still because their handler does not read, and how much of them is read all the same. A client that leaves is seen
 * at the end of what it has sent, so somebody has to read that far: after a moment, and up to a bound each and all together. Uploads
 * that flow are not touched.
 */
import type { EdgeLimits } from "./edge-limits.ts";

export interface StandingBody {
  /** Nobody has taken anything for a while: read on and hold it. */
  readOn(): void;
}

export class ReadAhead {
  readonly #limits: Pick<EdgeLimits, "readAheadAfterMs" | "readAheadBytes" | "readAheadTotalBytes">;
  /** Since when each stands. */
  readonly #standing = new Map<StandingBody, number>();
  #heldBytes = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(limits: Pick<EdgeLimits, "readAheadAfterMs" | "readAheadBytes" | "readAheadTotalBytes">) {
    this.#limits = limits;
  }

  stands(body: StandingBody): void {
    this.#standing.set(body, performance.now());
    this.#timer ??= setInterval(() => this.#look(), this.#limits.readAheadAfterMs).unref();
  }

  /** Safe for one that does not stand. */
  flows(body: StandingBody): void {
    this.#standing.delete(body);
  }

  /** @param heldBytes what this body holds already. false: it must stop. */
  hold(heldBytes: number, bytes: number): boolean {
    this.#heldBytes += bytes;
    const { readAheadBytes, readAheadTotalBytes } = this.#limits;
    return heldBytes + bytes < readAheadBytes && this.#heldBytes < readAheadTotalBytes;
  }

  release(bytes: number): void {
    this.#heldBytes -= bytes;
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#standing.clear();
  }

  #look(): void {
    const before = performance.now() - this.#limits.readAheadAfterMs;
    for (const [body, since] of this.#standing) {
      if (since > before) continue;
      this.#standing.delete(body);
      if (this.#heldBytes < this.#limits.readAheadTotalBytes) body.readOn();
    }
    if (this.#standing.size === 0) this.stop();
  }
}
