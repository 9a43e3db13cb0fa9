/** Nodes that go silent: what stays, what is replaced and when, and where proxies run. */
import { beforeEach, describe, expect, test } from "vitest";
import { createBackend, createEndpoint, deleteBackend, stop, update } from "../../tests/harness/calls.ts";
import { CoreWorld } from "../../tests/harness/core-world.ts";
import type { NodeName } from "../model/ids.ts";
import { NODE_DEAD_AFTER_MS, NODE_DEATH_PACE_MS } from "../model/limits.ts";
import type { HttpConfig } from "../model/records.ts";

const NODES = ["local", "n2", "n3", "n4"] as readonly string[] as readonly NodeName[];
const LABELS = { head: "true" };

let world: CoreWorld;

const begin = (count: number, http: Partial<HttpConfig> = { location: "none" }) => {
  world = new CoreWorld(http);
  for (const node of NODES.slice(1, count)) world.setNode(1, { node });
  world.settle();
};
const onNode = (node: NodeName) =>
  world
    .assignments()
    .filter((it) => it.node === node && it.intent.kind === "run")
    .map((it) => it.actor);
const ready = (backend: string) => world.replicas(backend).filter((replica) => replica.phase === "ready").length;
const lose = (node: NodeName) => {
  world.loseNode(node);
  world.decideAll();
};
const pass = (ms: number) => {
  world.now += ms;
  world.settle(0);
};
const proxies = () =>
  world
    .assignments()
    .filter((it) => it.spec.kind === "proxy" && it.intent.kind === "run")
    .map((it) => `${it.node} ${world.view.status(it.actor)?.state}`)
    .sort();
const reason = (key: string) => world.decisions.findLast((it) => it.reasons.has(key))?.reasons.get(key);

describe("a node whose agent is silent", () => {
  beforeEach(() => {
    begin(3);
    world.call(createBackend("b", { numReplicas: 3 }));
    world.call(createEndpoint("e", { b: 1 }));
    world.settle();
  });

  test("keeps its replicas published for a while, then they are replaced elsewhere and nothing is left of it", () => {
    const [lost] = onNode(NODES[0]!);
    const before = world.published("e", "b");
    lose(NODES[0]!);
    pass(NODE_DEAD_AFTER_MS - 1);
    expect(world.published("e", "b")).toEqual(before);
    expect(reason("node/local")).toContain("replaced when the silence lasts 30 s");
    pass(1);
    expect(world.published("e", "b")).not.toContain(lost);
    expect(ready("b")).toBe(3);
    expect(onNode(NODES[0]!)).toEqual([]);
    expect([...world.view.nodesWithStatuses()].sort()).toEqual(["n2", "n3"]);
    pass(NODE_DEATH_PACE_MS);
    expect(world.soft.notes.silences.size).toBe(0);
  });

  test("that is back, and whose registration is heard before its rows, keeps also replicas that wait to be replaced", () => {
    // A roll-out that finds no room.
    world.call(update("b", { resources: { cpu: 100 } }));
    world.settle();
    const before = world.published("e", "b");
    expect(before).toHaveLength(3);
    const node = NODES[0]!;
    lose(node);
    world.setNode(2, { node });
    world.decideAll();
    expect(world.published("e", "b")).toEqual(before);
    for (const actor of onNode(node)) world.report(actor, { nodeIncarnation: 2 });
    world.settle(0);
    expect(world.published("e", "b")).toEqual(before);
  });

  test("that is back in time keeps everything, and its next silence counts from its beginning", () => {
    const before = world.replicas("b").map(({ actor }) => actor);
    lose(NODES[0]!);
    pass(NODE_DEAD_AFTER_MS - 1);
    world.setNode(2, { node: NODES[0]! });
    for (const actor of onNode(NODES[0]!)) world.report(actor, { nodeIncarnation: 2 });
    world.settle();
    lose(NODES[0]!);
    pass(NODE_DEAD_AFTER_MS - 1);
    expect(world.replicas("b").map(({ actor }) => actor)).toEqual(before);
  });

  test("is waited for anew by a new controller: its silence is not known to have been long", () => {
    lose(NODES[0]!);
    pass(NODE_DEAD_AFTER_MS - 1);
    world.crash();
    pass(NODE_DEAD_AFTER_MS - 1);
    expect(onNode(NODES[0]!)).toHaveLength(1);
    pass(1);
    expect(onNode(NODES[0]!)).toEqual([]);
  });

  test("does not keep a deletion or a stop from ending once it is given up", () => {
    world.call(createBackend("c", { numReplicas: 3 }));
    world.settle();
    lose(NODES[0]!);
    const { id } = world.call(deleteBackend("c"));
    world.settle(0);
    expect(world.goal(id).state).toBe("pending");
    pass(NODE_DEAD_AFTER_MS);
    expect(world.goal(id).state).toBe("reached");
    lose(NODES[1]!);
    const end = world.call(stop());
    pass(NODE_DEAD_AFTER_MS);
    expect(world.goal(end.id).state).toBe("reached");
  });
});

describe("many nodes that go silent", () => {
  test("lose nothing while they are more than half", () => {
    begin(3);
    world.call(createBackend("b", { numReplicas: 3 }));
    world.settle();
    const before = world.replicas("b").map(({ actor }) => actor);
    lose(NODES[0]!);
    lose(NODES[1]!);
    pass(10 * NODE_DEAD_AFTER_MS);
    expect(world.replicas("b").map(({ actor }) => actor)).toEqual(before);
    expect(reason("node/local")).toContain("2 of 3 nodes: nothing is replaced while more than half are");
    // One is back: others may follow, and have their time for it.
    world.setNode(2, { node: NODES[0]! });
    world.decideAll();
    pass(NODE_DEAD_AFTER_MS - 1);
    expect(onNode(NODES[1]!)).toHaveLength(1);
    pass(1);
    expect(onNode(NODES[1]!)).toEqual([]);
  });

  test("are given up one after the other", () => {
    begin(4);
    world.call(createBackend("b", { numReplicas: 4 }));
    world.settle();
    lose(NODES[0]!);
    lose(NODES[1]!);
    pass(NODE_DEAD_AFTER_MS);
    expect([onNode(NODES[0]!).length, onNode(NODES[1]!).length]).toEqual([0, 1]);
    pass(NODE_DEATH_PACE_MS - 1);
    expect(onNode(NODES[1]!)).toHaveLength(1);
    pass(1);
    expect(onNode(NODES[1]!)).toEqual([]);
    expect(ready("b")).toBe(4);
  });

  test("never include the only one", () => {
    begin(1);
    world.call(createBackend("b"));
    world.settle();
    lose(NODES[0]!);
    pass(100 * NODE_DEAD_AFTER_MS);
    expect(onNode(NODES[0]!)).toHaveLength(1);
  });

  test("with hundreds of replicas are cleared in steps that each fit a transaction", () => {
    begin(3);
    world.call(createBackend("b", { numReplicas: 600 }));
    world.settle();
    lose(NODES[0]!);
    pass(NODE_DEAD_AFTER_MS);
    expect(ready("b")).toBe(600);
    expect(onNode(NODES[0]!)).toEqual([]);
    expect(Math.max(...world.decisions.map((decision) => decision.changes.length))).toBeLessThanOrEqual(120);
  });
});

describe("proxies", () => {
  test("run on every node, as many as are wanted, also on one that comes, and are drained when the instance stops", () => {
    begin(2, { location: "every", proxiesPerNode: 2 });
    expect(proxies()).toEqual(["local ready", "local ready", "n2 ready", "n2 ready"]);
    world.setNode(1, { node: NODES[2]! });
    world.settle();
    expect(proxies()).toHaveLength(6);
    const { id } = world.call(stop());
    world.decideAll();
    expect(world.assignments().map((it) => it.intent.kind)).toEqual(Array.from({ length: 6 }, () => "drain"));
    world.settle();
    expect(world.goal(id).state).toBe("reached");
  });

  test("run on no node, on the first one, or on those labelled head", () => {
    begin(3, { location: "none" });
    expect(proxies()).toEqual([]);
    begin(3, { location: "head" });
    expect(proxies()).toEqual(["local ready"]);
    world.setNode(1, { node: NODES[2]!, labels: LABELS });
    world.settle();
    expect(proxies()).toEqual(["n3 ready"]);
  });

  test("stay where they are while their node is silent, and move when it is given up", () => {
    begin(3, { location: "head" });
    lose(NODES[0]!);
    pass(NODE_DEAD_AFTER_MS - 1);
    expect(proxies()).toEqual(["local ready"]);
    pass(1);
    expect(proxies()).toEqual(["n2 ready"]);
    // It is back, and the first by name again.
    world.setNode(2, { node: NODES[0]! });
    world.settle();
    expect(proxies()).toEqual(["local ready"]);
  });

  test("of the only head that is silent are not made elsewhere before it is given up", () => {
    begin(3, { location: "head" });
    world.setNode(1, { node: NODES[2]!, labels: LABELS });
    world.settle();
    lose(NODES[2]!);
    pass(NODE_DEAD_AFTER_MS - 1);
    expect(proxies()).toEqual(["n3 ready"]);
  });

  test("that cannot run say why", () => {
    begin(1, { location: "every" });
    const [proxy] = world.assignments();
    const error = { code: "port-in-use", message: "port 8000 is taken." };
    world.report(proxy!.actor, { state: "exited", address: undefined, error });
    world.decideAll();
    expect(reason("proxies")).toContain("port 8000 is taken.");
  });
});
