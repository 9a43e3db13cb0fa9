import { expect, test } from "vitest";
import { createSystemClock } from "./system-clock.ts";

const clock = createSystemClock();

const firedAt = (delayMs: number): Promise<number> =>
  new Promise((resolve) => {
    clock.after(delayMs, () => resolve(clock.now()));
  });

test("a timer calls back later, never at once and never early by the clock's own instants", async () => {
  const delays = Array.from({ length: 60 }, (_, index) => index * 0.7);
  await Promise.all(
    delays.map(async (delayMs) => {
      const due = clock.now() + delayMs;
      const fired = firedAt(delayMs);
      expect(await fired).toBeGreaterThanOrEqual(due);
    }),
  );
  let called = false;
  clock.after(-5, () => {
    called = true;
  });
  expect(called).toBe(false);
});

test("a cancelled timer never calls back, and cancelling is safe at any time", async () => {
  let calls = 0;
  const count = () => {
    calls += 1;
  };
  const first = clock.after(5, count);
  first.cancel();
  first.cancel();
  const second = clock.after(1, count);
  await firedAt(20);
  second.cancel();
  expect(calls).toBe(1);
});

test("a delay beyond what Node's timers take is not taken for none", async () => {
  let fired = false;
  const timers = [2 ** 31, 2 ** 40, Number.POSITIVE_INFINITY].map((delayMs) =>
    clock.after(delayMs, () => {
      fired = true;
    }),
  );
  await firedAt(20);
  for (const timer of timers) timer.cancel();
  expect(fired).toBe(false);
});

test("a timestamp is of now", () => {
  expect(Math.abs(clock.timestamp() - Date.now())).toBeLessThan(5_000);
});
