import { expect, test } from "vitest";
import { jsonBody, jsonOf } from "./json-values.ts";

const refusal = (value: unknown): string => {
  try {
    jsonOf(value, { path: 'backend "iris": userConfig', cure: "what is saved is JSON; pass JSON values" });
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error("the value was taken");
};

test("JSON values are taken as they are, without what is undefined", () => {
  const value = { a: [1, "two", null, { b: true }], c: undefined, d: {} };
  expect(jsonOf(value, { path: "x", cure: "y" })).toEqual({ a: [1, "two", null, { b: true }], d: {} });
});

test.each([
  ["NaN", { rate: Number.NaN }, 'backend "iris": userConfig.rate is NaN: what is saved is JSON; pass JSON values.'],
  ["a bigint", [1n], 'backend "iris": userConfig[0] is a bigint: what is saved is JSON; pass JSON values.'],
  ["a Map", new Map(), 'backend "iris": userConfig is a Map: what is saved is JSON; pass JSON values.'],
  [
    "a Date",
    { a: [new Date()] },
    'backend "iris": userConfig.a[0] is a Date: what is saved is JSON; pass JSON values.',
  ],
  [
    "a function",
    { f: () => 1 },
    'backend "iris": userConfig.f is a function: what is saved is JSON; pass JSON values.',
  ],
  [
    "undefined in a list",
    [undefined],
    'backend "iris": userConfig[0] is undefined: what is saved is JSON; pass JSON values.',
  ],
])("%s is refused with its path", (_what, value, message) => {
  expect(refusal(value)).toBe(message);
});

test("a circle is refused in a sentence of bearable length", () => {
  const circle: { self?: unknown } = {};
  circle.self = circle;
  expect(refusal(circle)).toMatch(/is nested more than 200 levels deep: .*pass JSON values\.$/);
  expect(refusal(circle).length).toBeLessThan(250);
});

test("of a body each member is checked; what is no object is left to REST", () => {
  expect(() => jsonBody({ weights: { a: Number.NaN } }, 'endpoint "e"')).toThrow('endpoint "e": weights.a is NaN');
  expect(jsonBody(null, "x")).toBe(null);
});
