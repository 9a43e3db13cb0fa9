/** Replicas compared with each other, in virtual time: queries arrive, are sent where the router would send them, and end as they must. */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { EJECT_MAX_MS, HEALTH_TICK_MS, MIN_OUTCOMES, SILENT_TICKS } from "../model/limits.ts";
import type { Clock, Timer } from "../ports/clock.ts";
import { OutlierWatch, type Watched } from "./outlier-watch.ts";
import { chooseReplica } from "./replica-choice.ts";
import { ReplicaHealth } from "./replica-health.ts";

/** How a replica behaves; may be changed while time passes. */
interface Nature {
  failShare: number;
  tookMs: (random: () => number) => number;
  isDeaf?: boolean;
}

const MOST_IN_FLIGHT = 100;

class Model implements Watched {
  readonly health: ReplicaHealth;
  nature: Nature;
  inFlight = 0;
  sent = 0;
  pings = 0;
  #heard = false;

  constructor(world: World, nature: Nature) {
    this.nature = nature;
    this.health = new ReplicaHealth(world.clock, {
      onEject: () => {
        world.ejections += 1;
      },
      onFit: () => {},
      onSuspicion: () => world.watch.judge(),
    });
  }
  get readiness() {
    return this.inFlight < MOST_IN_FLIGHT ? this.health.readiness(this.inFlight) : "unready";
  }
  get isLeftAlone() {
    return this.health.state !== "fit";
  }
  takeHeard() {
    const heard = this.#heard;
    this.#heard = false;
    return heard;
  }
  ping() {
    this.pings += 1;
    this.hear();
  }
  hear() {
    if (this.nature.isDeaf !== true) this.#heard = true;
  }
}

/** Virtual time in whole milliseconds: thousands of timers cost what they do, and nothing else. */
class TickClock implements Clock {
  #now = 1_000;
  readonly #due = new Map<number, { callback: (() => void) | undefined }[]>();
  timers = 0;

  now() {
    return this.#now;
  }
  timestamp() {
    return this.#now;
  }
  after(delayMs: number, callback: () => void): Timer {
    const at = this.#now + Math.max(1, Math.ceil(delayMs));
    const timer: { callback: (() => void) | undefined } = { callback };
    const others = this.#due.get(at);
    if (others === undefined) this.#due.set(at, [timer]);
    else others.push(timer);
    this.timers += 1;
    return {
      cancel: () => {
        if (timer.callback !== undefined) this.timers -= 1;
        timer.callback = undefined;
      },
    };
  }
  advance(ms: number) {
    for (const until = this.#now + ms; this.#now < until; ) {
      this.#now += 1;
      const due = this.#due.get(this.#now) ?? [];
      this.#due.delete(this.#now);
      for (const { callback } of due) {
        if (callback === undefined) continue;
        this.timers -= 1;
        callback();
      }
    }
  }
}

/** The same numbers for the same seed. */
const randomOf = (seed: number) => {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
};

class World {
  readonly clock = new TickClock();
  readonly watch = new OutlierWatch(this.clock);
  readonly replicas: Model[];
  readonly random: () => number;
  ejections = 0;
  /** The most that were left alone at a time. */
  mostLeftAlone = 0;

  constructor(natures: readonly Nature[], seed = 1) {
    this.random = randomOf(seed);
    this.replicas = natures.map((nature) => new Model(this, nature));
    this.watch.update(this.replicas);
  }

  /** A query each millisecond; none is ever without a replica but when all are full. */
  run(milliseconds: number): void {
    for (let left = milliseconds; left > 0; left -= 1) {
      const replica = chooseReplica(this.replicas, this.random);
      if (replica !== undefined) this.#send(replica);
      else if (this.replicas.some(({ inFlight }) => inFlight < MOST_IN_FLIGHT)) throw new Error("nobody takes a query");
      this.clock.advance(1);
      const leftAlone = this.replicas.filter((one) => one.isLeftAlone).length;
      this.mostLeftAlone = Math.max(this.mostLeftAlone, leftAlone);
    }
  }

  sentWhile(run: () => void): readonly number[] {
    const before = this.replicas.map(({ sent }) => sent);
    run();
    return this.replicas.map(({ sent }, index) => sent - before[index]!);
  }

  #send(replica: Model): void {
    replica.sent += 1;
    replica.inFlight += 1;
    this.watch.wake();
    const { nature } = replica;
    if (nature.isDeaf === true) return;
    const tookMs = nature.tookMs(this.random);
    const kind = this.random() < nature.failShare ? "bad" : "good";
    this.clock.after(tookMs, () => {
      replica.inFlight -= 1;
      replica.hear();
      replica.health.outcome(kind, tookMs);
    });
  }
}

const quick: Nature["tookMs"] = (random) => 5 + 10 * random();
/** One in fifty takes a second. */
const heavyTailed: Nature["tookMs"] = (random) => (random() < 0.02 ? 1_000 : quick(random));
const same = (count: number, nature: Nature): Nature[] => Array.from({ length: count }, () => ({ ...nature }));

const seeds = fc.integer({ min: 1, max: 1_000_000 });
const counts = fc.integer({ min: 2, max: 8 });

describe("whatever becomes of the queries", () => {
  test("at most half of the replicas are left alone, and every query finds one", () => {
    const nature = fc.record({
      failShare: fc.double({ min: 0, max: 1, noNaN: true }),
      tookMs: fc.constantFrom<Nature["tookMs"]>(
        quick,
        heavyTailed,
        () => 300,
        () => 2_000,
      ),
    });
    void fc.assert(
      fc.property(fc.array(nature, { minLength: 1, maxLength: 8 }), seeds, (natures, seed) => {
        const world = new World(natures, seed);
        world.run(1_500);
        expect(world.mostLeftAlone).toBeLessThanOrEqual(Math.floor(natures.length / 2));
      }),
      { numRuns: 60 },
    );
  });

  test("replicas that are all alike are left alone hardly ever, however often they fail and however uneven their times are", () => {
    const natures = fc.tuple(counts, fc.double({ min: 0, max: 1, noNaN: true }), fc.constantFrom(quick, heavyTailed));
    void fc.assert(
      fc.property(natures, seeds, ([count, failShare, tookMs], seed) => {
        const world = new World(same(count, { failShare, tookMs }), seed);
        world.run(4_000);
        expect(world.ejections).toBeLessThanOrEqual(4);
      }),
      { numRuns: 40 },
    );
  });
});

describe("a replica that is out of place", () => {
  test.each<readonly [string, Nature]>([
    ["fails always, at once", { failShare: 1, tookMs: () => 1 }],
    ["fails nearly always", { failShare: 0.9, tookMs: quick }],
    ["is ten times slower", { failShare: 0, tookMs: (random) => 100 + 100 * random() }],
    ["answers after seconds", { failShare: 0, tookMs: () => 3_000 }],
  ])("and %s gets hardly any queries, and its share again when it has recovered", (_what, bad) => {
    void fc.assert(
      fc.property(counts, fc.double({ min: 0, max: 0.1, noNaN: true }), seeds, (others, failShare, seed) => {
        const good: Nature = { failShare, tookMs: quick };
        const world = new World([bad, ...same(others, good)], seed);
        // Until it is found out; a slow one's first answers take a while.
        world.run(8_000);
        const fair = 1 / (others + 1);
        const [during] = world.sentWhile(() => world.run(6_000));
        expect(during! / 6_000).toBeLessThan(0.25 * fair);
        world.replicas[0]!.nature = good;
        world.run(4 * EJECT_MAX_MS);
        const [after] = world.sentWhile(() => world.run(4_000));
        expect(after! / 4_000).toBeGreaterThan(0.7 * fair);
      }),
      { numRuns: 6 },
    );
  });

  test("is found out by six failures in a row, without a look between", () => {
    const world = new World(same(2, { failShare: 0, tookMs: quick }));
    world.run(100);
    const [one] = world.replicas;
    for (let failures = 1; failures <= 6; failures += 1) {
      expect(one!.health.state).toBe("fit");
      one!.health.outcome("bad", undefined);
    }
    expect(one!.health.state).toBe("ejected");
  });

  test("is ejected as soon as it has siblings, if it failed before they came", () => {
    const world = new World(same(1, { failShare: 1, tookMs: () => 1 }));
    world.run(MIN_OUTCOMES + 5);
    expect(world.replicas[0]!.health.state).toBe("fit");
    world.replicas.push(new Model(world, { failShare: 0, tookMs: quick }));
    world.watch.update(world.replicas);
    expect(world.replicas[0]!.health.state).toBe("ejected");
  });
});

describe("a replica whose process says nothing", () => {
  test("gets no more queries after a second and a bit, and gets them again once it is heard", () => {
    const world = new World(same(3, { failShare: 0, tookMs: quick }));
    world.run(500);
    const [stopped] = world.replicas;
    stopped!.nature = { ...stopped!.nature, isDeaf: true };
    world.run(HEALTH_TICK_MS * (SILENT_TICKS + 3));
    const [during] = world.sentWhile(() => world.run(2_000));
    expect(during).toBe(0);
    stopped!.nature = { failShare: 0, tookMs: quick };
    stopped!.inFlight = 0; // what it had is answered
    world.run(2 * HEALTH_TICK_MS);
    const [after] = world.sentWhile(() => world.run(3_000));
    expect(after).toBeGreaterThan(700);
  });

  test("is not silent while it answers pings, however long its handlers take", () => {
    const world = new World(same(2, { failShare: 0, tookMs: () => 60_000 }));
    world.run(4_000);
    expect(world.ejections).toBe(0);
    expect(world.replicas.every(({ pings }) => pings > 5)).toBe(true);
  });

  test("is not pinged when it has nothing to do, and no timer runs then", () => {
    const world = new World(same(2, { failShare: 0, tookMs: quick }));
    world.run(300);
    world.clock.advance(2 * HEALTH_TICK_MS);
    const pings = world.replicas.map((replica) => replica.pings);
    world.clock.advance(60_000);
    expect(world.replicas.map((replica) => replica.pings)).toEqual(pings);
    expect(world.clock.timers).toBe(0);
  });

  test("alone is not watched at all", () => {
    const world = new World(same(1, { failShare: 1, tookMs: () => 3_000, isDeaf: true }));
    world.run(5_000);
    expect([world.ejections, world.replicas[0]!.pings, world.clock.timers]).toEqual([0, 0, 0]);
  });
});
