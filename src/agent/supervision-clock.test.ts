import { expect, it } from "vitest";
import { AGENT_STALL_MS } from "../model/limits.ts";
import { SupervisionClock } from "./supervision-clock.ts";

it("runs with the clock, and stands still while its own process was stopped", () => {
  let now = 100;
  const clock = { now: () => now, timestamp: () => 0, after: () => ({ cancel: () => {} }) };
  const supervision = new SupervisionClock(clock);
  const begin = supervision.now();
  now += 500;
  expect(supervision.now() - begin).toBe(500);
  now += AGENT_STALL_MS * 10;
  expect(supervision.now() - begin).toBe(500);
  now += 500;
  expect(supervision.now() - begin).toBe(1_000);
});
