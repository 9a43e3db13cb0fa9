/** A plan is what then happens, and making one changes nothing. */
import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
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
import { flowers } from "../../tests/harness/flowers.ts";
import type { Action } from "../model/action.ts";
import { decide } from "./decide.ts";
import { everything } from "./dirty.ts";
import type { Kind } from "./facts.ts";
import type { Plan } from "./plan.ts";

type Body = Parameters<CoreWorld["plan"]>[0];

let world: CoreWorld;
beforeEach(() => {
  world = new CoreWorld();
});

const actionsOf = (plan: Plan): readonly Action[] => (plan.kind === "actions" ? plan.actions : []);
const planned = (body: Body): readonly string[] =>
  actionsOf(world.plan(body)).map(({ action, target }) => `${action} ${target}`);

const KINDS: readonly Kind[] = ["instance", "backend", "endpoint", "app", "goal", "assignment", "node", "status"];

/** All that the view holds, and what its indexes make of it. */
const contentOf = ({ view, soft, keys, now }: CoreWorld): unknown => {
  const tables = KINDS.map((kind) => Array.from(view.all(kind), (value) => JSON.stringify(value)).sort());
  const revisions = [...view.all("backend"), ...view.all("endpoint")].map(({ tag }) => [
    tag,
    view.entry("backend", tag)?.revision,
    view.entry("endpoint", tag)?.revision,
  ]);
  const inputs = { calls: [], dirty: everything(view), quarantined: new Set<never>() };
  const decision = decide({ view, soft, keys }, inputs, { instant: now, timestamp: now });
  const sets = Array.from(view.all("backend"), ({ tag }) => [
    tag,
    [...view.replicasOf(tag)].sort(),
    [...view.endpointsOf(tag)].sort(),
    view.config(tag),
  ]);
  const routes = ["/e", "/f", "/iris"].map((route) => view.endpointOfRoute(route));
  const goals = [[...view.pendingSubjects()].sort(), [...view.settledGoals()], [...view.aliasedGoals()].sort()];
  const { changes, publications, reasons } = decision;
  return { tables, revisions: revisions.sort(), sets: sets.sort(), routes, goals, changes, publications, reasons };
};

describe("a plan", () => {
  test("of a first deploy lists everything that is made and started, with reasons, and makes nothing", () => {
    const before = contentOf(world);
    expect(actionsOf(world.plan(flowers()))).toEqual([
      { action: "create backend", target: "v1", reason: "it is new and wants 2 replicas" },
      { action: "create backend", target: "v2", reason: "it is new and wants 1 replica" },
      { action: "create endpoint", target: "iris", reason: "it is new, answers /iris, with v1 100 %, shadows v2 50 %" },
      { action: "start replica", target: "v1#1", reason: "its backend wants 2 replicas" },
      { action: "start replica", target: "v1#2", reason: "its backend wants 2 replicas" },
      { action: "start replica", target: "v2#3", reason: "its backend wants 1 replica" },
      { action: "publish endpoint", target: "iris", reason: "routers learn of it" },
      { action: "publish endpoint", target: "iris", reason: "replicas or limits of its backends have changed" },
    ]);
    expect(contentOf(world)).toEqual(before);
    expect(world.view.count("backend")).toBe(0);
  });

  test("of a roll-out goes through it to the end, one replica after the other", () => {
    world.call(flowers());
    world.settle();
    const file = flowers({ v1: appBackend({ numReplicas: 2 }, "new") });
    expect(planned(file)).toEqual([
      "update backend v1",
      "start replica v1#4",
      "publish endpoint iris",
      "withdraw replica v1#2",
      "drain replica v1#2",
      "start replica v1#5",
      "withdraw replica v1#1",
      "drain replica v1#1",
    ]);
    const [first, , , withdraw] = actionsOf(world.plan(file));
    expect(first?.reason).toBe("its code has changed (replicas are replaced)");
    expect(withdraw?.reason).toBe("roll-out 2 of its backend takes its place; routers are told first");
  });

  test("of what left the file says so", () => {
    world.call(flowers({ traffic: { v1: 0.5, v2: 0.5 } }));
    world.settle();
    const plan = world.plan(deploy("flowers", { v1: appBackend({ numReplicas: 2 }, "d1") }));
    expect(actionsOf(plan)).toEqual([
      { action: "delete endpoint", target: "iris", reason: 'the file of the app "flowers" names it no more' },
      { action: "delete backend", target: "v2", reason: 'the file of the app "flowers" names it no more' },
      { action: "withdraw endpoint", target: "iris", reason: "routers forget it" },
      { action: "withdraw replica", target: "v2#3", reason: "its backend is deleted; routers are told first" },
      { action: "drain replica", target: "v2#3", reason: "its backend is deleted" },
    ]);
  });

  test("of a file that says what is so is empty", () => {
    world.call(flowers());
    world.settle();
    world.call(update("v1", { numReplicas: 4 }));
    world.settle();
    expect(world.plan(flowers())).toEqual({ kind: "actions", actions: [] });
  });

  test("of single calls says what changes, but no value of env", () => {
    world.call(createBackend("a", { numReplicas: 1, env: { KEY: "old-secret" } }));
    world.call(createBackend("b"));
    world.call(createEndpoint("e", { a: 1 }));
    world.settle();
    const plan = world.plan(update("a", { numReplicas: 2, env: { KEY: "secret" }, userConfig: { a: 1 } }));
    expect(actionsOf(plan)[0]).toEqual({
      action: "update backend",
      target: "a",
      reason: "numReplicas 1 → 2; userConfig has changed; env has changed (replicas are replaced)",
    });
    expect(JSON.stringify(plan)).not.toContain("secret");
    expect(actionsOf(world.plan(setTraffic("e", { a: 0.9, b: 0.1 })))).toEqual([
      { action: "update endpoint", target: "e", reason: "traffic a 100 % → a 90 %, b 10 %" },
      { action: "publish endpoint", target: "e", reason: "its route, traffic or shadows have changed" },
    ]);
    expect(planned(restart("b"))).toEqual([
      "update backend b",
      "start replica b#3",
      "withdraw replica b#2",
      "drain replica b#2",
    ]);
  });

  test("knows the load of the moment: scaling that the call sets off at once is in it", () => {
    world.call(createBackend("a"));
    world.settle();
    world.loads.set("a", 30);
    const autoscaling = { minReplicas: 1, maxReplicas: 3, targetQueriesPerReplica: 10, upDelayMs: 0 };
    expect(planned(update("a", { autoscaling })).filter((line) => line.startsWith("start"))).toHaveLength(2);
  });

  test("of a call that would be refused is its refusal", () => {
    world.call(createBackend("v1"));
    expect(world.plan(flowers())).toMatchObject({ kind: "refused", error: { code: "tag-owned" } });
    expect(world.plan(deleteBackend("v1"))).toMatchObject({ kind: "actions" });
  });

  test("of what cannot be placed says what it would wait for", () => {
    const plan = world.plan(createBackend("a", { numReplicas: 2, resources: { cpu: 64 } }));
    expect(actionsOf(plan).at(-1)).toMatchObject({
      action: "wait",
      target: "a",
      reason: expect.stringContaining("64 cpu"),
    });
  });

  test("of more than a plan is made for ends by saying so", () => {
    const plan = world.plan(createBackend("a", { numReplicas: 20_000 }));
    expect(actionsOf(plan).length).toBeGreaterThan(500);
    expect(actionsOf(plan).at(-1)?.action).toBe("and so on");
    expect(world.view.count("assignment")).toBe(0);
  });

  test("costs what the call touches, not what there is", () => {
    for (let index = 0; index < 300; index += 1) world.call(createBackend(`other${index}`));
    world.settle();
    world.call(createBackend("a"));
    world.settle();
    let reads = 0;
    const { view } = world;
    const all = view.all.bind(view);
    view.all = ((kind: Kind) => {
      // Nodes are looked at to place a replica.
      if (kind !== "node") reads += view.count(kind);
      return all(kind);
    }) as typeof view.all;
    const looked = new Set<string>();
    const replicasOf = view.replicasOf.bind(view);
    view.replicasOf = (tag) => {
      looked.add(tag);
      return replicasOf(tag);
    };
    expect(planned(update("a", { numReplicas: 2 }))).toEqual(["update backend a", "start replica a#302"]);
    expect([reads, [...looked]]).toEqual([0, ["a"]]);
  });
});

const tag = fc.constantFrom("a", "b", "c");
const config = fc.record(
  {
    numReplicas: fc.integer({ min: 1, max: 4 }),
    userConfig: fc.integer({ min: 0, max: 2 }),
    env: fc.constantFrom({}, { A: "1" }),
    maxSurge: fc.integer({ min: 1, max: 2 }),
    maxUnavailable: fc.integer({ min: 0, max: 1 }),
  },
  { requiredKeys: [] },
);
const traffic = fc.tuple(tag, tag).map(([x, y]) => (x === y ? { [x]: 1 } : { [x]: 0.25, [y]: 0.75 }));
const endpointTag = fc.constantFrom("e", "f");
const app = fc
  .record({
    backends: fc.dictionary(fc.constantFrom("p", "q", "a"), fc.tuple(config, fc.constantFrom("1", "2", undefined))),
    endpoints: fc.dictionary(fc.constantFrom("g", "h"), fc.constantFrom({ p: 1 }, { p: 0.5, q: 0.5 })),
  })
  .map(({ backends, endpoints }) =>
    deploy(
      "app",
      Object.fromEntries(
        Object.entries(backends).map(([name, [values, digest]]) => [name, appBackend(values, digest)]),
      ),
      Object.fromEntries(Object.entries(endpoints).map(([name, shares]) => [name, appEndpoint(shares as never)])),
    ),
  );
const call: fc.Arbitrary<Body> = fc.oneof(
  fc.tuple(tag, config).map(([name, values]) => createBackend(name, values)),
  fc.tuple(tag, config).map(([name, values]) => update(name, values)),
  tag.map(restart),
  fc.tuple(tag, fc.boolean()).map(([name, force]) => deleteBackend(name, force)),
  fc.tuple(endpointTag, traffic).map(([name, shares]) => createEndpoint(name, shares, { spec: { route: `/${name}` } })),
  endpointTag.map(deleteEndpoint),
  fc.tuple(endpointTag, traffic).map(([name, shares]) => setTraffic(name, shares)),
  fc.tuple(endpointTag, tag, fc.constantFrom(0, 0.5)).map(([name, of, share]) => shadowTraffic(name, of, share)),
  app,
  app,
);

test("of any call is what then happens, when nothing fails and nothing else is asked for; and changes nothing", () => {
  fc.assert(
    fc.property(fc.array(call, { minLength: 1, maxLength: 12 }), (calls) => {
      world = new CoreWorld();
      for (const body of calls) {
        const before = contentOf(world);
        const plan = world.plan(body);
        expect(contentOf(world)).toEqual(before);
        world.actions = [];
        const next = world.view.instance()?.nextOrdinal ?? 1;
        const { outcome } = world.call(body);
        world.settle();
        if (plan.kind === "refused") expect(outcome).toEqual(plan);
        else expect(distinct(world.actions, next)).toEqual(distinct(plan.actions, next));
      }
    }),
    { numRuns: 60 },
  );
});

/** What is done, how often; ordinals from `next` on are given as they come, to whichever backend is faster. */
const distinct = (actions: readonly Action[], next: number): readonly string[] => {
  const lines = new Set(actions.map(({ action, target, reason }) => `${action} ${target}: ${reason}`));
  return [...lines].map((line) => line.replace(/#(\d+)/, (text, ordinal) => (ordinal < next ? text : "#new"))).sort();
};
