/**
 * What the outgoing connections of a transport read into, when their owner takes lent memory. Small reads lie one behind the other in
 * memory that belongs to who has got them. A connection whose memory is filled by one reads into a large piece from a pool while much
 * comes, and lends it to who takes the bytes. Reading into used memory saves page faults and garbage collection, a large read wake-ups.
 */
import { LentMemory } from "../base/lent-memory.ts";
import { LEAST_READ_BYTES, LENT_READ_BYTES, MAX_IDLE_READ_MEMORIES, READ_BYTES } from "../model/limits.ts";
import type { SocketEvents } from "../ports/transport.ts";

export class ReadPool {
  readonly #idle: Uint8Array[] = [];

  take(): Uint8Array {
    return this.#idle.pop() ?? memory(READ_BYTES);
  }

  giveBack(piece: Uint8Array): void {
    if (this.#idle.length < MAX_IDLE_READ_MEMORIES) this.#idle.push(piece);
  }
}

export type LendingEvents = SocketEvents & Required<Pick<SocketEvents, "onLent">>;

export const lends = (events: SocketEvents): events is LendingEvents => events.onLent !== undefined;

/** `onread` of a socket of node:net. */
export function readsInto(pool: ReadPool, events: LendingEvents) {
  /** What nobody has got of the memory for small reads. */
  let rest = memory(LENT_READ_BYTES);
  let next = rest;
  return {
    /** Asked before the first read, and after each callback. */
    buffer: () => next,
    callback(count: number, piece: Uint8Array): boolean {
      if (piece === rest) {
        rest = piece.length - count < LEAST_READ_BYTES ? memory(LENT_READ_BYTES) : piece.subarray(count);
        next = count < piece.length ? rest : pool.take();
        events.onData(piece.subarray(0, count));
      } else if (count < LENT_READ_BYTES) {
        next = rest;
        const copy = piece.slice(0, count);
        pool.giveBack(piece);
        events.onData(copy);
      } else {
        const lent = new LentMemory(piece.length, () => pool.giveBack(piece));
        const letGo = lent.hold();
        events.onLent(piece.subarray(0, count), lent);
        letGo();
        next = pool.take();
      }
      return true;
    },
  };
}

/** Not zeroed: only what was read into it is given to anybody. */
const memory = (bytes: number): Uint8Array => new Uint8Array(Buffer.allocUnsafeSlow(bytes).buffer);
