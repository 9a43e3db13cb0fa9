import { expect, test } from "vitest";
import { LineBound } from "./line-bound.ts";

test("lets so many lines through in each window, and the next one tells how many were left out", () => {
  const bound = new LineBound({ mostLines: 2, windowMs: 1_000 });
  expect([0, 10, 20, 999].map((now) => bound.take(now))).toEqual([{}, {}, undefined, undefined]);
  expect([1_000, 1_001, 1_002].map((now) => bound.take(now))).toEqual([{ leftOut: 2 }, {}, undefined]);
  expect(bound.take(9_000)).toEqual({ leftOut: 1 });
});
