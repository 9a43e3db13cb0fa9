/** The life of endpoints through `decide`: who is told what, and when a goal may say that everybody knows. */
import { beforeEach, describe, expect, test } from "vitest";
import {
  createBackend,
  createEndpoint,
  deleteEndpoint,
  setTraffic,
  shadowTraffic,
  update,
} from "../../tests/harness/calls.ts";
import { CoreWorld, NODE } from "../../tests/harness/core-world.ts";

let world: CoreWorld;
beforeEach(() => {
  world = new CoreWorld();
  world.call(createBackend("a", { numReplicas: 2 }));
  world.call(createBackend("b"));
  world.settle();
});

const errorOf = (outcome: { readonly kind: string }) =>
  (outcome as { readonly error?: { readonly code: string; readonly message: string } }).error;
const program = (applied: number | undefined) => ({ name: "program 7", kind: "program" as const, applied });

describe("creating an endpoint", () => {
  test("publishes its closure: policy, limits, and every backend with its ready replicas", () => {
    world.call(createEndpoint("e", { a: 0.9, b: 0.1 }, { spec: { route: "/e" }, shadows: { b: 0.5 } }));
    expect(world.closure("e")).toEqual({
      tag: "e",
      spec: expect.objectContaining({ route: "/e" }),
      traffic: { a: 0.9, b: 0.1 },
      shadows: { b: 0.5 },
      backends: {
        a: {
          maxConcurrentQueries: 100,
          maxQueuedQueries: 1_000,
          replicas: ["a#1", "a#2"].map((replica) => ({ replica, incarnation: 1, address: `unix:/${replica}` })),
        },
        b: {
          maxConcurrentQueries: 100,
          maxQueuedQueries: 1_000,
          replicas: [expect.objectContaining({ replica: "b#3" })],
        },
      },
    });
  });

  test("names a backend without ready replicas too: its queries wait", () => {
    world.call(createBackend("c"));
    world.call(createEndpoint("e", { c: 1 }));
    expect(world.closure("e")?.backends).toMatchObject({ c: { replicas: [] } });
    world.settle();
    expect(world.published("e", "c")).toHaveLength(1);
  });

  test("is refused with one clear sentence for each kind of bad input, and leaves nothing", () => {
    world.call(createEndpoint("e", { a: 1 }, { spec: { route: "/e/:id" } }));
    const before = world.saved.size;
    const refusals = [
      createEndpoint("x/y", { a: 1 }),
      createEndpoint("f", { a: 0.5 }),
      createEndpoint("f", { a: 1 }, { shadows: { b: 2 } }),
      createEndpoint("f", { nobody: 1 }),
      createEndpoint("f", { a: 1 }, { shadows: { nobody: 0.1 } }),
      createEndpoint("f", { a: 1 }, { spec: { route: "f" } }),
      createEndpoint("f", { a: 1 }, { spec: { route: "/e/:other" } }),
      createEndpoint("f", { a: 1 }, { spec: { methods: [], timeoutMs: 0 } }),
      createEndpoint("e", { b: 1 }, { spec: { route: "/e/:id" } }),
    ].map((call) => errorOf(world.call(call).outcome));
    expect(refusals.map((error) => error?.code)).toEqual([
      "tag-invalid",
      "weights-invalid",
      "weights-invalid",
      "backend-unknown",
      "backend-unknown",
      "route-invalid",
      "route-taken",
      "config-invalid",
      "endpoint-exists",
    ]);
    expect(refusals[6]?.message).toContain('endpoint "e" already answers');
    expect(refusals[8]?.message).toContain("another traffic");
    expect(world.saved.size).toBe(before);
  });

  test("a route is free again when its endpoint is gone", () => {
    world.call(createEndpoint("e", { a: 1 }, { spec: { route: "/e" } }));
    world.call(deleteEndpoint("e"));
    expect(world.call(createEndpoint("f", { a: 1 }, { spec: { route: "/e" } })).outcome.kind).toBe("goal");
  });
});

describe("traffic", () => {
  beforeEach(() => {
    world.call(createEndpoint("e", { a: 1 }, { shadows: { b: 0.2 } }));
    world.settle();
  });

  test("setTraffic keeps the shadows (defect 13 of the ancestor)", () => {
    world.call(setTraffic("e", { a: 0.5, b: 0.5 }));
    expect(world.closure("e")).toMatchObject({ traffic: { a: 0.5, b: 0.5 }, shadows: { b: 0.2 } });
  });

  test("shadowTraffic keeps the weights, and a proportion of 0 removes the shadow", () => {
    world.call(shadowTraffic("e", "b", 0.7));
    expect(world.closure("e")).toMatchObject({ traffic: { a: 1 }, shadows: { b: 0.7 } });
    world.call(shadowTraffic("e", "b", 0));
    expect(world.closure("e")?.shadows).toEqual({});
  });

  test("unknown endpoints and backends are refused by name", () => {
    expect(errorOf(world.call(setTraffic("nobody", { a: 1 })).outcome)?.message).toContain('"nobody"');
    expect(errorOf(world.call(setTraffic("e", { nobody: 1 })).outcome)?.message).toContain('"nobody"');
    expect(errorOf(world.call(shadowTraffic("e", "nobody", 0.1)).outcome)?.message).toContain('"nobody"');
  });

  test("one call costs what it changes, however much exists", () => {
    for (let index = 0; index < 200; index += 1) world.call(createEndpoint(`e${index}`, { a: 1 }));
    world.settle();
    const before = world.decisions.length;
    world.call(setTraffic("e7", { b: 1 }));
    world.decideAll();
    const made = world.decisions.slice(before);
    expect(made.flatMap((decision) => decision.changes.map((change) => change.fact.id)).sort()).toEqual(
      [world.view.endpoint("e7" as never)!.goal, world.view.endpoint("e7" as never)!.goal, "e7"].sort(),
    );
    expect(made.flatMap((decision) => decision.publications.map((it) => it.tag))).toEqual(["e7"]);
  });

  test("a changed limit of a backend is told to the routers of its endpoints only", () => {
    world.call(createEndpoint("f", { b: 1 }));
    world.settle();
    const before = world.decisions.length;
    world.call(update("b", { maxQueuedQueries: 5 }));
    const told = world.decisions.slice(before).flatMap((decision) => decision.publications);
    expect(told.map((publication) => publication.tag).sort()).toEqual(["e", "f"]);
  });
});

describe("a goal of an endpoint", () => {
  test("is reached when every router has applied it", () => {
    world.clients = [{ name: "a#1", kind: "replica", applied: 0 }];
    const { id } = world.call(createEndpoint("e", { a: 1 }));
    world.decideAll();
    const reason = "it waits until a#1 has applied it.";
    expect(world.goal(id)).toEqual({ id, state: "pending", reason, laggards: ["a#1"] });
    world.clients[0]!.applied = world.counter;
    world.acknowledge();
    world.decideAll();
    expect(world.goal(id).state).toBe("reached");
  });

  test("waits a second for programs, then settles and names them", () => {
    world.clients = [program(0)];
    const { id } = world.call(createEndpoint("e", { a: 1 }));
    world.now += 999;
    world.decideAll();
    expect(world.goal(id).state).toBe("pending");
    world.now += 1;
    world.decideAll();
    expect(world.goal(id)).toEqual({ id, state: "reached", laggards: ["program 7"] });
  });

  test("does not wait for the handles of a replica that is gone", () => {
    world.clients = [{ name: "a#1", kind: "replica", applied: 0 }];
    const { id } = world.call(createEndpoint("e", { a: 1 }));
    world.decideAll();
    expect(world.goal(id).state).toBe("pending");
    world.report("a#1" as never, { state: "exited", address: undefined, pid: undefined });
    world.decideAll();
    expect(world.goal(id).state).toBe("reached");
  });

  test("waits for a proxy that has never polled (nothing settles from an empty registry)", () => {
    world = new CoreWorld({ location: "head" });
    world.call(createBackend("a"));
    world.settle();
    const proxy = world.assignments().find((assignment) => assignment.spec.kind === "proxy")!.actor;
    const { id } = world.call(createEndpoint("e", { a: 1 }));
    world.settle(5_000);
    expect(world.goal(id)).toMatchObject({ state: "pending", laggards: [proxy] });
    world.clients = [{ name: proxy, kind: "proxy", applied: world.counter }];
    world.acknowledge();
    world.decideAll();
    expect(world.goal(id).state).toBe("reached");
  });

  test("does not settle before routers had time to reconnect to a new life", () => {
    const { id } = world.call(createEndpoint("e", { a: 1 }));
    world.crash();
    world.decideAll();
    expect(world.goal(id).state).toBe("pending");
    world.now += 1_000;
    world.decideAll();
    expect(world.goal(id).state).toBe("reached");
  });

  test("of a deletion is reached when routers have withdrawn it, also over a crash (defect 22 of the ancestor)", () => {
    world.call(createEndpoint("e", { a: 1 }));
    world.settle();
    world.clients = [{ name: "a#1", kind: "replica", applied: world.counter }];
    const { id } = world.call(deleteEndpoint("e"));
    world.decideAll();
    expect(world.decisions.flatMap((it) => it.publications).at(-1)).toEqual({ tag: "e", closure: undefined });
    expect(world.goal(id).state).toBe("pending");
    world.crash();
    world.now += 1_000;
    world.decideAll();
    expect(world.goal(id)).toMatchObject({ state: "pending", laggards: ["a#1"] });
    world.settle();
    expect(world.goal(id).state).toBe("reached");
  });

  test("of a second deletion shares the first while that is pending, and of an absent endpoint is reached", () => {
    world.call(createEndpoint("e", { a: 1 }));
    world.settle();
    world.clients = [{ name: "a#1", kind: "replica", applied: 0 }];
    const first = world.call(deleteEndpoint("e"));
    const second = world.call(deleteEndpoint("e"));
    world.decideAll();
    expect(world.goal(second.id).state).toBe("pending");
    world.settle();
    expect([world.goal(first.id).state, world.goal(second.id).state]).toEqual(["reached", "reached"]);
    expect(world.goal(world.call(deleteEndpoint("nobody")).id).state).toBe("reached");
  });
});

describe("a new life", () => {
  test("publishes what the old one had published", () => {
    world.call(createEndpoint("e", { a: 1 }));
    world.settle();
    const before = world.closure("e");
    world.crash();
    world.decideAll();
    expect(world.closure("e")).toEqual(before);
  });

  test("says nothing about a backend before its silent node has spoken, or five seconds have passed", () => {
    world.call(createEndpoint("e", { a: 1 }));
    world.settle();
    const before = world.closure("e");
    world.loseNode();
    world.decideAll();
    world.crash();
    world.decideAll();
    expect(world.closure("e")).toBeUndefined();
    world.now += 4_999;
    world.decideAll();
    expect(world.closure("e")).toBeUndefined();
    world.now += 1;
    world.decideAll();
    expect(world.closure("e")).toEqual(before);
  });

  test("publishes at once when the node speaks", () => {
    world.call(createEndpoint("e", { a: 1 }));
    world.settle();
    world.loseNode();
    world.decideAll();
    world.crash();
    world.decideAll();
    world.report("a#1" as never, { state: "exited", address: undefined, nodeIncarnation: 2 });
    world.report("a#2" as never, { nodeIncarnation: 2 });
    world.setNode(2);
    world.decideAll();
    expect(world.view.node(NODE)?.incarnation).toBe(2);
    expect(world.published("e", "a")).toEqual(["a#2"]);
  });

  test("a change that is held back is not taken for published", () => {
    world.call(createEndpoint("e", { a: 1 }));
    world.settle();
    world.loseNode();
    world.decideAll();
    world.crash();
    const { id } = world.call(setTraffic("e", { b: 1 }));
    world.now += 2_000;
    world.decideAll();
    expect(world.goal(id).state).toBe("pending");
    world.settle();
    expect(world.goal(id).state).toBe("reached");
    expect(world.closure("e")?.traffic).toEqual({ b: 1 });
  });
});
