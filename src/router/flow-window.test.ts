import { expect, test } from "vitest";
import { FLOW_BUDGET_BYTES, FLOW_WINDOW_BYTES, STREAM_WINDOW_BYTES, WIDE_WINDOW_BYTES } from "../model/limits.ts";
import { type FlowingQuery, takeConsumed } from "./flow-window.ts";

const query = (isShadow = false): FlowingQuery => ({ isShadow, window: STREAM_WINDOW_BYTES, unreported: 0 });

/** A replica that sends all that it may, and a reader that takes it in parts: the window after so many bytes. */
const flow = (it: FlowingQuery, bytes: number, sharers: number): number => {
  let onTheWay = it.window - it.unreported;
  for (let read = 0; read < bytes; ) {
    const part = Math.min(40_000, onTheWay);
    expect(part).toBeGreaterThan(0);
    onTheWay += takeConsumed(it, part, sharers) - part;
    read += part;
  }
  expect(onTheWay + it.unreported).toBe(it.window);
  return it.window;
};

test("a window is wide for few queries, and narrower for each of many", () => {
  expect([1, 4, 8, 16, 1_000].map((sharers) => flow(query(), 3_000_000, sharers))).toEqual([
    WIDE_WINDOW_BYTES,
    WIDE_WINDOW_BYTES,
    FLOW_BUDGET_BYTES / 8,
    FLOW_WINDOW_BYTES,
    FLOW_WINDOW_BYTES,
  ]);
});

test("a wide window narrows when more queries come, without stopping its replica, and widens again", () => {
  const it = query();
  expect(flow(it, 3_000_000, 1)).toBe(WIDE_WINDOW_BYTES);
  expect(flow(it, 3_000_000, 100)).toBe(FLOW_WINDOW_BYTES);
  expect(flow(it, 3_000_000, 2)).toBe(WIDE_WINDOW_BYTES);
});

test("the window of a shadow stays narrow", () => {
  expect(flow(query(true), 3_000_000, 1)).toBe(FLOW_WINDOW_BYTES);
});
