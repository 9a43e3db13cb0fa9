import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ManualClock } from "../../tests/harness/manual-clock.ts";
import { DEADLINE_TICK_MS } from "../model/limits.ts";
import { DeadlineWheel, type WheelEntry } from "./deadline-wheel.ts";

class Entry implements WheelEntry<Entry> {
  wheelNext: Entry | undefined;
  wheelPrevious: Entry | undefined;
  wheelSlot = -1;
  readonly passedAt: number[] = [];
  readonly deadline: number;
  readonly #clock: ManualClock;
  readonly #then: (() => void) | undefined;

  constructor(clock: ManualClock, deadline: number, then?: () => void) {
    this.#clock = clock;
    this.deadline = deadline;
    this.#then = then;
  }

  deadlinePassed(): void {
    this.passedAt.push(this.#clock.now());
    this.#then?.();
  }
}

describe("the deadline wheel", () => {
  test("every deadline passes once, never early and at most a tick late, and removed entries never", () => {
    const wish = fc.record({
      delayMs: fc.integer({ min: 0, max: 40_000 }),
      addedAfterMs: fc.integer({ min: 0, max: 500 }),
      removedAfterMs: fc.option(fc.integer({ min: 0, max: 40_000 }), { nil: undefined }),
    });
    fc.assert(
      fc.property(fc.array(wish, { maxLength: 60 }), fc.double({ min: 0, max: 1e6, noNaN: true }), (wishes, begin) => {
        const clock = new ManualClock(begin);
        const wheel = new DeadlineWheel<Entry>(clock);
        const added: { entry: Entry; removedAt: number | undefined }[] = [];
        for (const { addedAfterMs, delayMs, removedAfterMs } of wishes) {
          clock.advance(addedAfterMs);
          const entry = new Entry(clock, clock.now() + delayMs);
          wheel.add(entry, clock.now());
          const removedAt = removedAfterMs === undefined ? undefined : clock.now() + removedAfterMs;
          if (removedAfterMs !== undefined) clock.after(removedAfterMs, () => wheel.remove(entry));
          added.push({ entry, removedAt });
        }
        clock.advance(60_000);
        for (const { entry, removedAt } of added) {
          const latest = entry.deadline + 2 * DEADLINE_TICK_MS;
          if (removedAt !== undefined && removedAt < entry.deadline) expect(entry.passedAt).toEqual([]);
          else if (removedAt === undefined || removedAt > latest) {
            expect(entry.passedAt).toHaveLength(1);
            expect(entry.passedAt[0]).toBeGreaterThanOrEqual(entry.deadline);
            expect(entry.passedAt[0]).toBeLessThanOrEqual(latest);
          }
        }
        expect([wheel.size, clock.timers]).toEqual([0, 0]);
      }),
      { numRuns: 200 },
    );
  });

  test("after a pause longer than a turn of the wheel everything that is due passes at once", () => {
    const clock = new ManualClock();
    const wheel = new DeadlineWheel<Entry>(clock);
    const due = Array.from({ length: 100 }, (_, index) => new Entry(clock, 1_000 + index * 400));
    const later = new Entry(clock, 200_000);
    for (const entry of [...due, later]) wheel.add(entry, clock.now());
    clock.jump(100_000);
    expect(due.every((entry) => entry.passedAt.length === 1)).toBe(true);
    expect([later.passedAt, wheel.size]).toEqual([[], 1]);
  });

  test("a callback may end another entry that is due in the same tick, and add new ones", () => {
    const clock = new ManualClock();
    const wheel = new DeadlineWheel<Entry>(clock);
    const second = new Entry(clock, 1_050, () => wheel.remove(first));
    const added = new Entry(clock, 1_500);
    const first = new Entry(clock, 1_050, () => {
      wheel.remove(second);
      wheel.add(added, clock.now());
    });
    wheel.add(first, clock.now());
    wheel.add(second, clock.now());
    clock.advance(1_000);
    expect(first.passedAt.length + second.passedAt.length).toBe(1);
    expect([added.passedAt.length, wheel.size]).toEqual([first.passedAt.length, 0]);
  });

  test("a tick that begins while callbacks of the one before run is not skipped by what they add", () => {
    const clock = new ManualClock(1_000);
    const wheel = new DeadlineWheel<Entry>(clock);
    const next = new Entry(clock, 1_055);
    const slow = new Entry(clock, 1_035, () => {
      clock.jump(25);
      wheel.add(new Entry(clock, 9_000), clock.now());
    });
    for (const entry of [next, slow]) wheel.add(entry, clock.now());
    clock.advance(1_000);
    expect([slow.passedAt.length, next.passedAt.length]).toEqual([1, 1]);
  });

  test("no timer runs while there is nothing to watch", () => {
    const clock = new ManualClock();
    const wheel = new DeadlineWheel<Entry>(clock);
    expect(clock.timers).toBe(0);
    const entry = new Entry(clock, 5_000);
    wheel.add(entry, clock.now());
    expect(clock.timers).toBe(1);
    wheel.remove(entry);
    clock.advance(2 * DEADLINE_TICK_MS);
    expect(clock.timers).toBe(0);
  });
});
