/**
 * Counting on the hot path: a counter is a number in an object, a histogram a typed array whose bucket is found by counting leading
 * zeros. Whoever counts holds the object; nothing is looked up, compared or allocated when something is counted.
 *
 * The upper edges of a histogram are `first`, 2 × `first`, 4 × `first` …; a value on an edge is below it, as Prometheus has it.
 */

export interface Scale {
  /** Upper edge of the first bucket; 1 divided by it is a whole number. */
  readonly first: number;
  /** How many edges there are; what is above the last goes into one bucket more. At most 30. */
  readonly edges: number;
}

export class Counter {
  count = 0;

  add(count = 1): void {
    this.count += count;
  }
}

export class Histogram {
  /** Values in each bucket, not summed up; the last is what is above all edges. */
  readonly counts: Float64Array;
  sum = 0;
  readonly #perFirst: number;
  readonly #edges: number;
  /** In units of the first edge: what is above the last one. */
  readonly #beyond: number;

  constructor({ first, edges }: Scale) {
    this.counts = new Float64Array(edges + 1);
    this.#perFirst = 1 / first;
    this.#edges = edges;
    this.#beyond = 2 ** (edges - 1);
  }

  /** @param value not negative; what is not a number counts as 0. */
  record(value: number): void {
    const units = value * this.#perFirst;
    // Above 1 and up to 2 units is bucket 1: 32 - clz32(ceil(1.5) - 1) = 32 - clz32(1) = 1. The comparisons also catch NaN.
    const bucket = units > this.#beyond ? this.#edges : units > 1 ? 32 - Math.clz32(Math.ceil(units) - 1) : 0;
    this.counts[bucket]! += 1;
    if (units > 0) this.sum += value;
  }
}

/** Upper edges, smallest first. */
export const edgesOf = ({ first, edges }: Scale): readonly number[] =>
  Array.from({ length: edges }, (_, index) => first * 2 ** index);
