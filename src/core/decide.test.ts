/** What holds for every sequence of calls, agent steps, router answers, pauses and crashes. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  appBackend,
  appEndpoint,
  createBackend,
  createEndpoint,
  deleteBackend,
  deleteEndpoint,
  deploy,
  restart,
  setTraffic,
  shadowTraffic,
  update,
} from "../../tests/harness/calls.ts";
import { CoreWorld } from "../../tests/harness/core-world.ts";
import type { Call } from "../model/calls.ts";
import type { GoalId } from "../model/ids.ts";
import { type Decision, decide } from "./decide.ts";
import { everything } from "./dirty.ts";

const BACKENDS = ["a", "b", "c"];
const ENDPOINTS = ["e", "f"];

const backend = fc.constantFrom(...BACKENDS);
const endpoint = fc.constantFrom(...ENDPOINTS);
const config = fc.record(
  {
    numReplicas: fc.integer({ min: 1, max: 5 }),
    userConfig: fc.integer({ min: 0, max: 2 }),
    env: fc.constantFrom({}, { A: "1" }, { A: "2" }),
    maxSurge: fc.integer({ min: 1, max: 2 }),
    maxUnavailable: fc.integer({ min: 0, max: 1 }),
    maxQueuedQueries: fc.integer({ min: 0, max: 2 }),
  },
  { requiredKeys: [] },
);
const traffic = fc.oneof(
  backend.map((tag) => ({ [tag]: 1 })),
  fc.tuple(backend, backend).map(([x, y]) => (x === y ? { [x]: 1 } : { [x]: 0.25, [y]: 0.75 })),
);
/** An app of its own tags; its digests say that its code has changed. */
const app = fc
  .tuple(
    fc.dictionary(fc.constantFrom("p", "q"), fc.tuple(config, fc.constantFrom("1", "2"))),
    fc.constantFrom({}, { g: { p: 1 } }, { g: { p: 0.5, q: 0.5 } }),
  )
  .map(([backends, endpoints]) =>
    deploy(
      "app",
      Object.fromEntries(Object.entries(backends).map(([tag, [values, digest]]) => [tag, appBackend(values, digest)])),
      Object.fromEntries(Object.entries(endpoints).map(([tag, shares]) => [tag, appEndpoint(shares as never)])),
    ),
  );
const call = fc.oneof(
  fc.tuple(backend, config).map(([tag, values]) => createBackend(tag, values)),
  fc.tuple(backend, config).map(([tag, values]) => update(tag, values)),
  backend.map(restart),
  fc.tuple(backend, fc.boolean()).map(([tag, force]) => deleteBackend(tag, force)),
  fc.tuple(endpoint, traffic).map(([tag, shares]) => createEndpoint(tag, shares, { spec: { route: `/${tag}` } })),
  endpoint.map(deleteEndpoint),
  fc.tuple(endpoint, traffic).map(([tag, shares]) => setTraffic(tag, shares)),
  fc.tuple(endpoint, backend, fc.constantFrom(0, 0.5)).map(([tag, of, share]) => shadowTraffic(tag, of, share)),
  app,
);
/** Calls that make replicas come and go. */
const change = fc.oneof(
  fc.tuple(backend, config).map(([tag, values]) => update(tag, values)),
  backend.map(restart),
);
type AnyCall = typeof call extends fc.Arbitrary<infer C> ? C : never;

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

const newWorld = (): CoreWorld => {
  const world = new CoreWorld();
  world.clients = [{ name: "program 1", kind: "program", applied: undefined }];
  return world;
};

/** Two backends that serve through two endpoints: from here on most calls mean something. */
const busyWorld = (): CoreWorld => {
  const world = newWorld();
  world.call(createBackend("a", { numReplicas: 3 }));
  world.call(createBackend("b", { numReplicas: 2, maxUnavailable: 1 }));
  world.call(createEndpoint("e", { a: 0.5, b: 0.5 }, { spec: { route: "/e" } }));
  world.call(createEndpoint("f", { a: 1 }, { spec: { route: "/f" }, shadows: { b: 0.1 } }));
  world.settle();
  return world;
};

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

const tagsOf = (it: AnyCall): Set<string> => {
  if (it.kind === "deploy") return new Set(["p", "q", "g"]);
  const shares = "traffic" in it ? Object.keys(it.traffic) : [];
  return new Set([it.tag, ...shares, ...("backend" in it ? [it.backend] : [])]);
};

describe("every history", () => {
  test("comes to rest with exactly the wanted replicas, each as wanted, and every goal settled", () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 40 }), (events) => {
        const world = busyWorld();
        play(world, events);
        world.settle(200_000);
        for (const record of world.view.all("backend")) {
          const replicas = world.replicas(record.tag);
          expect(replicas).toHaveLength(world.view.config(record.tag).numReplicas);
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
            const { numReplicas, maxSurge } = world.view.config(record.tag);
            expect(world.processes(record.tag)).toBeLessThanOrEqual(numReplicas + maxSurge);
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

describe("every call", () => {
  test("sent twice with one goal id is made once, whatever others changed in between", () => {
    const calls = fc.array(call, { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(calls, fc.nat(), fc.nat(), fc.boolean(), (sequence, first, gap, crashes) => {
        const at = first % sequence.length;
        const repeatAt = at + (gap % (sequence.length - at));
        const run = (repeats: "once" | "twice") => {
          const world = newWorld();
          for (const [index, it] of sequence.entries()) {
            // Refused calls are not repeated: their ids are free, and by then they may be possible.
            const { outcome } = world.call(it, `c${index}` as GoalId);
            if (index === at && outcome.kind === "refused") return { wishes: "refused", goals: [] };
            if (index !== repeatAt || repeats === "once") continue;
            if (crashes) world.crash();
            world.call(sequence[at]!, `c${at}` as GoalId);
          }
          const goals = Array.from(world.view.all("goal"), ({ id, subject }) => ({ id, subject }));
          return { wishes: world.wishes(), goals: goals.sort((a, b) => (a.id < b.id ? -1 : 1)) };
        };
        expect(run("twice")).toEqual(run("once"));
      }),
      { numRuns: 300 },
    );
  });

  test("commutes with every call that names other things", () => {
    fc.assert(
      fc.property(fc.array(call, { maxLength: 10 }), call, call, (prefix, x, y) => {
        fc.pre([...tagsOf(x)].every((tag) => !tagsOf(y).has(tag)));
        const run = (...order: readonly AnyCall[]) => {
          const world = newWorld();
          for (const it of prefix) world.call(it);
          world.settle();
          const outcomes = order.map((it) => [it, world.call(it).outcome.kind] as const);
          return { wishes: world.wishes(), x: outcomes.find(([it]) => it === x), y: outcomes.find(([it]) => it === y) };
        };
        // A backend cannot go while an endpoint names it: these two name each other through what is saved.
        fc.pre(!(x.kind === "deleteBackend" || y.kind === "deleteBackend") || x.kind === y.kind);
        expect(run(x, y)).toEqual(run(y, x));
      }),
      { numRuns: 300 },
    );
  });

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
