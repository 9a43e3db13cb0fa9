/** How many replicas a load asks for: the choice itself, and backends that are scaled by it. */
import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { createBackend, createEndpoint, restart, update } from "../../tests/harness/calls.ts";
import { CoreWorld } from "../../tests/harness/core-world.ts";
import type { Autoscaling } from "../model/backend-config.ts";
import type { BackendTag } from "../model/ids.ts";
import { type Load, type Scaler, scaleByLoad } from "./autoscaling.ts";

const SETTINGS: Autoscaling = {
  minReplicas: 1,
  maxReplicas: 5,
  targetQueriesPerReplica: 10,
  upDelayMs: 5_000,
  downDelayMs: 60_000,
};

/** Feeds samples, one a second unless they say otherwise; answers what is wanted after each. */
const feed = (
  samples: readonly (Load & { readonly afterMs?: number })[],
  { wanted: first = 1, settings = SETTINGS } = {},
) => {
  let scaler: Scaler | undefined;
  let wanted = first;
  let now = 0;
  return samples.map(({ afterMs = 1_000, ...load }) => {
    now += afterMs;
    const scaling = scaleByLoad(scaler, { wanted, load, settings, now });
    scaler = scaling.scaler;
    wanted = scaling.wanted;
    return wanted;
  });
};
const of = (queries: number, from: Load["from"] = "all"): Load => ({ queries, from });

describe("a load", () => {
  test("that asks for more all through the up delay gets as many as it asked for at least in that time", () => {
    expect(feed([of(21), of(50), of(35), of(28), of(44)])).toEqual([1, 1, 1, 1, 1]);
    expect(feed([of(21), of(50), of(35), of(28), of(44), of(41)])).toEqual([1, 1, 1, 1, 1, 3]);
    expect(feed([of(21), of(10), of(35), of(28), of(44), of(41)]).at(-1)).toBe(1);
  });

  test("that asks for fewer all through the down delay gets as many as it asked for at most in that time", () => {
    const quiet = [of(12), { ...of(0), afterMs: 59_999 }, { ...of(0), afterMs: 1 }];
    expect(feed(quiet, { wanted: 5 })).toEqual([5, 5, 2]);
  });

  test("of which only a part is known asks for more, never for fewer", () => {
    expect(feed([of(50, "partial"), { ...of(50, "partial"), afterMs: 5_000 }])).toEqual([1, 5]);
    const silent = [of(0), { ...of(0), afterMs: 50_000 }, { ...of(0, "partial"), afterMs: 9_000 }, of(0)];
    expect(feed(silent, { wanted: 5 })).toEqual([5, 5, 5, 5]);
  });

  const settings = fc
    .tuple(fc.integer({ min: 1, max: 5 }), fc.nat(10), fc.integer({ min: 1, max: 20 }), fc.nat(5_000), fc.nat(20_000))
    .map(([minReplicas, more, targetQueriesPerReplica, upDelayMs, downDelayMs]) => ({
      ...{ minReplicas, maxReplicas: minReplicas + more, targetQueriesPerReplica, upDelayMs, downDelayMs },
    }));
  const samples = fc.array(
    fc.record({
      queries: fc.nat(300),
      from: fc.constantFrom("all" as const, "all" as const, "partial" as const),
      afterMs: fc.integer({ min: 1, max: 3_000 }),
    }),
    { maxLength: 60 },
  );

  test("changes what is wanted only within the bounds, and only when it has asked for that all through the delay", () => {
    fc.assert(
      fc.property(settings, samples, (chosen, seen) => {
        const asked = seen.map(({ queries }) =>
          Math.min(
            Math.max(Math.ceil(queries / chosen.targetQueriesPerReplica), chosen.minReplicas),
            chosen.maxReplicas,
          ),
        );
        const wanted = feed(seen, { wanted: chosen.minReplicas, settings: chosen });
        let now = 0;
        const at = seen.map(({ afterMs }) => (now += afterMs));
        for (const [index, is] of wanted.entries()) {
          const was = wanted[index - 1] ?? chosen.minReplicas;
          expect(is).toBeGreaterThanOrEqual(chosen.minReplicas);
          expect(is).toBeLessThanOrEqual(chosen.maxReplicas);
          if (is === was) continue;
          const delayMs = is > was ? chosen.upDelayMs : chosen.downDelayMs;
          // The samples of the delay, the one in force at its beginning included.
          const begins = at[index]! - delayMs;
          const first = at.findLastIndex((instant) => instant <= begins);
          expect(first).toBeGreaterThanOrEqual(0);
          const during = asked.slice(first, index + 1);
          if (is > was) expect(Math.min(...during)).toBeGreaterThanOrEqual(is);
          else {
            expect(Math.max(...during)).toBeLessThanOrEqual(is);
            expect(seen.slice(first, index + 1).every(({ from }) => from === "all")).toBe(true);
          }
        }
      }),
      { numRuns: 500 },
    );
  });

  test("that does not change leads to what it asks for and stays there", () => {
    fc.assert(
      fc.property(settings, fc.nat(300), fc.integer({ min: 0, max: 10 }), (chosen, queries, above) => {
        const wanted = Math.min(chosen.minReplicas + above, chosen.maxReplicas);
        const { upDelayMs, downDelayMs, minReplicas, maxReplicas, targetQueriesPerReplica } = chosen;
        const steps = [
          of(queries),
          { ...of(queries), afterMs: Math.max(upDelayMs, downDelayMs) },
          of(queries),
          of(queries),
        ];
        const asked = Math.min(Math.max(Math.ceil(queries / targetQueriesPerReplica), minReplicas), maxReplicas);
        expect(feed(steps, { wanted, settings: chosen }).at(-1)).toBe(asked);
      }),
    );
  });
});

describe("a backend with autoscaling", () => {
  let world: CoreWorld;
  beforeEach(() => {
    world = new CoreWorld();
  });
  const names = () => world.replicas("b").map((replica) => replica.actor);
  const record = () => world.view.backend("b" as BackendTag);
  const begin = (config = {}) => {
    const call = world.call(createBackend("b", { autoscaling: SETTINGS, ...config }));
    world.call(createEndpoint("e", { b: 1 }));
    world.settle(0);
    return call;
  };
  const pass = (ms: number) => {
    world.now += ms;
    world.settle(0);
  };

  test("starts with its least, follows its load up and down, and ends exactly the surplus", () => {
    const { id } = begin();
    expect(world.goal(id).state).toBe("reached");
    expect(names()).toEqual(["b#1"]);
    world.setLoad("b", 35);
    pass(0);
    pass(4_999);
    expect(names()).toHaveLength(1);
    pass(1);
    expect(names()).toHaveLength(4);
    expect(record()?.autoscaled).toEqual({ replicas: 4, queries: 35 });
    world.setLoad("b", 0);
    pass(0);
    pass(59_999);
    expect(names()).toHaveLength(4);
    pass(1);
    world.settle();
    expect(names()).toEqual(["b#1"]);
  });

  test("asks routers to say its load often, and others not", () => {
    begin();
    world.call(createBackend("c"));
    world.call(createEndpoint("f", { c: 1 }));
    world.settle(0);
    expect(world.closure("e")?.backends["b" as BackendTag]?.loadIntervalMs).toBe(1_000);
    expect(world.closure("f")?.backends["c" as BackendTag]).not.toHaveProperty("loadIntervalMs");
    world.call(update("b", { numReplicas: 2 }));
    world.settle(0);
    expect(world.closure("e")?.backends["b" as BackendTag]).not.toHaveProperty("loadIntervalMs");
  });

  test("keeps its number over a new controller, which does not take the silence before it has heard all for quiet", () => {
    world = new CoreWorld({ location: "head" });
    world.settle();
    const [proxy] = world.assignments();
    world.clients = [{ name: proxy!.actor, kind: "proxy", applied: 0 }];
    begin();
    world.setLoad("b", 50);
    pass(0);
    pass(5_000);
    expect(names()).toHaveLength(5);
    world.loads.clear();
    world.crash();
    const hold = () => {
      for (const client of world.clients) client.applied = undefined;
    };
    for (let seconds = 0; seconds < 300; seconds += 1) {
      hold();
      world.now += 1_000;
      world.decideAll();
    }
    expect(names()).toHaveLength(5);
    world.applyEverywhere();
    world.settle(0);
    pass(1_000);
    pass(59_999);
    expect(names()).toHaveLength(5);
    pass(1);
    world.settle();
    expect(names()).toHaveLength(1);
  });

  test("follows changed bounds at once, and settings without a new process", () => {
    begin();
    const first = names();
    const wider = world.call(update("b", { autoscaling: { minReplicas: 3 } }));
    world.settle(0);
    expect(world.goal(wider.id).state).toBe("reached");
    expect(names()).toHaveLength(3);
    expect(names()).toEqual(expect.arrayContaining(first));
    const narrower = world.call(update("b", { autoscaling: { minReplicas: 1, maxReplicas: 2, upDelayMs: 0 } }));
    world.settle();
    expect(world.goal(narrower.id).state).toBe("reached");
    expect(names()).toHaveLength(2);
    expect(names()).toEqual(expect.arrayContaining(first));
  });

  test("takes the place of numReplicas, beginning with as many, and gives it back", () => {
    world.call(createBackend("b", { numReplicas: 4 }));
    world.settle();
    const before = names();
    world.call(update("b", { autoscaling: SETTINGS }));
    world.settle(0);
    expect(names()).toEqual(before);
    expect(record()?.config).toEqual({ autoscaling: SETTINGS });
    world.call(update("b", { numReplicas: 2 }));
    world.settle();
    expect(names()).toHaveLength(2);
    expect(record()).toMatchObject({ config: { numReplicas: 2 }, autoscaled: undefined });
  });

  test("is refused with everything that is wrong with it", () => {
    const wrong = { minReplicas: 3, maxReplicas: 2, targetQueriesPerReplica: 0, upDelayMs: -1 };
    const { outcome } = world.call(createBackend("b", { numReplicas: 2, autoscaling: wrong }));
    expect(outcome).toMatchObject({
      kind: "refused",
      error: { code: "config-invalid", message: expect.stringMatching(/exclude.*maxReplicas.*upDelayMs.*target/) },
    });
    const { outcome: incomplete } = world.call(createBackend("b", { autoscaling: { minReplicas: 1 } }));
    expect(incomplete).toMatchObject({ error: { message: expect.stringContaining("maxReplicas") } });
  });

  test("rolls and is scaled at the same time without going beyond its bounds and surge", () => {
    begin({ maxSurge: 1 });
    world.setLoad("b", 50);
    world.call(restart("b"));
    for (let step = 0; step < 200; step += 1) {
      world.decideAll();
      const { autoscaled } = record()!;
      expect(world.processes("b")).toBeLessThanOrEqual((autoscaled?.replicas ?? 1) + 1);
      if (!world.assignments().some(({ actor }) => world.actAgent(actor))) world.now += 100;
    }
    expect(names()).toHaveLength(5);
    expect(world.replicas("b").every(({ assignment }) => assignment.rollout === 2)).toBe(true);
  });
});
