import { describe, expect, test } from "vitest";
import { ManualClock } from "../../tests/harness/manual-clock.ts";
import { EJECT_AFTER_STALLS, EJECT_MAX_MS, EJECT_MIN_MS } from "../model/limits.ts";
import { ReplicaHealth } from "./replica-health.ts";

function watched() {
  const clock = new ManualClock();
  let recoveries = 0;
  const ejections: string[] = [];
  const health = new ReplicaHealth(clock, {
    onEject: (why) => ejections.push(why),
    onFit: () => {
      recoveries += 1;
    },
  });
  return { clock, health, ejections, recoveries: () => recoveries };
}

describe("the health of a replica", () => {
  test("what cannot be reached is left alone, twice as long each time, up to a bound", () => {
    const { clock, health } = watched();
    const pauses = Array.from({ length: 10 }, () => {
      health.unreachable();
      const since = clock.now();
      while (health.state === "down") clock.advance(EJECT_MIN_MS);
      return clock.now() - since;
    });
    const doubled = Array.from({ length: 10 }, (_, index) => Math.min(EJECT_MAX_MS, EJECT_MIN_MS * 2 ** index));
    expect(pauses).toEqual(doubled);
  });

  test("an answer forgives everything before it", () => {
    const { clock, health, recoveries } = watched();
    for (let time = 0; time < 5; time += 1) {
      health.unreachable();
      clock.advance(EJECT_MAX_MS);
    }
    health.answered();
    health.unreachable();
    clock.advance(EJECT_MIN_MS);
    expect([health.state, recoveries()]).toEqual(["fit", 6]);
  });

  test("deadlines that pass in a row make it suspect, an answer between them does not", () => {
    const { health, ejections } = watched();
    for (let time = 1; time < EJECT_AFTER_STALLS; time += 1) health.stalled();
    health.answered();
    for (let time = 1; time < EJECT_AFTER_STALLS; time += 1) health.stalled();
    expect(health.state).toBe("fit");
    health.stalled();
    expect(health.state).toBe("suspect");
    expect(ejections).toEqual(["stalled"]);
    health.answered();
    expect(health.state).toBe("fit");
  });
});
