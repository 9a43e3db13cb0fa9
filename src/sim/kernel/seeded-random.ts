/**
 * Randomness from a seed (sfc32): the same seed gives the same numbers for ever. Everything random in a simulation comes from one of
 * these; `fork` makes an independent one, so that one part's draws do not shift another's.
 */
import type { Random } from "../../ports/random.ts";

export class SeededRandom implements Random {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  constructor(seed: string) {
    const words = hashWords(seed);
    [this.#a, this.#b, this.#c] = words;
    // The first draws of similar seeds are similar.
    for (let round = 0; round < 15; round += 1) this.#next();
  }

  number(): number {
    return this.#next() / 4_294_967_296;
  }

  id(): string {
    return [this.#next(), this.#next(), this.#next()].map((word) => word.toString(16).padStart(8, "0")).join("");
  }

  /** Uniform in [from, to). */
  between(from: number, to: number): number {
    return from + (to - from) * this.number();
  }

  /** A whole number in [0, count). */
  below(count: number): number {
    return Math.floor(this.number() * count);
  }

  chance(probability: number): boolean {
    return this.number() < probability;
  }

  pick<T>(items: readonly T[]): T | undefined {
    return items[this.below(items.length)];
  }

  fork(name: string): SeededRandom {
    return new SeededRandom(`${name}/${this.id()}`);
  }

  #next(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum;
    this.#c |= 0;
    return sum >>> 0;
  }
}

/** FNV-1a from three different beginnings. */
const hashWords = (text: string): [number, number, number] => {
  const hash = (begin: number): number => {
    let word = begin;
    for (let index = 0; index < text.length; index += 1) word = Math.imul(word ^ text.charCodeAt(index), 0x01000193);
    return word | 0;
  };
  return [hash(0x811c9dc5), hash(0x9e3779b9), hash(0x85ebca6b)];
};
