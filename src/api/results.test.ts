import { describe, expect, test } from "vitest";
import { isNdjson, isSse, isSseEvent, ndjson, ndjsonOf, sse, sseOf } from "./results.ts";

const items = async function* () {
  yield 1;
};

describe("sse()", () => {
  test("keeps the iterable and its options for the replica", () => {
    const events = items();
    const result = sse(events, { heartbeatMs: 15_000, done: "[DONE]" });
    expect(isSse(result)).toBe(true);
    expect(isNdjson(result)).toBe(false);
    expect(sseOf(result)).toEqual({ events, heartbeatMs: 15_000, done: "[DONE]" });
    expect(sseOf(sse(events))).toEqual({ events, heartbeatMs: undefined, done: undefined });
  });

  test("says what to do when it is given the generator function instead of what it returns", () => {
    expect(() => sse(items as never)).toThrow(
      expect.objectContaining({
        code: "result-invalid",
        message: expect.stringContaining("Call the generator function"),
      }),
    );
    expect(() => sse([1] as never)).toThrow(/takes an async iterable/);
    expect(() => sse(null as never)).toThrow(/got null/);
  });

  test.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY])("refuses a heartbeat of %s ms", (heartbeatMs) => {
    expect(() => sse(items(), { heartbeatMs })).toThrow(/heartbeatMs must be a positive number/);
  });

  test.each([
    [{ data: 1 }, true],
    [{ data: 1, event: "tick", id: "7" }, true],
    [{ data: 1, extra: true }, false],
    [{ event: "tick" }, false],
    ["data", false],
    [null, false],
  ])("takes %j as an event with fields of its own: %s", (item, expected) => {
    expect(isSseEvent(item)).toBe(expected);
  });
});

describe("ndjson()", () => {
  test("takes sync and async iterables", () => {
    const stream = items();
    expect(ndjsonOf(ndjson(stream))).toEqual({ items: stream });
    expect(ndjsonOf(ndjson([1, 2]))).toEqual({ items: [1, 2] });
    expect(isNdjson(ndjson(new Set([1])))).toBe(true);
  });

  test("refuses what cannot be iterated", () => {
    expect(() => ndjson({} as never)).toThrow(/ndjson\(\) takes an iterable/);
  });
});

test("other values are neither", () => {
  for (const value of [undefined, null, "x", {}, [], items()]) {
    expect(isSse(value)).toBe(false);
    expect(isNdjson(value)).toBe(false);
  }
});
