/** Where replicas go, and what is said when there is no room: the choice itself, and backends that wait for room. */
import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { createBackend, deleteBackend, restart, update } from "../../tests/harness/calls.ts";
import { CoreWorld } from "../../tests/harness/core-world.ts";
import type { NodeRecord } from "../model/actor.ts";
import type { NodeName } from "../model/ids.ts";
import { describeShortage, NO_USAGE, type NodeLoad, placeActor, roomFor, usageOf } from "./placement.ts";

const MB = 1_000_000;

const node = (
  name: string,
  cpus: number,
  more: { readonly actors?: number; readonly used?: number } = {},
): NodeLoad => ({
  record: { node: name as NodeName, cpus, memoryBytes: 1_000 * MB } as NodeRecord,
  actors: more.actors ?? 0,
  used: { ...NO_USAGE, millicpu: (more.used ?? 0) * 1_000 },
});

describe("a place", () => {
  const needs = { cpu: 2, memoryBytes: 0 };

  test("is the node with the fewest actors that has room, of equal ones the first by name", () => {
    const nodes = [node("d", 1), node("c", 8, { used: 7 }), node("b", 4, { actors: 3 }), node("a", 4, { actors: 3 })];
    expect(placeActor(nodes, needs)).toBe("a");
    expect(placeActor([node("c", 8, { used: 7 })], needs)).toBeUndefined();
  });

  test("that is missing is explained by the node that comes nearest", () => {
    expect(describeShortage([], needs)).toBe("no node is registered");
    expect(describeShortage([node("a", 1)], needs)).toBe("one needs 2 cpu, and node a has 1 cpu of 1 cpu free");
    expect(
      describeShortage([node("a", 4, { used: 3.5 }), node("b", 4, { used: 2.5 })], { cpu: 2, memoryBytes: 2e9 }),
    ).toBe(
      "one needs 2 cpu and 2000 MB of memory, and b, of 2 nodes the one with the most room, has 1.5 cpu and 1000 MB of memory of 4 cpu and 1000 MB of memory free",
    );
  });

  test("is found exactly as often as there is room, and never beyond what a node has", () => {
    const nodes = fc.array(fc.tuple(fc.integer({ min: 1, max: 16 }), fc.integer({ min: 0, max: 20 })), {
      maxLength: 5,
    });
    fc.assert(
      fc.property(nodes, fc.integer({ min: 1, max: 40 }), (sizes, tenths) => {
        const needs = { cpu: tenths / 10, memoryBytes: 0 };
        let loads = sizes.map(([cpus, used], index) => node(`n${index}`, cpus, { used }));
        const room = roomFor(loads, needs);
        let placed = 0;
        for (let found = placeActor(loads, needs); found !== undefined; found = placeActor(loads, needs)) {
          placed += 1;
          loads = loads.map((load) =>
            load.record.node === found
              ? {
                  ...load,
                  actors: load.actors + 1,
                  used: { ...load.used, millicpu: load.used.millicpu + usageOf(needs).millicpu },
                }
              : load,
          );
        }
        expect(placed).toBe(room);
        for (const [index, { used, record }] of loads.entries()) {
          expect(used.millicpu).toBeLessThanOrEqual(Math.max(record.cpus, sizes[index]![1]) * 1_000);
        }
      }),
    );
  });
});

describe("a backend with needs", () => {
  let world: CoreWorld;
  beforeEach(() => {
    world = new CoreWorld();
    world.setNode(1, { cpus: 4 });
  });
  const names = (backend: string) => world.replicas(backend).map((replica) => replica.actor);
  const ready = (backend: string) => world.replicas(backend).filter((replica) => replica.phase === "ready").length;
  const twoCpus = { resources: { cpu: 2 } };

  test("gets as many replicas as fit; what is missing stands in status, in its goal, and for whoever waits", () => {
    const { id } = world.call(createBackend("b", { numReplicas: 3, ...twoCpus }));
    world.settle();
    expect(ready("b")).toBe(2);
    const why = "1 of 3 replicas wait: one needs 2 cpu, and node local has 0 cpu of 4 cpu free.";
    expect(world.reason("b")).toBe(why);
    expect(world.goal(id)).toMatchObject({ state: "pending", progress: { done: 2, total: 3 }, reason: why });
  });

  test("is placed as soon as another backend has made room, not before its replica is gone, also after a crash", () => {
    world.call(createBackend("a", { numReplicas: 2, ...twoCpus }));
    world.settle();
    const { id } = world.call(createBackend("b", twoCpus));
    world.settle();
    expect(names("b")).toEqual([]);
    world.crash();
    world.settle();
    world.call(update("a", { numReplicas: 1 }));
    world.decideAll();
    expect(names("b")).toEqual([]);
    world.settle();
    expect(ready("b")).toBe(1);
    expect(world.goal(id).state).toBe("reached");
  });

  test("is placed on a node that comes", () => {
    world.call(createBackend("b", { numReplicas: 3, ...twoCpus }));
    world.settle();
    world.setNode(1, { node: "second" as NodeName, cpus: 2 });
    world.settle();
    expect(ready("b")).toBe(3);
    expect(world.assignments().filter(({ node: name }) => name === "second")).toHaveLength(1);
  });

  test("whose roll-out has no room for a surge says so, and what helps; with maxUnavailable an old one goes first", () => {
    world.call(createBackend("b", { numReplicas: 2, ...twoCpus }));
    world.settle();
    const before = names("b");
    const { id } = world.call(restart("b"));
    world.settle();
    expect(names("b")).toEqual(before);
    expect(world.goal(id)).toMatchObject({
      state: "pending",
      reason: expect.stringMatching(/2 replicas wait: one needs 2 cpu.*stands still: make room, or set maxUnavailable/),
    });
    const cure = world.call(update("b", { maxUnavailable: 1 }));
    world.settle();
    expect(world.goal(cure.id).state).toBe("reached");
    expect(names("b").filter((name) => before.includes(name))).toEqual([]);
  });

  test("whose unhealthy replica has no room for a replacement keeps it until there is room, and says so", () => {
    world.call(createBackend("b", { numReplicas: 2, ...twoCpus }));
    world.settle();
    const [ill] = world.replicas("b");
    world.report(ill!.actor, { health: "unhealthy", healthReason: "no GPU" });
    world.settle();
    expect(names("b")).toContain(ill!.actor);
    expect(world.reason("b")).toContain("no GPU. Its replacement waits: one needs 2 cpu");
    world.setNode(1, { node: "second" as NodeName });
    world.settle();
    expect(names("b")).not.toContain(ill!.actor);
    expect(ready("b")).toBe(2);
  });

  test("whose stalled replica has no room for a replacement makes the room", () => {
    world.call(createBackend("b", { numReplicas: 2, ...twoCpus }));
    world.settle();
    const [stuck] = world.replicas("b");
    world.report(stuck!.actor, { health: "stalled" });
    world.settle();
    expect(names("b")).not.toContain(stuck!.actor);
    expect(ready("b")).toBe(2);
  });

  test("counts with what its replicas were started with, until they are gone", () => {
    world.call(createBackend("b", { numReplicas: 2, ...twoCpus, maxUnavailable: 1 }));
    world.settle();
    world.call(update("b", { resources: { cpu: 0.1 } }));
    world.settle();
    expect(world.view.usedOn("local" as NodeName)).toEqual({ millicpu: 200, memoryBytes: 0 });
    world.call(deleteBackend("b"));
    world.settle();
    expect(world.view.usedOn("local" as NodeName)).toEqual(NO_USAGE);
  });

  test("that no node could ever hold waits, and takes nothing from others", () => {
    const { id } = world.call(createBackend("b", { resources: { memoryBytes: 1e15 } }));
    world.call(createBackend("c", twoCpus));
    world.settle();
    expect(ready("c")).toBe(1);
    expect(world.goal(id).reason).toContain("one needs 1000000000 MB of memory, and node local has 10000 MB");
    world.call(deleteBackend("b"));
    world.settle();
    expect(world.view.count("backend")).toBe(1);
    expect(world.soft.notes.unplaced.size).toBe(0);
  });
});
