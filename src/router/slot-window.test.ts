import { describe, expect, test } from "vitest";
import { SlotWindow } from "./slot-window.ts";

const room = (window: SlotWindow): number => {
  let inFlight = 0;
  while (window.allows(inFlight)) inFlight += 1;
  return inFlight;
};

describe("the slot window", () => {
  test("is as wide as the limit until the replica refuses", () => {
    expect(room(new SlotWindow(7))).toBe(7);
  });

  test("is shut after a refusal until there was one slot for each, and then as wide as what ran", () => {
    const window = new SlotWindow(10);
    window.refused(4);
    window.refused(4);
    expect(room(window)).toBe(0);
    window.offered();
    expect(room(window)).toBe(0);
    window.offered();
    expect(room(window)).toBe(4);
  });

  test("widens by one with each answer, up to the limit", () => {
    const window = new SlotWindow(6);
    window.refused(0);
    window.offered();
    const rooms = [1, 2, 3, 4, 5, 6, 7].map(() => {
      window.answered();
      return room(window);
    });
    expect(rooms).toEqual([2, 3, 4, 5, 6, 6, 6]);
  });

  test("follows the limit, and a narrowed one stays narrow", () => {
    const window = new SlotWindow(5);
    window.setLimit(9);
    expect(room(window)).toBe(9);
    window.refused(3);
    window.offered();
    window.setLimit(20);
    expect(room(window)).toBe(3);
    window.setLimit(2);
    expect(room(window)).toBe(2);
  });
});
