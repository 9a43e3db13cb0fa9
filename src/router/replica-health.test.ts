import { describe, expect, test } from "vitest";
import { ManualClock } from "../../tests/harness/manual-clock.ts";
import {
  EJECT_FORGIVE_AFTER,
  EJECT_MAX_MS,
  EJECT_MIN_MS,
  PROBES_TO_EJECT,
  PROBES_TO_RECOVER,
} from "../model/limits.ts";
import { ReplicaHealth } from "./replica-health.ts";

function watched() {
  const clock = new ManualClock();
  let recoveries = 0;
  let suspicions = 0;
  const ejections: string[] = [];
  const health = new ReplicaHealth(clock, {
    onEject: (why) => ejections.push(why),
    onFit: () => {
      recoveries += 1;
    },
    onSuspicion: () => {
      suspicions += 1;
    },
  });
  const pauseOf = (state: "down" | "ejected"): number => {
    const since = clock.now();
    while (health.state === state) clock.advance(EJECT_MIN_MS);
    return clock.now() - since;
  };
  const probe = (kind: "good" | "bad", times = 1) => {
    for (let time = 0; time < times; time += 1) health.outcome(kind, undefined);
  };
  return { clock, health, ejections, pauseOf, probe, recoveries: () => recoveries, suspicions: () => suspicions };
}

const doubled = Array.from({ length: 10 }, (_, index) => Math.min(EJECT_MAX_MS, EJECT_MIN_MS * 2 ** index));

describe("a replica that cannot be reached", () => {
  test("is left alone, twice as long each time, up to a bound", () => {
    const { health, pauseOf } = watched();
    const pauses = doubled.map(() => {
      health.unreachable();
      expect(health.readiness(0)).toBe("unready");
      return pauseOf("down");
    });
    expect(pauses).toEqual(doubled);
  });

  test("is forgiven by the first thing that comes back", () => {
    const { clock, health, recoveries } = watched();
    for (let time = 0; time < 5; time += 1) {
      health.unreachable();
      clock.advance(EJECT_MAX_MS);
    }
    health.reached();
    health.unreachable();
    clock.advance(EJECT_MIN_MS);
    expect([health.state, recoveries()]).toEqual(["fit", 6]);
  });
});

describe("a replica that was ejected", () => {
  test("gets queries only where nobody else can take them, then one at a time, and its share after some good ones", () => {
    const { health, clock, probe } = watched();
    health.eject();
    expect([health.readiness(0), health.readiness(3)]).toEqual(["suspect", "suspect"]);
    clock.advance(EJECT_MIN_MS);
    expect([health.state, health.readiness(0), health.readiness(1)]).toEqual(["probing", "ready", "suspect"]);
    probe("good", PROBES_TO_RECOVER - 1);
    expect(health.readiness(1)).toBe("suspect");
    probe("good");
    expect([health.state, health.readiness(1)]).toEqual(["fit", "ready"]);
  });

  test("may fail one probe", () => {
    const { health, clock, probe } = watched();
    health.eject();
    clock.advance(EJECT_MIN_MS);
    probe("good");
    probe("bad");
    probe("good", PROBES_TO_RECOVER - 1);
    expect(health.state).toBe("fit");
  });

  test("is ejected again by a second bad probe, for twice as long, up to a bound", () => {
    const { health, pauseOf, probe, ejections } = watched();
    health.eject();
    const pauses = doubled.map(() => {
      const pause = pauseOf("ejected");
      probe("bad", PROBES_TO_EJECT);
      return pause;
    });
    expect(pauses).toEqual(doubled);
    expect(new Set(ejections)).toEqual(new Set(["outlier"]));
  });

  test("is not forgiven by its probes, only by a long good time", () => {
    const { health, pauseOf, probe } = watched();
    const recover = () => {
      const pause = pauseOf("ejected");
      probe("good", PROBES_TO_RECOVER);
      return pause;
    };
    health.eject();
    expect(recover()).toBe(EJECT_MIN_MS);
    health.eject();
    expect(recover()).toBe(2 * EJECT_MIN_MS);
    probe("good", EJECT_FORGIVE_AFTER);
    health.eject();
    expect(recover()).toBe(EJECT_MIN_MS);
  });

  test("and dies meanwhile is probed when it can be reached again", () => {
    const { health, clock } = watched();
    health.eject();
    health.unreachable();
    expect(health.readiness(0)).toBe("unready");
    clock.advance(EJECT_MAX_MS);
    expect(health.state).toBe("probing");
  });
});

test("a silent replica is passed over for as long as nothing is heard", () => {
  const { health, ejections, recoveries } = watched();
  health.silent();
  health.silent();
  expect([health.state, health.readiness(0), ejections]).toEqual(["fit", "suspect", ["silent"]]);
  health.heard();
  health.heard();
  expect([health.readiness(0), recoveries()]).toEqual(["ready", 1]);
});

test("bad outcomes raise a suspicion, good ones do not; slow answers are bad ones", () => {
  const { health, probe, suspicions } = watched();
  probe("good", 50);
  expect([suspicions(), health.badShare]).toEqual([0, 0]);
  probe("bad", 3);
  expect(suspicions()).toBe(3);
  health.slowBeyondMs = 100;
  health.outcome("good", 99);
  expect(suspicions()).toBe(3);
  health.outcome("good", 101);
  expect(suspicions()).toBe(4);
});

test("what is typical is learnt on any scale, and a few outliers do not move it", () => {
  const { health } = watched();
  for (let count = 0; count < 200; count += 1) health.outcome("good", count % 10 === 0 ? 9_000 : 8 + (count % 5));
  expect(health.typicalMs).toBeGreaterThan(7);
  expect(health.typicalMs).toBeLessThan(14);
  for (let count = 0; count < 100; count += 1) health.outcome("good", 500);
  expect(health.typicalMs).toBeGreaterThan(400);
});
