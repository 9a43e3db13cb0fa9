import { expect, test } from "vitest";
import { createSystemRandom } from "./system-random.ts";

const random = createSystemRandom();

test("ids are 24 hex digits and do not repeat", () => {
  const ids = Array.from({ length: 10_000 }, () => random.id());
  for (const id of ids) expect(id).toMatch(/^[0-9a-f]{24}$/);
  expect(new Set(ids).size).toBe(ids.length);
});

test("numbers lie in [0, 1) and fill it", () => {
  const numbers = Array.from({ length: 10_000 }, () => random.number());
  expect(numbers.every((number) => number >= 0 && number < 1)).toBe(true);
  const tenths = new Set(numbers.map((number) => Math.floor(number * 10)));
  expect(tenths.size).toBe(10);
});
