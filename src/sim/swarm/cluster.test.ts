/** Several nodes: what happens to each of them when another one leads, lives on without the store, or is lost. */
import { describe, expect, test } from "vitest";
import { unrest } from "../checkers/at-rest.ts";
import { watchOver } from "../checkers/checkers.ts";
import { NO_CRASHES } from "../kernel/effects.ts";
import { World } from "../world.ts";
import { Clients } from "./clients.ts";

const DEADLINE_MS = 60_000;

const cluster = async (nodes: number) => {
  const world = new World({ seed: "cluster", nodes, effects: NO_CRASHES });
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
