/**
 * Defects of the ancestor that are about the life of replicas and goals and that no other test speaks of: docs/ancestor-defects.md
 * lists them all. Each fails on the ancestor's behaviour.
 */
import { beforeEach, describe, expect, test } from "vitest";
import { appBackend, createBackend, createEndpoint, deploy, setTraffic, update } from "../../tests/harness/calls.ts";
import { CoreWorld } from "../../tests/harness/core-world.ts";
import { DEFAULT_BACKEND_CONFIG } from "../model/backend-config.ts";
import type { NodeName } from "../model/ids.ts";

let world: CoreWorld;
beforeEach(() => {
  world = new CoreWorld();
});

const names = (backend: string) => world.replicas(backend).map((replica) => replica.actor);
const intentOf = (actor: string) => world.view.assignment(actor as never)?.intent.kind;

/** Every change of hard state, and every publication, that looking at everything again and again over a minute would make. */
const doneInAMinute = () => {
  const before = world.decisions.length;
  for (let second = 0; second < 60; second += 1) {
    world.now += 1_000;
    world.acknowledge();
    for (const { actor } of world.assignments()) world.report(actor, {});
    world.decideAll();
  }
  return world.decisions
    .slice(before)
    .flatMap(({ changes, publications }) => [...changes.map(({ key }) => key), ...publications.map(({ tag }) => tag)]);
};

describe("an endpoint", () => {
  test("waits for the proxies that there are, not for one on every node (defect 2 of the ancestor)", () => {
    world = new CoreWorld({ location: "head" });
    const head = world.view.node("local" as NodeName)!;
    world.view.apply({ kind: "node", id: "other", after: { ...head, node: "other" as NodeName } }, 1);
    world.call(createBackend("b"));
    const { id } = world.call(createEndpoint("e", { b: 1 }));
    world.settle(0);
    expect(world.goal(id)).toMatchObject({ state: "pending", laggards: [expect.stringMatching(/^proxy#/)] });
    const [proxy, ...others] = world.assignments().filter(({ spec }) => spec.kind === "proxy");
    expect(others).toEqual([]);
    world.clients = [{ name: proxy!.actor, kind: "proxy", applied: world.counter }];
    world.acknowledge();
    world.decideAll();
    expect(world.goal(id)).toMatchObject({ state: "reached" });
  });
});

describe("a goal that is superseded, or whose change fails,", () => {
  test("is settled in the transaction that settles it, so that no crash makes it wait for ever (defect 5 of the ancestor)", () => {
    world.call(createBackend("a"));
    world.call(createBackend("b"));
    world.settle();
    world.clients = [{ name: "program 1", kind: "program", applied: 0 }];
    world.call(createEndpoint("e", { a: 1 }));
    const older = world.call(setTraffic("e", { b: 1 }));
    const scale = world.call(update("a", { numReplicas: 3 }));
    const newer = world.call(setTraffic("e", { a: 0.5, b: 0.5 }));
    world.call(update("a", { numReplicas: 2 }));
    world.crash();
    expect(world.goal(older.id)).toMatchObject({ state: "superseded", supersededBy: newer.id });
    expect(world.goal(scale.id).state).toBe("superseded");
    world.fateOf = () => ({ fails: { code: "start-failed", message: "no weights" } });
    const failing = world.call(createBackend("c"));
    world.settle();
    world.crash();
    world.settle();
    expect(world.goal(failing.id).state).toBe("failed");
    expect([...world.view.pendingSubjects()]).toEqual([]);
  });
});

describe("a configuration", () => {
  test("that every replica has applied is pushed no more, however often it is looked at (defect 9 of the ancestor)", () => {
    world.call(createBackend("b", { numReplicas: 3 }));
    world.call(createEndpoint("e", { b: 1 }));
    world.settle();
    world.call(update("b", { userConfig: { threshold: 0.5 }, maxConcurrentQueries: 7 }));
    world.settle();
    expect(doneInAMinute()).toEqual([]);
  });

  test("has one default of maxConcurrentQueries, whatever else is set and however it is given (defect 21 of the ancestor)", () => {
    const config = { maxBatchSize: 4, batchWaitTimeoutMs: 10 };
    world.call(createBackend("bare"));
    world.call(createBackend("given", config));
    world.call(createBackend("updated"));
    world.call(update("updated", config));
    world.call(deploy("app", { deployed: appBackend(config) }, {}));
    world.call(createEndpoint("e", { bare: 0.25, given: 0.25, updated: 0.25, deployed: 0.25 }));
    world.settle();
    const limits = Object.values(world.closure("e")!.backends).map((backend) => backend.maxConcurrentQueries);
    expect(limits).toEqual(Array(4).fill(DEFAULT_BACKEND_CONFIG.maxConcurrentQueries));
  });
});

describe("a drain", () => {
  test("that a crash of the controller interrupts goes on: who was to go goes, and is counted no more (defect 11 of the ancestor)", () => {
    world.call(createBackend("b", { numReplicas: 3 }));
    world.call(createEndpoint("e", { b: 1 }));
    world.settle();
    const [stays, ...go] = names("b");
    const { id } = world.call(update("b", { numReplicas: 1 }));
    world.decideAll();
    world.now += 1_000;
    world.decideAll();
    expect(go.map(intentOf)).toEqual(["drain", "drain"]);
    world.crash();
    world.decideAll();
    expect(go.map(intentOf)).toEqual(["drain", "drain"]);
    expect(world.published("e", "b")).toEqual([stays]);
    world.settle();
    expect(names("b")).toEqual([stays]);
    expect(world.goal(id).state).toBe("reached");
  });

  test("that is over is forgotten with its replica: nothing is written about either any more (defect 12 of the ancestor)", () => {
    world.call(createBackend("b", { numReplicas: 4 }));
    world.call(createEndpoint("e", { b: 1 }));
    world.settle();
    world.call(update("b", { numReplicas: 1 }));
    world.settle();
    expect(world.assignments()).toHaveLength(1);
    expect(doneInAMinute()).toEqual([]);
  });
});
