/** A deploy's goal is made of many: when it is reached, superseded or repeated, and what a crash leaves of it. */
import { beforeEach, describe, expect, test } from "vitest";
import { appBackend, deploy, setTraffic, update } from "../../tests/harness/calls.ts";
import { CoreWorld } from "../../tests/harness/core-world.ts";
import { errorOf, flowers, look } from "../../tests/harness/flowers.ts";

let world: CoreWorld;
beforeEach(() => {
  world = new CoreWorld();
});
const { endpoint, ready } = look(() => world);

describe("a deploy's goal", () => {
  test("is superseded by a later deploy of the app, which waits for what the earlier one has begun", () => {
    const first = world.call(flowers());
    world.decideAll();
    const second = world.call(flowers({ traffic: { v2: 1 } }));
    expect(world.goal(first.id)).toMatchObject({ state: "superseded", supersededBy: second.id });
    expect(world.goal(second.id)).toMatchObject({
      state: "pending",
      progress: { total: 3 },
      changes: [{ change: "update", part: { kind: "endpoint", tag: "iris" } }],
    });
    world.settle();
    expect(world.goal(second.id).state).toBe("reached");
    expect(ready("v1")).toBe(2);
  });

  test("is superseded when a later call supersedes one of its parts, and says by which", () => {
    const { id } = world.call(flowers());
    const scale = world.call(update("v1", { numReplicas: 3 }));
    expect(world.goal(id)).toMatchObject({ state: "superseded", supersededBy: scale.id });
    world.settle();
    expect(world.goal(scale.id).state).toBe("reached");
    expect(ready("v2")).toBe(1);
  });

  test("supersedes what was pending for its parts, under its own id", () => {
    world.call(flowers());
    world.settle();
    world.clients = [{ name: "program 1", kind: "program", applied: 0 }];
    const canary = world.call(setTraffic("iris", { v1: 0.9, v2: 0.1 }));
    const { id } = world.call(flowers({ traffic: { v2: 1 } }));
    expect(world.goal(canary.id)).toMatchObject({ state: "superseded", supersededBy: id });
  });

  test("is not undone or done again by its repetition after somebody's newer change, nor after a crash", () => {
    const file = flowers({ traffic: { v1: 0.5, v2: 0.5 } });
    const { id } = world.call(file);
    world.settle();
    world.call(setTraffic("iris", { v1: 1 }));
    world.settle();
    expect(world.call(file, id).outcome.kind).toBe("goal");
    world.settle();
    expect(endpoint("iris")?.traffic).toEqual({ v1: 1 });
    world.crash();
    // What the code is by now is no part of what was asked for.
    expect(
      world.call({ ...file, backends: flowers({ v1: appBackend({ numReplicas: 2 }, "x") }).backends }, id).outcome.kind,
    ).toBe("goal");
    world.settle();
    expect(world.goal(id).state).toBe("reached");
    expect(endpoint("iris")?.traffic).toEqual({ v1: 1 });
    expect(errorOf(world.call(flowers(), id).outcome)?.code).toBe("goal-id-reused");
  });

  test("survives a crash at any moment of it", () => {
    let isOver = false;
    for (let moment = 0; !isOver; moment += 1) {
      expect(moment).toBeLessThan(40);
      world = new CoreWorld();
      world.call(flowers({ traffic: { v1: 0.5, v2: 0.5 } }));
      world.settle();
      const { id } = world.call(deploy("flowers", { v1: appBackend({}, "new"), v3: appBackend() }));
      for (let turn = 0; turn < moment; turn += 1) {
        world.decideAll();
        if (!world.assignments().some(({ actor }) => world.actAgent(actor))) world.now += 100;
      }
      isOver = world.goal(id).state !== "pending";
      world.crash();
      world.settle();
      expect(world.goal(id).state).toBe("reached");
      expect([ready("v1"), ready("v2"), ready("v3"), world.view.count("endpoint")]).toEqual([1, 0, 1, 0]);
    }
  });

  test("of a program that does not poll is settled without it, and names it", () => {
    world.call(flowers());
    world.settle();
    world.clients = [{ name: "program 1", kind: "program", applied: 0 }];
    const { id } = world.call(flowers({ traffic: { v2: 1 } }));
    world.decideAll();
    world.now += 2_000;
    world.decideAll();
    expect(world.goal(id)).toMatchObject({ state: "reached", laggards: ["program 1"] });
  });

  test("is forgotten with its parts", () => {
    world.call(flowers());
    world.settle();
    world.now += 10_000_000;
    world.decideAll();
    expect(world.view.count("goal")).toBe(0);
  });
});
