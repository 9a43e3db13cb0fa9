import { expect, test } from "vitest";
import { FLOW_BUDGET_BYTES, FLOW_WINDOW_BYTES, STREAM_WINDOW_BYTES, WIDE_WINDOW_BYTES } from "../model/limits.ts";
import { FlowBudget, type FlowingQuery, takeConsumed, WideWindow } from "./flow-window.ts";

const query = (wantedWindow: () => number = () => FLOW_WINDOW_BYTES): FlowingQuery => ({
  window: STREAM_WINDOW_BYTES,
  unreported: 0,
  wantedWindow,
});

/** A replica that sends all that it may, and a reader that takes it in parts: the window after so many bytes. */
const flow = (it: FlowingQuery, bytes: number): number => {
  let onTheWay = it.window - it.unreported;
  for (let read = 0; read < bytes; ) {
    const part = Math.min(40_000, onTheWay);
    expect(part).toBeGreaterThan(0);
    onTheWay += takeConsumed(it, part) - part;
    read += part;
  }
  expect(onTheWay + it.unreported).toBe(it.window);
  return it.window;
};

const readers = (budget: FlowBudget, count: number): WideWindow[] =>
  Array.from({ length: count }, () => new WideWindow(budget));

/** All take some again and again; the windows that they come to. */
const settled = (windows: readonly WideWindow[]): number[] => {
  for (let round = 0; round < 500; round += 1) for (const window of windows) window.bytes();
  return windows.map((window) => window.bytes());
};

test("a window is narrow where nothing else is wanted, and what is wanted where something is", () => {
  expect(flow(query(), 3_000_000)).toBe(FLOW_WINDOW_BYTES);
  expect(
    flow(
      query(() => 700_000),
      3_000_000,
    ),
  ).toBe(700_000);
});

test("a wide window narrows without stopping its replica, and widens again", () => {
  let wanted = WIDE_WINDOW_BYTES;
  const it = query(() => wanted);
  expect(flow(it, 20_000_000)).toBe(WIDE_WINDOW_BYTES);
  wanted = FLOW_WINDOW_BYTES;
  expect(flow(it, 20_000_000)).toBe(FLOW_WINDOW_BYTES);
  wanted = WIDE_WINDOW_BYTES;
  expect(flow(it, 20_000_000)).toBe(WIDE_WINDOW_BYTES);
});

test("one reader gets the widest, and of many that go on each the same, never more than there is", () => {
  expect(settled(readers(new FlowBudget(), 1))).toEqual([WIDE_WINDOW_BYTES]);
  for (const count of [8, 64]) {
    const budget = new FlowBudget();
    const windows = settled(readers(budget, count));
    const fair = FLOW_WINDOW_BYTES + FLOW_BUDGET_BYTES / (count + 1);
    for (const window of windows) expect(Math.abs(window - fair)).toBeLessThan(fair / 40);
    const held = windows.reduce((sum, window) => sum + window - FLOW_WINDOW_BYTES, 0);
    expect(held + budget.left).toBe(FLOW_BUDGET_BYTES);
    expect(budget.left).toBeGreaterThanOrEqual(0);
  }
});

test("readers that stop keep what they have, and others find something beside them, until they are closed", () => {
  const budget = new FlowBudget();
  const stopped = readers(budget, 5);
  for (const window of stopped) window.bytes();
  const [other] = readers(budget, 1);
  expect(other!.bytes()).toBeGreaterThan(FLOW_WINDOW_BYTES);
  for (const window of [...stopped, other!]) {
    window.close();
    window.close();
    expect(window.bytes()).toBe(FLOW_WINDOW_BYTES);
  }
  expect(budget.left).toBe(FLOW_BUDGET_BYTES);
});
