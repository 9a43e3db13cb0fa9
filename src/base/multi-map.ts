/**
 * A map from a key to a set of values: the indexes of the controller's view are made of it.
 * Adding and removing cost the same whatever is in it; a key without values takes no space. Values keep the order of their adding.
 */

const NONE: ReadonlySet<never> = new Set();

export class MultiMap<K, V> {
  readonly #sets = new Map<K, Set<V>>();

  add(key: K, value: V): void {
    const set = this.#sets.get(key);
    if (set === undefined) this.#sets.set(key, new Set([value]));
    else set.add(value);
  }

  delete(key: K, value: V): void {
    const set = this.#sets.get(key);
    if (set === undefined) return;
    set.delete(value);
    if (set.size === 0) this.#sets.delete(key);
  }

  /** Takes the value from one key to another; undefined: it was, or will be, at none. */
  move(value: V, from: K | undefined, to: K | undefined): void {
    if (from === to) return;
    if (from !== undefined) this.delete(from, value);
    if (to !== undefined) this.add(to, value);
  }

  /** Live: do not keep it over a change. */
  get(key: K): ReadonlySet<V> {
    return this.#sets.get(key) ?? NONE;
  }

  keys(): IterableIterator<K> {
    return this.#sets.keys();
  }
}
