/**
 * Keys to look at again at given instants: a binary heap of wishes. A key may be wished for several times; an early look that finds
 * nothing to do is cheap, so wishes are never taken back.
 */
import type { DirtyKey } from "../core/dirty.ts";
import type { Instant } from "../ports/clock.ts";

interface Wish {
  readonly at: Instant;
  readonly key: DirtyKey;
}

export class WakeQueue {
  readonly #heap: Wish[] = [];
  /** Earliest wish of each key: later ones are dropped as long as it stands. */
  readonly #earliest = new Map<DirtyKey, Instant>();

  add(key: DirtyKey, at: Instant): void {
    if (!Number.isFinite(at) || at >= (this.#earliest.get(key) ?? Infinity)) return;
    this.#earliest.set(key, at);
    this.#heap.push({ at, key });
    this.#rise(this.#heap.length - 1);
  }

  next(): Instant | undefined {
    return this.#heap[0]?.at;
  }

  /** Takes out what is due. */
  take(now: Instant): readonly DirtyKey[] {
    const due: DirtyKey[] = [];
    for (let first = this.#heap[0]; first !== undefined && first.at <= now; first = this.#heap[0]) {
      this.#removeFirst();
      if (this.#earliest.get(first.key) === first.at) this.#earliest.delete(first.key);
      due.push(first.key);
    }
    return due;
  }

  #removeFirst(): void {
    const last = this.#heap.pop();
    if (last === undefined || this.#heap.length === 0) return;
    this.#heap[0] = last;
    this.#sink(0);
  }

  #rise(index: number): void {
    for (let child = index; child > 0; ) {
      const parent = (child - 1) >> 1;
      if (!this.#swapIfEarlier(child, parent)) return;
      child = parent;
    }
  }

  #sink(index: number): void {
    for (let parent = index; ; ) {
      const left = 2 * parent + 1;
      const right = left + 1;
      const earlier = this.#at(right) < this.#at(left) ? right : left;
      if (!this.#swapIfEarlier(earlier, parent)) return;
      parent = earlier;
    }
  }

  #at(index: number): Instant {
    return this.#heap[index]?.at ?? Infinity;
  }

  #swapIfEarlier(a: number, b: number): boolean {
    const [first, second] = [this.#heap[a], this.#heap[b]];
    if (first === undefined || second === undefined || first.at >= second.at) return false;
    this.#heap[a] = second;
    this.#heap[b] = first;
    return true;
  }
}
