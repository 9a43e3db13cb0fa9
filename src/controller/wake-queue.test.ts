import fc from "fast-check";
import { expect, test } from "vitest";
import type { DirtyKey } from "../core/dirty.ts";
import { Quarantine, Reasons } from "./memory.ts";
import { WakeQueue } from "./wake-queue.ts";

const key = (name: string) => `backend/${name}` as DirtyKey;

test("every key is given back at its earliest instant and not before, those due together in order", () => {
  const wish = fc.tuple(fc.constantFrom("a", "b", "c", "d", "e"), fc.integer({ min: 1, max: 50 }));
  fc.assert(
    fc.property(fc.array(wish), (wishes) => {
      const queue = new WakeQueue();
      const earliest = new Map<DirtyKey, number>();
      for (const [name, at] of wishes) {
        queue.add(key(name), at);
        earliest.set(key(name), Math.min(at, earliest.get(key(name)) ?? at));
      }
      expect(queue.next()).toBe(earliest.size === 0 ? undefined : Math.min(...earliest.values()));
      const given = new Map<DirtyKey, number>();
      for (let now = 0; now <= 50; now += 1) {
        for (const due of queue.take(now)) if (!given.has(due)) given.set(due, now);
      }
      expect(given).toEqual(earliest);
      expect(queue.next()).toBeUndefined();
    }),
  );
});

test("an instant that never comes is no wish", () => {
  const queue = new WakeQueue();
  queue.add("proxies", Number.POSITIVE_INFINITY);
  expect(queue.next()).toBeUndefined();
});

test("a key whose reconcile throws again and again is left alone longer each time, up to a minute", () => {
  const quarantine = new Quarantine();
  let now = 0;
  const pauses: number[] = [];
  for (let round = 0; round < 9; round += 1) {
    const until = quarantine.add(key("a"), now);
    pauses.push(until - now);
    expect(quarantine.keys(until - 1)).toEqual(new Set([key("a")]));
    expect(quarantine.keys(until).size).toBe(0);
    now = until;
  }
  expect(pauses).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000]);
  quarantine.releaseDue(now);
  expect(quarantine.add(key("a"), now) - now).toBe(1_000);
});

test("a reason is news when it changes; the last one is remembered when all is well again", () => {
  const reasons = new Reasons();
  expect(reasons.set("backend/a", "it starts", 1)).toBe(true);
  expect(reasons.set("backend/a", "it starts", 2)).toBe(false);
  expect(reasons.set("backend/a", "it failed", 3)).toBe(true);
  expect(reasons.set("backend/a", undefined, 4)).toBe(true);
  expect(reasons.present("backend/a")).toBeUndefined();
  expect(reasons.last("backend/a")).toEqual({ reason: "it failed", timestamp: 3 });
});
