/** Several nodes: what happens to each of them when another one leads, lives on without the store, or is lost. */
import { describe, expect, test } from "vitest";
import type { BackendTag } from "../../model/ids.ts";
import type { HttpConfig } from "../../model/records.ts";
import { unrest } from "../checkers/at-rest.ts";
import { watchOver } from "../checkers/checkers.ts";
import { NO_CRASHES } from "../kernel/effects.ts";
import { World } from "../world.ts";
import { Clients } from "./clients.ts";

const DEADLINE_MS = 60_000;

const cluster = async (nodes: number, http?: Partial<HttpConfig>) => {
  const world = new World({ seed: "cluster", nodes, effects: NO_CRASHES, http });
  const clients = new Clients(world, 0);
  const facts = watchOver(world, (id) => clients.callOf(id));
  const until = async (what: string, holds: () => boolean) => {
    await world.run(DEADLINE_MS, holds);
    expect(world.violation).toBeUndefined();
    expect(holds() || what).toBe(true);
  };
  world.start();
  const isAtRest = () => facts.instance() !== undefined && unrest(world, facts).length === 0;
  await until("the cluster is at rest", isAtRest);
  return { world, clients, facts, until, isAtRest };
};

describe("a node that is cut off", () => {
  test("is replaced, and what ran there serves on until it is back and drains it", async () => {
    const { world, clients, facts, until, isAtRest } = await cluster(3);
    const code = { kind: "export", module: "file:///app/code.ts", export: "Thing", args: [] } as const;
    const config = { numReplicas: 3, userConfig: { drainMs: 500 } };
    void clients.send({ kind: "createBackend", tag: "a" as BackendTag, code, config });
    await until("its replicas run", () => facts.backend("a") !== undefined && isAtRest());
    const node = world.nodes.find(({ name }) => name !== facts.leader()?.node)!;
    const before = node.ofKind("replica");
    expect(before).toHaveLength(1);
    world.mishaps.cutOff(node.name);
    await until("others have taken its place", () => !facts.assignments().some((it) => it.node === node.name));
    await until("all of them run", () => facts.isAsWanted("a"));
    expect(node.ofKind("replica")).toEqual(before);
    world.mishaps.reconnect(node.name);
    await until("all is at rest", isAtRest);
    expect(before.every((process) => !process.isAlive)).toBe(true);
  });

  test("confirms nothing from when the controller has heard of it, and a change that was on its way then is judged by what was known", async () => {
    const { world, clients, facts, until, isAtRest } = await cluster(3);
    const change = (maxQueuedQueries: number) =>
      clients.send({ kind: "updateBackendConfig", tag: "a" as BackendTag, config: { maxQueuedQueries } });
    const code = { kind: "export", module: "file:///app/code.ts", export: "Thing", args: [] } as const;
    void clients.send({ kind: "createBackend", tag: "a" as BackendTag, code, config: { numReplicas: 3 } });
    await until("its replicas run", () => facts.backend("a") !== undefined && isAtRest());
    const node = world.nodes.find(({ name }) => name !== facts.leader()?.node)!;
    world.mishaps.cutOff(node.name);
    await until("its registration has lapsed", () => facts.node(node.name) === undefined);
    void change(7);
    await until("the change is saved", () => facts.config(facts.backend("a")!).maxQueuedQueries === 7);
    await world.run(1_000);
    void change(8);
    await until("the next one is saved", () => facts.config(facts.backend("a")!).maxQueuedQueries === 8);
    await world.run(1_000);
    expect(facts.goal(facts.backend("a")!.goal)?.state).toBe("pending");
    world.mishaps.reconnect(node.name);
    await until("all is at rest", isAtRest);
    expect(facts.goal(facts.backend("a")!.goal)?.state).toBe("reached");
  });

  test("with most of the others loses nothing", async () => {
    const { world, facts, until, isAtRest } = await cluster(3);
    const proxies = facts.assignments().map((it) => it.actor);
    const others = world.nodes.filter(({ name }) => name !== facts.leader()?.node);
    for (const node of others) world.mishaps.cutOff(node.name);
    await world.run(5 * DEADLINE_MS);
    expect(world.violation).toBeUndefined();
    for (const node of others) world.mishaps.reconnect(node.name);
    await until("all is at rest", isAtRest);
    expect(facts.assignments().map((it) => it.actor)).toEqual(proxies);
  });
});

describe("proxies on the head node", () => {
  test("move to another node when it is lost, and back with it", async () => {
    const { world, facts, until, isAtRest } = await cluster(3, { location: "head", proxiesPerNode: 1 });
    const nodesOfProxies = () => facts.assignments().map((it) => it.node as string);
    expect(nodesOfProxies()).toEqual(["n1"]);
    world.powerOff(world.nodes[0]!);
    await until("another node is the head", () => nodesOfProxies().join() === "n2");
    world.powerOn(world.nodes[0]!);
    await until("all is at rest", () => isAtRest() && nodesOfProxies().join() === "n1");
  });
});

describe("a node on which no controller has ever led", () => {
  test("keeps its proxies however often its controller dies", async () => {
    const { world, facts, until, isAtRest } = await cluster(2);
    const other = world.nodes.find(({ name }) => name !== facts.leader()?.node)!;
    for (let deaths = 0; deaths < 5; deaths += 1) {
      other.ofKind("controller")[0]?.end({ code: undefined, signal: "SIGKILL" });
      await until("it has another controller", () => other.ofKind("controller").length === 1);
    }
    await until("all is at rest", isAtRest);
  });
});
