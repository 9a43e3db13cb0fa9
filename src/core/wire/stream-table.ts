/**
 * The open streams of a connection by id: a Map for ids that rise, of which most are gone soon. A Map that is filled and emptied all the
 * time rebuilds its table every few entries, each old table points at the next, and once one of them is old the garbage collector
 * keeps them all, with every query that was in them, until a full collection: a fifth of a router's time. Here entries lie in a ring
 * and leave nothing behind. One that is still there when the ring comes round moves to a Map, where there is little to and fro.
 */

const MIN_CAPACITY = 64;
/** No id: stream 0 is the connection itself, and a peer may name it. */
const FREE = -1;

export class StreamTable<T> {
  #ids: number[] = new Array<number>(MIN_CAPACITY).fill(FREE);
  #values: (T | undefined)[] = new Array<T | undefined>(MIN_CAPACITY).fill(undefined);
  /** A power of two less one. */
  #mask = MIN_CAPACITY - 1;
  #inRing = 0;
  readonly #longLived = new Map<number, T>();

  get size(): number {
    return this.#inRing + this.#longLived.size;
  }

  get(id: number): T | undefined {
    const slot = id & this.#mask;
    if (this.#ids[slot] === id) return this.#values[slot];
    return this.#longLived.size === 0 ? undefined : this.#longLived.get(id);
  }

  /** @param id above 0, and above every id set before. */
  set(id: number, value: T): void {
    if (this.#inRing * 2 > this.#mask) this.#grow();
    const slot = id & this.#mask;
    const older = this.#ids[slot]!;
    if (older !== FREE) {
      this.#longLived.set(older, this.#values[slot]!);
      this.#inRing -= 1;
    }
    this.#ids[slot] = id;
    this.#values[slot] = value;
    this.#inRing += 1;
  }

  delete(id: number): boolean {
    const slot = id & this.#mask;
    if (this.#ids[slot] !== id) return this.#longLived.size > 0 && this.#longLived.delete(id);
    this.#ids[slot] = FREE;
    this.#values[slot] = undefined;
    this.#inRing -= 1;
    return true;
  }

  clear(): void {
    this.#ids.fill(FREE);
    this.#values.fill(undefined);
    this.#inRing = 0;
    this.#longLived.clear();
  }

  /** Ids and values, oldest first. */
  entries(): readonly (readonly [number, T])[] {
    const all: (readonly [number, T])[] = [...this.#longLived];
    for (const [slot, id] of this.#ids.entries()) if (id !== FREE) all.push([id, this.#values[slot]!]);
    return all.sort(([a], [b]) => a - b);
  }

  /** Ids that differ in the smaller ring differ in the larger one. */
  #grow(): void {
    const entries = this.#ids.map((id, slot) => [id, this.#values[slot]] as const).filter(([id]) => id !== FREE);
    const capacity = (this.#mask + 1) * 2;
    this.#mask = capacity - 1;
    this.#ids = new Array<number>(capacity).fill(FREE);
    this.#values = new Array<T | undefined>(capacity).fill(undefined);
    for (const [id, value] of entries) {
      this.#ids[id & this.#mask] = id;
      this.#values[id & this.#mask] = value;
    }
  }
}
