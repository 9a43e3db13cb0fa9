/** How replicas are replaced and how they go: rolling, order of going, silent nodes. */
import { beforeEach, describe, expect, test } from "vitest";
import {
  createBackend,
  createEndpoint,
  deleteBackend,
  deleteEndpoint,
  restart,
  setTraffic,
  update,
} from "../../tests/harness/calls.ts";
import { CoreWorld } from "../../tests/harness/core-world.ts";
import type { Assignment } from "../model/actor.ts";
import type { ActorName, NodeName } from "../model/ids.ts";

const BOOM = { code: "start-failed", message: "no weights" };

let world: CoreWorld;
beforeEach(() => {
  world = new CoreWorld();
});

const names = (backend: string) => world.replicas(backend).map((replica) => replica.actor);
const running = (backend: string) => world.replicas(backend).filter((replica) => replica.phase === "ready").length;
const isOfRollout = (rollout: number) => (assignment: Assignment) => assignment.rollout === rollout;

describe("rolling", () => {
  test("a restart replaces every replica, one above the wanted number at most, and never serves with fewer", () => {
    world.call(createBackend("b", { numReplicas: 3 }));
    world.settle();
    const before = names("b");
    const { id } = world.call(restart("b"));
    for (let step = 0; world.goal(id).state === "pending"; step += 1) {
      expect(step).toBeLessThan(100);
      world.decideAll();
      expect(world.processes("b")).toBeLessThanOrEqual(4);
      expect(running("b")).toBeGreaterThanOrEqual(3);
      const moved = world.assignments().some(({ actor }) => world.actAgent(actor));
      if (!moved) world.now += 100;
    }
    expect(world.goal(id).state).toBe("reached");
    expect(names("b").filter((name) => before.includes(name))).toEqual([]);
  });

  test("without surge a replica goes first", () => {
    world.call(createBackend("b", { numReplicas: 2, maxSurge: 0, maxUnavailable: 1 }));
    world.settle();
    const { id } = world.call(restart("b"));
    let most = 0;
    for (let step = 0; step < 100 && world.goal(id).state === "pending"; step += 1) {
      world.decideAll();
      most = Math.max(most, world.processes("b"));
      expect(running("b")).toBeGreaterThanOrEqual(1);
      if (!world.assignments().some(({ actor }) => world.actAgent(actor))) world.now += 100;
    }
    expect(most).toBe(2);
    expect(world.goal(id).state).toBe("reached");
  });

  test("a roll-out whose new replicas fail stops by itself, and the old ones all go on", () => {
    world.call(createBackend("b", { numReplicas: 3 }));
    world.settle();
    const before = names("b");
    world.fateOf = (assignment) => (isOfRollout(1)(assignment) ? "ready" : { fails: BOOM });
    const { id } = world.call(update("b", { env: { MODEL: "missing" } }));
    world.settle();
    expect(world.goal(id)).toMatchObject({
      state: "failed",
      error: { message: expect.stringContaining("no weights") },
    });
    expect(names("b").slice(0, 3)).toEqual(before);
    expect(running("b")).toBe(3);
    expect(world.assignments().filter((assignment) => assignment.intent.kind !== "run")).toEqual([]);
    expect(world.decisions.findLast((it) => it.reasons.has("backend/b"))?.reasons.get("backend/b")).toContain(
      "stopped",
    );

    world.fateOf = () => "ready";
    const cure = world.call(update("b", { env: { MODEL: "there" } }));
    world.settle();
    expect(world.goal(cure.id).state).toBe("reached");
    expect(running("b")).toBe(3);
    expect(names("b")).toHaveLength(3);
  });

  test("a new restart is always a new restart", () => {
    world.call(createBackend("b"));
    world.settle();
    const [first] = names("b");
    world.call(restart("b"));
    world.settle();
    const [second] = names("b");
    world.call(restart("b"));
    world.settle();
    expect(new Set([first, second, ...names("b")]).size).toBe(3);
  });
});

describe("order of going", () => {
  test("out of the published set first, drained when every router has applied that, forgotten when the process is gone (defect 3 of the ancestor)", () => {
    world.call(createBackend("b", { numReplicas: 2 }));
    world.call(createEndpoint("e", { b: 1 }));
    world.settle();
    world.clients = [{ name: "program 1", kind: "program", applied: world.counter }];
    const [stays, goes] = names("b");
    world.call(update("b", { numReplicas: 1 }));
    world.decideAll();
    expect(world.published("e", "b")).toEqual([stays]);
    expect(world.view.assignment(goes!)?.intent.kind).toBe("run");

    world.clients[0]!.applied = world.counter;
    world.acknowledge();
    world.decideAll();
    expect(world.view.assignment(goes!)?.intent).toEqual({ kind: "drain", timeoutMs: 20_000 });
    world.decideAll();
    expect(world.view.assignment(goes!)).toBeDefined();
    world.report(goes!, { state: "exited", address: undefined });
    world.decideAll();
    expect(world.view.assignment(goes!)).toBeUndefined();
  });

  test("a router that does not answer holds it up for a second", () => {
    world.call(createBackend("b", { numReplicas: 2 }));
    world.call(createEndpoint("e", { b: 1 }));
    world.settle();
    world.clients = [{ name: "program 1", kind: "program", applied: 0 }];
    const [, goes] = names("b");
    world.call(update("b", { numReplicas: 1 }));
    world.now += 999;
    world.decideAll();
    expect(world.view.assignment(goes!)?.intent.kind).toBe("run");
    world.now += 1;
    world.decideAll();
    expect(world.view.assignment(goes!)?.intent.kind).toBe("drain");
  });

  test("who is wanted again before the drain is published again", () => {
    world.call(createBackend("b", { numReplicas: 2 }));
    world.call(createEndpoint("e", { b: 1 }));
    world.settle();
    const before = names("b");
    world.clients = [{ name: "program 1", kind: "program", applied: 0 }];
    world.call(update("b", { numReplicas: 1 }));
    world.decideAll();
    expect(world.published("e", "b")).toHaveLength(1);
    world.call(update("b", { numReplicas: 2 }));
    world.decideAll();
    expect(world.published("e", "b")).toEqual(before);
    world.settle();
    expect(names("b")).toEqual(before);
  });

  test("routers that have not heard that traffic moved away hold up the drain of a deleted backend", () => {
    world.call(createBackend("a"));
    world.call(createBackend("b"));
    world.call(createEndpoint("e", { a: 1 }));
    world.settle();
    world.clients = [{ name: "program 1", kind: "program", applied: world.counter }];
    world.call(setTraffic("e", { b: 1 }));
    world.call(deleteBackend("a"));
    world.decideAll();
    expect(world.replicas("a")[0]?.assignment.intent.kind).toBe("run");
    world.clients[0]!.applied = world.counter;
    world.acknowledge();
    world.decideAll();
    expect(world.replicas("a")[0]?.assignment.intent.kind).toBe("drain");
  });

  describe("while a new life holds publications back", () => {
    let proxy: ActorName;
    /** Replicas of `a` run on the first node; `z` is held back, because the node of `b` is silent. */
    beforeEach(() => {
      world = new CoreWorld({ location: "head" });
      world.settle();
      proxy = world.assignments()[0]!.actor;
      world.call(createBackend("a", { numReplicas: 2 }));
      world.settle();
      world.setNode(1, { node: "second" as NodeName });
      world.call(createBackend("b"));
      world.call(createEndpoint("x", { a: 1 }));
      world.call(createEndpoint("z", { b: 1 }));
      world.settle();
      world.loseNode("second" as NodeName);
      world.clients = [{ name: proxy, kind: "proxy", applied: undefined }];
      world.crash();
      world.decideAll();
      expect(world.closure("z")).toBeUndefined();
    });
    const intents = () => world.replicas("a").map(({ assignment }) => assignment.intent.kind);
    const passAlmostAll = () => {
      for (let waited = 0; waited < 4; waited += 1) {
        world.now += 1_100;
        world.decideAll();
        expect(intents()).toEqual(["run", "run"]);
      }
    };

    test("an endpoint that it deletes is known to routers until they can be told all that there is", () => {
      world.call(deleteEndpoint("x"));
      world.call(deleteBackend("a"));
      world.decideAll();
      passAlmostAll();
      world.now += 1_000;
      world.decideAll();
      expect(world.closure("z")).toBeDefined();
      expect(intents()).toEqual(["run", "run"]);
      world.settle();
      expect(world.replicas("a")).toEqual([]);
    });

    test("a stop of the controller in which every window passes lets no replica go before routers are told", () => {
      world.call(update("a", { numReplicas: 1 }));
      world.decideAll();
      world.now += 60_000;
      world.turn();
      expect(world.closure("z")).toBeDefined();
      expect(intents()).toEqual(["run", "run"]);
      world.settle();
      expect(world.replicas("a")).toHaveLength(1);
    });

    test("a replica that goes serves on, though its own endpoint is published without it: no proxy has been told yet", () => {
      world.call(update("a", { numReplicas: 1 }));
      world.decideAll();
      expect(world.published("x", "a")).toHaveLength(1);
      passAlmostAll();
      world.settle();
      expect(world.replicas("a")).toHaveLength(1);
    });
  });
});

describe("a silent node", () => {
  test("withdraws and replaces nothing, and confirms nothing new", () => {
    world.call(createBackend("b", { numReplicas: 2 }));
    world.call(createEndpoint("e", { b: 1 }));
    world.settle();
    const before = names("b");
    world.loseNode();
    world.decideAll();
    expect(world.published("e", "b")).toEqual(before);
    const { id } = world.call(restart("b"));
    world.settle();
    expect(world.goal(id).state).toBe("pending");
    expect(names("b")).toEqual(before);
    expect(world.published("e", "b")).toEqual(before);
    world.setNode(2);
    for (const actor of before) world.report(actor, { nodeIncarnation: 2 });
    world.settle();
    expect(world.goal(id).state).toBe("reached");
  });
});
