/** What a deploy makes of an app: everything in one transaction, live values kept, what left the file gone. */
import { beforeEach, describe, expect, test } from "vitest";
import {
  appBackend,
  appEndpoint,
  createBackend,
  createEndpoint,
  deleteBackend,
  deploy,
  setTraffic,
  shadowTraffic,
  update,
} from "../../tests/harness/calls.ts";
import { CoreWorld } from "../../tests/harness/core-world.ts";
import { errorOf, flowers, look } from "../../tests/harness/flowers.ts";
import type { Assignment } from "../model/actor.ts";
import type { AppEndpoint } from "../model/app.ts";
import type { AppName, GoalId } from "../model/ids.ts";

let world: CoreWorld;
beforeEach(() => {
  world = new CoreWorld();
});
const { backend, endpoint, names, ready } = look(() => world);

const BOOM = { code: "start-failed", message: "no weights" };

describe("a first deploy", () => {
  test("makes everything in one transaction, and is reached when all of it runs and routers know", () => {
    world.clients = [{ name: "program 1", kind: "program", applied: 0 }];
    const { id } = world.call(flowers());
    const { changes } = world.decisions.at(-1)!;
    expect(changes.map(({ fact }) => `${fact.kind} ${fact.id}`)).toEqual(
      expect.arrayContaining(["app flowers", "backend v1", "backend v2", "endpoint iris", `goal ${id}`]),
    );
    expect(world.goal(id)).toMatchObject({
      state: "pending",
      progress: { done: 0, total: 3 },
      changes: [
        { change: "create", part: { kind: "backend", tag: "v1" } },
        { change: "create", part: { kind: "backend", tag: "v2" } },
        { change: "create", part: { kind: "endpoint", tag: "iris" } },
      ],
    });
    world.decideAll();
    world.actAgent(names("v1")[0]!);
    world.decideAll();
    expect(world.goal(id)).toMatchObject({
      progress: { done: 1, total: 3 },
      laggards: expect.arrayContaining([names("v1")[1], ...names("v2"), "program 1"]),
    });
    world.settle();
    expect(world.goal(id)).toMatchObject({ state: "reached" });
    expect(ready("v1")).toBe(2);
    expect(world.closure("iris")).toMatchObject({ traffic: { v1: 1 }, shadows: { v2: 0.5 } });
    expect(backend("v1")?.app).toBe("flowers");
  });

  test("of the same file again changes nothing and is reached; while it is under way the new id shares its goal", () => {
    const first = world.call(flowers());
    const meanwhile = world.call(flowers());
    expect(world.view.goal(meanwhile.id)?.aliasOf).toBe(first.id);
    world.settle();
    expect(world.goal(meanwhile.id).state).toBe("reached");
    const before = world.wishes();
    const again = world.call(flowers());
    expect(world.decisions.at(-1)!.changes.map(({ fact }) => fact.kind)).toEqual(["goal"]);
    expect(world.goal(again.id)).toEqual({ id: again.id, state: "reached", changes: [] });
    expect(world.wishes()).toEqual(before);
  });
});

describe("live values", () => {
  beforeEach(() => {
    world.call(flowers());
    world.settle();
  });

  test("stay where the file has not changed: a scaled backend, a canary, a shadow", () => {
    world.call(update("v1", { numReplicas: 4 }));
    world.call(setTraffic("iris", { v1: 0.9, v2: 0.1 }));
    world.call(shadowTraffic("iris", "v1", 0.2));
    world.settle();
    const { id } = world.call(flowers({ v2: appBackend({ userConfig: { threshold: 1 } }, "d2") }));
    world.settle();
    expect(world.goal(id)).toMatchObject({
      state: "reached",
      changes: [{ change: "update", part: { kind: "backend", tag: "v2" } }],
    });
    expect(backend("v1")?.config.numReplicas).toBe(4);
    expect(backend("v2")?.config.userConfig).toEqual({ threshold: 1 });
    expect(endpoint("iris")).toMatchObject({ traffic: { v1: 0.9, v2: 0.1 }, shadows: { v2: 0.5, v1: 0.2 } });
  });

  test("go where the file has changed since its last deploy, and only there", () => {
    world.call(update("v1", { numReplicas: 4, maxConcurrentQueries: 7 }));
    world.call(setTraffic("iris", { v1: 0.9, v2: 0.1 }));
    world.settle();
    const { id } = world.call(flowers({ traffic: { v1: 0.5, v2: 0.5 }, v1: appBackend({ numReplicas: 3 }, "d1") }));
    world.settle();
    expect(world.goal(id).state).toBe("reached");
    expect(backend("v1")?.config).toEqual({ numReplicas: 3, maxConcurrentQueries: 7 });
    expect(endpoint("iris")?.traffic).toEqual({ v1: 0.5, v2: 0.5 });
    expect(ready("v1")).toBe(3);
  });

  test("a thing that was deleted by hand is there again", () => {
    world.call(setTraffic("iris", { v1: 1 }));
    world.call(shadowTraffic("iris", "v2", 0));
    world.call(deleteBackend("v2"));
    world.settle();
    expect(backend("v2")).toBeUndefined();
    const { id } = world.call(flowers());
    world.settle();
    expect(world.goal(id).state).toBe("reached");
    expect(ready("v2")).toBe(1);
    // The shadow was taken away by hand, and the file still says the same of it.
    expect(endpoint("iris")?.shadows).toEqual({});
  });
});

describe("what leaves the file", () => {
  const small = () => deploy("flowers", { v1: appBackend({ numReplicas: 2 }, "d1") }, { iris: iris({ v1: 1 }) });
  const iris = (traffic: Record<string, number>): AppEndpoint => appEndpoint(traffic, { spec: { route: "/iris" } });

  test("goes: endpoints are withdrawn, a backend when its last process has gone", () => {
    world.call(flowers({ traffic: { v1: 0.5, v2: 0.5 } }));
    world.settle();
    const { id } = world.call(deploy("flowers", { v1: appBackend({ numReplicas: 2 }, "d1") }));
    expect(world.goal(id)).toMatchObject({
      changes: [
        { change: "delete", part: { kind: "endpoint", tag: "iris", until: "withdrawn" } },
        { change: "delete", part: { kind: "backend", tag: "v2", until: "gone" } },
      ],
    });
    world.settle();
    expect(world.goal(id).state).toBe("reached");
    expect(backend("v2")).toBeUndefined();
    expect(endpoint("iris")).toBeUndefined();
    expect(world.closure("iris")).toBeUndefined();
    expect(names("v2")).toEqual([]);
    expect(world.view.app("flowers" as AppName)?.endpoints).toEqual({});
  });

  test("is out of the published set before it is drained", () => {
    world.call(flowers({ traffic: { v1: 0.5, v2: 0.5 } }));
    world.settle();
    world.clients = [{ name: "program 1", kind: "program", applied: world.counter }];
    const [goes] = names("v2");
    world.call(small());
    world.decideAll();
    expect(world.published("iris", "v2")).toEqual([]);
    expect(world.view.assignment(goes!)?.intent.kind).toBe("run");
    world.applyEverywhere();
    world.decideAll();
    expect(world.view.assignment(goes!)?.intent.kind).toBe("drain");
  });

  test("takes a live canary with it: the endpoint's traffic is the file's again", () => {
    world.call(flowers());
    world.call(setTraffic("iris", { v1: 0.9, v2: 0.1 }));
    world.settle();
    const { id } = world.call(small());
    world.settle();
    expect(world.goal(id).state).toBe("reached");
    expect(endpoint("iris")).toMatchObject({ traffic: { v1: 1 }, shadows: {} });
    expect(backend("v2")).toBeUndefined();
  });

  test("stays, and the deploy is refused, while an endpoint outside the app names it", () => {
    world.call(flowers());
    world.call(createEndpoint("other", { v2: 1 }));
    world.settle();
    const before = world.wishes();
    const error = errorOf(world.call(small()).outcome);
    expect(error).toMatchObject({ code: "backend-in-use", details: { app: "flowers" } });
    expect(error?.message).toContain('backends.v2: the file names it no more, but endpoint "other" outside the app');
    expect(world.wishes()).toEqual(before);
  });

  test("and comes back before it is gone, lives on as the file says, with its processes", () => {
    world.call(flowers());
    world.call(update("v2", { numReplicas: 3 }));
    world.settle();
    const before = names("v2");
    world.clients = [{ name: "program 1", kind: "program", applied: 0 }];
    const gone = world.call(small());
    world.decideAll();
    expect(backend("v2")?.deleting).toBeDefined();
    const back = world.call(flowers());
    expect(world.goal(gone.id)).toMatchObject({ state: "superseded", supersededBy: back.id });
    world.settle();
    expect(world.goal(back.id).state).toBe("reached");
    expect(backend("v2")).toMatchObject({ deleting: undefined, config: {} });
    expect(before).toEqual(expect.arrayContaining(names("v2")));
    expect(ready("v2")).toBe(1);
  });

  test("an app without anything left is forgotten", () => {
    world.call(flowers());
    world.settle();
    const { id } = world.call(deploy("flowers", {}));
    world.settle();
    expect(world.goal(id).state).toBe("reached");
    expect(world.view.count("app") + world.view.count("backend") + world.view.count("endpoint")).toBe(0);
  });
});

describe("new code", () => {
  const running = (tag: string, rollout: number) =>
    world.replicas(tag).filter((it) => it.phase === "ready" && it.assignment.rollout === rollout).length;

  test("under the same tag replaces the replicas one after the other", () => {
    world.call(flowers());
    world.settle();
    const before = names("v1");
    const { id } = world.call(flowers({ v1: appBackend({ numReplicas: 2 }, "d1-new") }));
    for (let step = 0; world.goal(id).state === "pending"; step += 1) {
      expect(step).toBeLessThan(100);
      world.decideAll();
      expect(world.processes("v1")).toBeLessThanOrEqual(3);
      expect(ready("v1")).toBeGreaterThanOrEqual(2);
      if (!world.assignments().some(({ actor }) => world.actAgent(actor))) world.now += 100;
    }
    expect(world.goal(id).state).toBe("reached");
    expect(names("v1").filter((name) => before.includes(name))).toEqual([]);
    expect(world.assignments().map(({ spec }) => spec.kind === "replica" && spec.identity?.files)).toEqual(
      expect.arrayContaining(["d1-new", "d1-new", "d2"]),
    );
  });

  test("other arguments are new code", () => {
    world.call(flowers());
    world.settle();
    const code = { kind: "export", module: "file:///app/iris.ts", export: "Iris", args: ["v2.onnx"] } as const;
    world.call(flowers({ v1: appBackend({ numReplicas: 2 }, "d1", code) }));
    world.settle();
    expect(backend("v1")).toMatchObject({ rollout: 2, code });
    expect(running("v1", 2)).toBe(2);
  });

  test("that fails stops by itself, the old replicas serve on, and the file before it rolls forward", () => {
    world.call(flowers());
    world.settle();
    const before = names("v1");
    const isBad = ({ spec }: Assignment) => spec.kind === "replica" && spec.identity?.files === "bad";
    world.fateOf = (assignment) => (isBad(assignment) ? { fails: BOOM } : "ready");
    const { id } = world.call(flowers({ v1: appBackend({ numReplicas: 2 }, "bad") }));
    world.settle();
    expect(world.goal(id)).toMatchObject({
      state: "failed",
      error: { code: "start-failed", message: expect.stringContaining("no weights") },
    });
    expect(names("v1")).toEqual(expect.arrayContaining(before));
    expect(running("v1", 1)).toBe(2);
    expect(world.published("iris", "v1")).toEqual(before);

    const cure = world.call(flowers());
    world.settle();
    expect(world.goal(cure.id).state).toBe("reached");
    expect(backend("v1")).toMatchObject({ rollout: 3, identity: { files: "d1" } });
    expect(running("v1", 3)).toBe(2);
    expect(names("v1")).toHaveLength(2);
  });

  test("that failed is tried again by a deploy of the same file", () => {
    let fate: "ready" | { fails: typeof BOOM } = { fails: BOOM };
    world.fateOf = () => fate;
    const first = world.call(flowers());
    world.settle();
    expect(world.goal(first.id).state).toBe("failed");
    fate = "ready";
    const again = world.call(flowers());
    expect(world.goal(again.id)).toMatchObject({
      state: "pending",
      changes: [
        { change: "retry", part: { tag: "v1" } },
        { change: "retry", part: { tag: "v2" } },
      ],
    });
    world.settle();
    expect(world.goal(again.id).state).toBe("reached");
    expect(ready("v1")).toBe(2);
  });
});

test("two endpoints of an app may change their routes for each other's", () => {
  const routes = (e: string, f: string) =>
    deploy(
      "swap",
      { a: appBackend() },
      {
        e: appEndpoint({ a: 1 }, { spec: { route: e } }),
        f: appEndpoint({ a: 1 }, { spec: { route: f } }),
      },
    );
  world.call(routes("/x", "/y"));
  world.settle();
  const { id } = world.call(routes("/y", "/x"));
  world.settle();
  expect(world.goal(id).state).toBe("reached");
  expect([world.view.endpointOfRoute("/x"), world.view.endpointOfRoute("/y")]).toEqual(["f", "e"]);
  const refused = errorOf(world.call(createEndpoint("g", { a: 1 }, { spec: { route: "/x" } })).outcome);
  expect(refused).toMatchObject({ code: "route-taken", message: expect.stringContaining('"f"') });
});

test("a deploy that comes with other calls in one turn waits for a transaction of its own when it needs one", () => {
  const many = Object.fromEntries(Array.from({ length: 60 }, (_, index) => [`b${index}`, appBackend()]));
  const deployed = { ...deploy("many", many), goalId: "large" as GoalId };
  world.turn({ calls: [{ ...createBackend("a"), goalId: "small" as GoalId }, deployed] });
  const [first] = world.decisions.slice(-1);
  expect(first!.leftCalls.map(({ goalId }) => goalId)).toEqual(["large"]);
  world.turn({ calls: first!.leftCalls });
  world.settle();
  expect(world.goal("large").state).toBe("reached");
});
