import fc from "fast-check";
import { expect, test } from "vitest";
import { edgesOf, Histogram } from "./histogram.ts";

const SCALE = { first: 0.125, edges: 20 };

const bucketOf = (value: number): number => {
  const histogram = new Histogram(SCALE);
  histogram.record(value);
  return histogram.counts.indexOf(1);
};

/** What Prometheus means by `le`: the first edge that is not below the value. */
const wantedBucket = (value: number): number => {
  const found = edgesOf(SCALE).findIndex((edge) => value <= edge);
  return found < 0 ? SCALE.edges : found;
};

test("the edges double", () => {
  expect(edgesOf(SCALE).slice(0, 4)).toEqual([0.125, 0.25, 0.5, 1]);
  expect(edgesOf(SCALE).at(-1)).toBe(65_536);
});

test("a value on an edge is in the bucket below it, one just above it in the next", () => {
  for (const [index, edge] of edgesOf(SCALE).entries()) {
    expect(bucketOf(edge)).toBe(index);
    expect(bucketOf(edge * (1 + Number.EPSILON))).toBe(index + 1);
  }
});

test("every value is in the first bucket whose edge is not below it", () => {
  const values = fc.oneof(
    fc.double({ min: 0, max: 1e6, noNaN: true }),
    fc.double({ min: 0, noNaN: true, noDefaultInfinity: false }),
  );
  fc.assert(
    fc.property(values, (value) => {
      expect(bucketOf(value)).toBe(wantedBucket(value));
    }),
  );
});

test("the sum is that of the values, and what cannot be measured is 0", () => {
  const histogram = new Histogram(SCALE);
  for (const value of [0.5, 2, Number.NaN, -3]) histogram.record(value);
  expect(histogram.sum).toBe(2.5);
  expect([...histogram.counts.slice(0, 5)]).toEqual([2, 0, 1, 0, 1]);
});
