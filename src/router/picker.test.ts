import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { backendOf, endpointOf } from "../../tests/harness/router-lab.ts";
import { Picker } from "./picker.ts";

const KEYS = Array.from({ length: 20_000 }, (_, index) => `user-${index}`);
const noChance = () => {
  throw new Error("asked for a random number");
};

function pickerOf(traffic: Record<string, number>, shadows: Record<string, number> = {}): Picker {
  const backends = Object.fromEntries(
    [...Object.keys(traffic), ...Object.keys(shadows)].map((tag) => [tag, backendOf([])]),
  );
  return new Picker({ ...endpointOf(backends), traffic, shadows });
}

const picksOf = (picker: Picker) => KEYS.map((key) => picker.pick(key, noChance));
const shareOf = (picks: readonly (string | undefined)[], tag: string) =>
  picks.filter((pick) => pick === tag).length / picks.length;

const weights = fc
  .array(fc.integer({ min: 1, max: 1_000 }), { minLength: 1, maxLength: 6 })
  .map((parts) => parts.map((part) => part / parts.reduce((sum, one) => sum + one, 0)))
  .map((shares) => Object.fromEntries(shares.map((share, index) => [`b${index}`, share])));

describe("the picker", () => {
  test("one number falls into the shares in the order of the names", () => {
    const picker = pickerOf({ b2: 0.5, b0: 0.2, b1: 0.3 });
    const at = (number: number) => picker.pick(undefined, () => number);
    expect([0, 0.19, 0.2, 0.49, 0.5, 0.999].map(at)).toEqual(["b0", "b0", "b1", "b1", "b2", "b2"]);
  });

  test("a number in the gap that rounding leaves goes to the last backend (defect 20 of the ancestor)", () => {
    const picker = pickerOf({ b0: 0.333, b1: 0.333, b2: 0.333 });
    expect(picker.pick(undefined, () => 0.9995)).toBe("b2");
  });

  test("a backend of weight 0 is never picked, and an endpoint without any share picks nothing", () => {
    const picker = pickerOf({ a: 0, b: 1 });
    expect([undefined, ...KEYS.slice(0, 100)].map((key) => picker.pick(key, noChance))).not.toContain("a");
    expect(pickerOf({}).pick("key", noChance)).toBeUndefined();
  });

  test("a shard key needs no chance, and each backend gets its share of the keys", () => {
    fc.assert(
      fc.property(weights, (traffic) => {
        const picks = picksOf(pickerOf(traffic));
        for (const [tag, weight] of Object.entries(traffic))
          expect(Math.abs(shareOf(picks, tag) - weight)).toBeLessThan(0.02);
      }),
      { numRuns: 20 },
    );
  });

  test("the same key goes the same way in every process and version", () => {
    const picker = pickerOf({ "iris:v1": 0.5, "iris:v2": 0.3, "iris:v3": 0.2 });
    const keys = ["", "a", "b", "user-1", "user-2", "session:42", "日本", "a".repeat(1_000)];
    expect(keys.map((key) => picker.pick(key, noChance))).toMatchInlineSnapshot(`
      [
        "iris:v2",
        "iris:v1",
        "iris:v2",
        "iris:v2",
        "iris:v1",
        "iris:v1",
        "iris:v1",
        "iris:v1",
      ]
    `);
  });

  test("a change of weights moves no key to a backend whose weight has not grown in relation to the one it leaves", () => {
    fc.assert(
      fc.property(weights, weights, (before, after) => {
        const [was, is] = [picksOf(pickerOf(before)), picksOf(pickerOf(after))];
        for (let index = 0; index < KEYS.length; index += 1) {
          const [from, to] = [was[index]!, is[index]!];
          if (from === to) continue;
          const growth = (tag: string) => (after[tag] ?? 0) / (before[tag] ?? 0);
          expect(growth(to)).toBeGreaterThan(growth(from));
        }
      }),
      { numRuns: 20 },
    );
  });

  test("a canary that grows takes keys only from the others, and only as many as it grows by", () => {
    const was = picksOf(pickerOf({ v1: 0.99, v2: 0.01 }));
    const is = picksOf(pickerOf({ v1: 0.9, v2: 0.1 }));
    const moved = KEYS.filter((_, index) => was[index] !== is[index]);
    expect(moved.length / KEYS.length).toBeCloseTo(0.09, 1);
    expect(moved.every((key) => is[KEYS.indexOf(key)] === "v2")).toBe(true);
  });

  test("three shares that become others move about the smallest possible part of the keys", () => {
    const was = picksOf(pickerOf({ a: 1 / 3, b: 1 / 3, c: 1 / 3 }));
    const is = picksOf(pickerOf({ a: 1 / 2, b: 1 / 4, c: 1 / 4 }));
    const moved = KEYS.filter((_, index) => was[index] !== is[index]).length / KEYS.length;
    expect(Math.abs(moved - 1 / 6)).toBeLessThan(0.01);
  });

  test("shadows are drawn one by one, independently of the primary, and a key decides for good", () => {
    const picker = pickerOf({ a: 0.5, b: 0.5 }, { s: 0.25, all: 1, none: 0 });
    const shadowed = KEYS.filter((key) => picker.pickShadows(key, noChance).includes("s" as never));
    expect(Math.abs(shadowed.length / KEYS.length - 0.25)).toBeLessThan(0.02);
    const ofA = shadowed.filter((key) => picker.pick(key, noChance) === "a").length / shadowed.length;
    expect(Math.abs(ofA - 0.5)).toBeLessThan(0.03);
    expect(picker.pickShadows("k", noChance)).toContain("all");
    expect(picker.pickShadows(undefined, () => 0.3)).toEqual(["all"]);
    expect(picker.pickShadows(undefined, () => 0.2)).toEqual(["all", "s"]);
  });
});
