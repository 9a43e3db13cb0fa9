/**
 * A map from positive whole numbers that are given out in rising order to objects, for tables that change with every query. A `Map` makes
 * a new table every so many changes, and V8 links the old one to the new: once one of them is in the old generation, all that follow
 * and what they held are kept until the next full collection (measured: a third of all queries). This one changes in place.
 */

const MIN_SLOTS = 16;

export class IdTable<T extends object> {
  /** 0 = empty. An id stands in the slot of its low bits, or the next free one behind it. */
  #ids: number[] = new Array<number>(MIN_SLOTS).fill(0);
  #values: (T | undefined)[] = new Array<T | undefined>(MIN_SLOTS).fill(undefined);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(id: number): T | undefined {
    const slot = this.#find(id);
    return slot < 0 ? undefined : this.#values[slot];
  }

  /** Only for an id that is not in it. */
  add(id: number, value: T): void {
    if (this.#size * 2 >= this.#ids.length) this.#grow();
    this.#put(id, value);
    this.#size += 1;
  }

  /** false: it was not in it. */
  delete(id: number): boolean {
    const slot = this.#find(id);
    if (slot < 0) return false;
    this.#size -= 1;
    this.#close(slot);
    return true;
  }

  /** A copy: what is added or deleted meanwhile does not change it. */
  values(): T[] {
    return this.#values.filter((value) => value !== undefined);
  }

  #find(id: number): number {
    const ids = this.#ids;
    const mask = ids.length - 1;
    for (let slot = id & mask; ids[slot] !== 0; slot = (slot + 1) & mask) if (ids[slot] === id) return slot;
    return -1;
  }

  #put(id: number, value: T): void {
    const mask = this.#ids.length - 1;
    let slot = id & mask;
    while (this.#ids[slot] !== 0) slot = (slot + 1) & mask;
    this.#ids[slot] = id;
    this.#values[slot] = value;
  }

  /** Empties a slot and moves up what stands behind it only because that slot was taken. */
  #close(empty: number): void {
    const ids = this.#ids;
    const mask = ids.length - 1;
    let hole = empty;
    for (let slot = (hole + 1) & mask; ids[slot] !== 0; slot = (slot + 1) & mask) {
      const home = ids[slot]! & mask;
      // How far it is from home, and how far the hole is: it may move when the hole is not before its home.
      if (((slot - home) & mask) < ((slot - hole) & mask)) continue;
      ids[hole] = ids[slot]!;
      this.#values[hole] = this.#values[slot];
      hole = slot;
    }
    ids[hole] = 0;
    this.#values[hole] = undefined;
  }

  #grow(): void {
    const [ids, values] = [this.#ids, this.#values];
    this.#ids = new Array<number>(ids.length * 2).fill(0);
    this.#values = new Array<T | undefined>(ids.length * 2).fill(undefined);
    for (let slot = 0; slot < ids.length; slot += 1) if (ids[slot] !== 0) this.#put(ids[slot]!, values[slot]!);
  }
}
