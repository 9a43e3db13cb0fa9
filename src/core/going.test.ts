/** Ends that meet other changes: deletions, restarts and scales while something else is under way. */
import { beforeEach, describe, expect, test } from "vitest";
import { createBackend, deleteBackend, restart, update } from "../../tests/harness/calls.ts";
import { CoreWorld } from "../../tests/harness/core-world.ts";
import { ordinalOf } from "../model/ids.ts";

let world: CoreWorld;
beforeEach(() => {
  world = new CoreWorld();
});
const names = () => world.replicas("b").map((replica) => replica.actor);
const intents = () => world.replicas("b").map(({ assignment }) => assignment.intent);
const serve = (config = {}) => {
  world.call(createBackend("b", config));
  world.settle();
  return names();
};

describe("a drain", () => {
  test("gets the time that the configuration says now, however long it is", () => {
    serve({ numReplicas: 3, gracefulShutdownTimeoutMs: 5_000 });
    world.call(update("b", { gracefulShutdownTimeoutMs: 70_000 }));
    world.settle();
    world.call(update("b", { numReplicas: 2 }));
    world.decideAll();
    expect(intents().at(-1)).toEqual({ kind: "drain", timeoutMs: 70_000 });
  });

  test("of a backend whose deletion is forced meanwhile becomes a kill", () => {
    serve({ numReplicas: 2 });
    world.call(deleteBackend("b"));
    world.decideAll();
    expect(intents()).toEqual([expect.objectContaining({ kind: "drain" }), expect.objectContaining({ kind: "drain" })]);
    const { id } = world.call(deleteBackend("b", true));
    world.decideAll();
    expect(intents()).toEqual([{ kind: "kill" }, { kind: "kill" }]);
    world.settle();
    expect(world.goal(id).state).toBe("reached");
  });

  test("is not taken back when more are wanted again: others come", () => {
    const before = serve({ numReplicas: 3 });
    world.call(update("b", { numReplicas: 1 }));
    world.decideAll();
    const going = before.slice(1);
    expect(
      intents()
        .slice(1)
        .every(({ kind }) => kind === "drain"),
    ).toBe(true);
    const { id } = world.call(update("b", { numReplicas: 3 }));
    world.settle();
    expect(world.goal(id).state).toBe("reached");
    expect(names().filter((name) => going.includes(name))).toEqual([]);
    expect(names()).toHaveLength(3);
  });
});

describe("a deletion", () => {
  test("during a start, a roll-out or a replacement ends everything, and what is created afterwards is new", () => {
    const begin: readonly (() => void)[] = [
      () => void world.call(createBackend("b", { numReplicas: 3 })),
      () => {
        serve({ numReplicas: 2 });
        world.call(restart("b"));
        world.decideAll();
      },
      () => {
        const [ill] = serve({ numReplicas: 2 });
        world.report(ill!, { health: "unhealthy", healthReason: "no GPU" });
        world.decideAll();
      },
      () => {
        serve();
        world.call(update("b", { numReplicas: 4 }));
      },
    ];
    for (const start of begin) {
      world = new CoreWorld();
      start();
      const used = Math.max(...names().map(ordinalOf));
      const { id } = world.call(deleteBackend("b"));
      world.settle();
      expect(world.goal(id).state).toBe("reached");
      expect(world.view.count("backend") + world.view.count("assignment")).toBe(0);
      const again = world.call(createBackend("b"));
      world.settle();
      expect(world.goal(again.id).state).toBe("reached");
      expect(Math.min(...names().map(ordinalOf))).toBeGreaterThan(used);
    }
  });

  test("waits for the last process, also when another controller goes on with it", () => {
    const [first, last] = serve({ numReplicas: 2 });
    const { id } = world.call(deleteBackend("b"));
    world.decideAll();
    world.report(first!, { state: "exited", address: undefined });
    world.decideAll();
    world.crash();
    world.decideAll();
    expect(names()).toEqual([last]);
    expect(world.goal(id)).toMatchObject({ state: "pending", laggards: [last] });
    world.report(last!, { state: "exited", address: undefined });
    world.decideAll();
    expect(world.goal(id).state).toBe("reached");
  });
});

describe("a restart", () => {
  test("during a restart replaces what that one had already replaced", () => {
    const before = serve({ numReplicas: 3 });
    const first = world.call(restart("b"));
    for (let step = 0; step < 6; step += 1) {
      world.decideAll();
      for (const { actor } of world.assignments()) world.actAgent(actor);
    }
    const between = names().filter((name) => !before.includes(name));
    expect(between.length).toBeGreaterThan(0);
    const second = world.call(restart("b"));
    world.settle();
    expect(world.goal(first.id)).toMatchObject({ state: "superseded", supersededBy: second.id });
    expect(world.goal(second.id).state).toBe("reached");
    expect(names().filter((name) => [...before, ...between].includes(name))).toEqual([]);
  });

  test("during a scale reaches the new number with new replicas only", () => {
    const before = serve({ numReplicas: 2 });
    world.call(update("b", { numReplicas: 4 }));
    const { id } = world.call(restart("b"));
    world.settle();
    expect(world.goal(id).state).toBe("reached");
    expect(names()).toHaveLength(4);
    expect(names().filter((name) => before.includes(name))).toEqual([]);
  });

  test("while a replica is down between two starts waits for no process that is not there", () => {
    const [first] = serve({ numReplicas: 2 });
    world.report(first!, { state: "exited", address: undefined, pid: undefined });
    const { id } = world.call(restart("b"));
    world.settle();
    expect(world.goal(id).state).toBe("reached");
    expect(names()).not.toContain(first);
  });
});
