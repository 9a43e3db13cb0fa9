/** What holds for every sequence of calls, agent steps, router answers, pauses and crashes. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createBackend, createEndpoint, restart, update } from "../../tests/harness/calls.ts";
import type { CoreWorld } from "../../tests/harness/core-world.ts";
import { BACKENDS, busyWorld, call, change, ENDPOINTS, newWorld } from "../../tests/harness/drawn-calls.ts";
import type { Call } from "../model/calls.ts";
import type { GoalId } from "../model/ids.ts";
import type { BackendRecord } from "../model/records.ts";
import { targetReplicas } from "./autoscaling.ts";
import { type Decision, decide } from "./decide.ts";
import { everything } from "./dirty.ts";

/** What may happen between two calls. */
const event = fc.oneof(
  { weight: 2, arbitrary: call.map((it) => ({ kind: "call", call: it }) as const) },
  { weight: 2, arbitrary: change.map((it) => ({ kind: "call", call: it }) as const) },
  { weight: 6, arbitrary: fc.nat(20).map((index) => ({ kind: "agent", index }) as const) },
  { weight: 2, arbitrary: fc.nat(20).map((index) => ({ kind: "death", index }) as const) },
  {
    weight: 2,
    arbitrary: fc
      .tuple(fc.nat(20), fc.constantFrom("healthy", "unhealthy", "stalled"))
      .map(([index, health]) => ({ kind: "health", index, health }) as const),
  },
  { weight: 3, arbitrary: fc.constant({ kind: "routers" } as const) },
  { weight: 2, arbitrary: fc.constantFrom(50, 1_000).map((ms) => ({ kind: "time", ms }) as const) },
  { weight: 1, arbitrary: fc.constant({ kind: "crash" } as const) },
);
type Event = typeof event extends fc.Arbitrary<infer E> ? E : never;

const happen = (world: CoreWorld, what: Event): void => {
  const actors = world.assignments().map(({ actor }) => actor);
  switch (what.kind) {
    case "call":
      world.call(what.call);
      return;
    case "agent":
      if (actors.length > 0) world.actAgent(actors[what.index % actors.length]!);
      return;
    case "death": {
      const actor = actors[what.index % Math.max(1, actors.length)];
      if (actor !== undefined) {
        world.report(actor, { state: "exited", address: undefined, pid: undefined, health: "healthy" });
      }
      return;
    }
    case "health": {
      const actor = actors[what.index % Math.max(1, actors.length)];
      if (actor !== undefined && world.view.status(actor)?.state === "ready") {
        world.report(actor, { health: what.health, healthReason: "it was drawn" });
      }
      return;
    }
    case "routers":
      world.applyEverywhere();
      return;
    case "time":
      world.now += what.ms;
      return;
    case "crash":
      world.crash();
  }
};

const play = (world: CoreWorld, events: readonly Event[]): void => {
  for (const what of events) {
    happen(world, what);
    world.decideAll();
  }
};

const wantedOf = (world: CoreWorld, record: BackendRecord) => targetReplicas(record, world.view.config(record.tag));

describe("every history", () => {
  test("comes to rest with exactly the wanted replicas, each as wanted, and every goal settled", () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 40 }), (events) => {
        const world = busyWorld();
        play(world, events);
        world.settle(200_000);
        for (const record of world.view.all("backend")) {
          const replicas = world.replicas(record.tag);
          expect(replicas).toHaveLength(wantedOf(world, record));
          for (const { phase, health, assignment, appliedRevision } of replicas) {
            const { rollout } = record;
            expect({ phase, health, rollout: assignment.rollout }).toEqual({
              phase: "ready",
              health: "healthy",
              rollout,
            });
            expect(appliedRevision).toBeGreaterThanOrEqual(record.configRevision);
          }
        }
        for (const goal of world.view.all("goal")) expect(goal.state).not.toBe("pending");
        for (const { tag, traffic: shares } of world.view.all("endpoint")) {
          for (const of of Object.keys(shares)) {
            expect(world.published(tag, of)).toEqual(world.replicas(of).map((replica) => replica.actor));
          }
        }
      }),
      { numRuns: 300 },
    );
  });

  test("never starts a replica above the wanted number and its surge, those on their way out counted", () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 40 }), (events) => {
        const world = busyWorld();
        for (const what of events) {
          const before = new Set(world.assignments().map(({ actor }) => actor));
          happen(world, what);
          world.decideAll();
          for (const record of world.view.all("backend")) {
            if (world.replicas(record.tag).every(({ actor }) => before.has(actor))) continue;
            const { maxSurge } = world.view.config(record.tag);
            expect(world.processes(record.tag)).toBeLessThanOrEqual(wantedOf(world, record) + maxSurge);
          }
        }
      }),
      { numRuns: 300 },
    );
  });

  test("drains a serving replica only after routers were told that it goes, and forgets it only after its process is gone", () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 40 }), (events) => {
        const world = busyWorld();
        const seen = new Set<Decision>();
        for (const what of events) {
          const publishedBefore = new Set(
            ENDPOINTS.flatMap((tag) => BACKENDS.flatMap((of) => world.published(tag, of))),
          );
          happen(world, what);
          checkOrderOfGoing(world, { seen, publishedBefore });
          world.decideAll();
          for (const decision of world.decisions) seen.add(decision);
        }
      }),
      { numRuns: 200 },
    );
  });

  test("uses each ordinal once", () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 40 }), (events) => {
        const world = busyWorld();
        const owner = new Map<string, string>();
        for (const what of events) {
          happen(world, what);
          world.decideAll();
          for (const { actor, spec } of world.assignments()) {
            const ordinal = actor.slice(actor.lastIndexOf("#"));
            const name = spec.kind === "replica" ? spec.backend : "proxy";
            expect(owner.get(ordinal) ?? name).toBe(name);
            owner.set(ordinal, name);
          }
        }
      }),
      { numRuns: 50 },
    );
  });
});

/** Looks at what this step alone decided: a drain of a replica that routers still knew before it is too early. */
const checkOrderOfGoing = (
  world: CoreWorld,
  { seen, publishedBefore }: { readonly seen: ReadonlySet<Decision>; readonly publishedBefore: ReadonlySet<string> },
): void => {
  for (const decision of world.decisions.filter((it) => !seen.has(it))) {
    for (const { fact } of decision.changes) {
      if (fact.kind !== "assignment") continue;
      if (fact.after?.intent.kind === "drain") expect(publishedBefore.has(fact.after.actor)).toBe(false);
      const isForgotten = fact.after === undefined;
      if (isForgotten) expect(world.view.status(fact.id as never)?.state ?? "exited").toBe("exited");
    }
  }
};

describe("a call", () => {
  test("that scales down ends exactly as many replicas as are too many (defect 8 of the ancestor)", () => {
    const sizes = fc.tuple(fc.integer({ min: 2, max: 8 }), fc.integer({ min: 1, max: 7 }), fc.array(fc.nat(7)));
    fc.assert(
      fc.property(sizes, ([from, by, dead]) => {
        const to = Math.max(1, from - by);
        const world = newWorld();
        world.call(createBackend("a", { numReplicas: from }));
        world.call(createEndpoint("e", { a: 1 }));
        world.settle();
        const before = world.replicas("a").map(({ actor }) => actor);
        const notReady = new Set(dead.map((index) => before[index % from]!));
        for (const actor of notReady) world.report(actor, { state: "starting", address: undefined });
        world.decideAll();
        world.call(update("a", { numReplicas: to }));
        world.settle();
        const order = before.toSorted(
          (x, y) => Number(notReady.has(y)) - Number(notReady.has(x)) || ordinal(y) - ordinal(x),
        );
        expect(world.replicas("a").map(({ actor }) => actor)).toEqual(
          before.filter((actor) => !order.slice(0, from - to).includes(actor)),
        );
      }),
      { numRuns: 100 },
    );
  });
});

describe("a decision", () => {
  test("leaves all that is known as it was, and is the same when asked again", () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 20 }), call, (events, last) => {
        const world = busyWorld();
        play(world, events);
        const known = { view: world.view, soft: world.soft, keys: world.keys };
        const inputs = () => ({
          calls: [{ ...last, goalId: "last" as GoalId } as Call],
          dirty: everything(world.view),
          quarantined: new Set<never>(),
        });
        const before = dump(world);
        const first = decide(known, inputs(), { instant: world.now, timestamp: world.now });
        expect(dump(world)).toEqual(before);
        const second = decide(known, inputs(), { instant: world.now, timestamp: world.now });
        expect(plain(second)).toEqual(plain(first));
      }),
      { numRuns: 200 },
    );
  });

  test("that throws inside one backend undoes that backend's part, and the others go on (defect 6 of the ancestor)", () => {
    const world = busyWorld();
    const broken = world.view.status("a#1" as never)!;
    // A record that no agent of ours writes: looking at it throws.
    world.observe({ kind: "status", id: "a#1", after: { ...broken, error: { code: "reconfigure-failed" } as never } });
    Object.defineProperty(world.view.status("a#1" as never)!, "state", {
      get: () => {
        throw new Error("malformed");
      },
    });
    const decision = world.turn({ calls: [{ ...restart("b"), goalId: "r" as GoalId } as Call] });
    expect(decision.faults.map(({ key, message }) => `${key} ${message}`)).toContain("backend/a malformed");
    expect(decision.replies[0]?.outcome.kind).toBe("goal");
    expect(decision.changes.some(({ fact }) => fact.kind === "assignment" && fact.id.startsWith("b#"))).toBe(true);
  });
});

/** Everything that decisions read, as data. */
const dump = (world: CoreWorld) =>
  (["instance", "backend", "endpoint", "goal", "assignment", "status", "node"] as const).map((kind) =>
    Array.from(world.view.all(kind), (value) => JSON.stringify(value)).sort(),
  );

const plain = (decision: Decision) => ({ ...decision, leftDirty: [...decision.leftDirty] });

const ordinal = (actor: string): number => Number(actor.slice(actor.lastIndexOf("#") + 1));
