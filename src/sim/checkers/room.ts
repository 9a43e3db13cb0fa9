/** What is assigned to a node never needs more than the node has: looked at whenever one more replica is assigned. */
import type { Assignment } from "../../model/actor.ts";
import { keyOf } from "../store/sim-store.ts";
import type { World } from "../world.ts";
import type { Facts } from "./facts.ts";

export const checkRoom = (world: World, facts: Facts): void => {
  world.on("commit", ({ changes, before }) => {
    for (const [index, change] of changes.entries()) {
      if (change.kind !== "put" || before[index] !== undefined || !keyOf(change).startsWith(world.keys.assigns))
        continue;
      const { node, actor } = JSON.parse(change.entry.value) as Assignment;
      const free = freeCpu(facts, node);
      if (free < 0)
        world.violate("room", `${actor} was assigned to ${node}, which is over its cpus by ${-free / 1_000}`);
    }
  });
};

/** Whether one more replica of the backend finds a node; of its newest configuration, or of the one that is kept beside it. */
export const hasRoomFor = (
  world: World,
  facts: Facts,
  tag: string,
  version: "newest" | "proven" = "newest",
): boolean => {
  const record = facts.backend(tag);
  const config = version === "newest" ? record?.config : record?.proven?.config;
  const needs =
    record === undefined || config === undefined ? 0 : milli(facts.config({ ...record, config }).resources.cpu);
  return needs === 0 || world.nodes.some(({ name }) => facts.node(name) !== undefined && freeCpu(facts, name) >= needs);
};

const freeCpu = (facts: Facts, node: string): number =>
  facts
    .assignments()
    .filter((it) => it.node === node)
    .reduce(
      (free, { spec }) => free - (spec.kind === "replica" ? milli(spec.config.resources.cpu) : 0),
      cpusOf(facts, node),
    );

/** Of a node that is silent nobody knows. */
const cpusOf = (facts: Facts, node: string): number => milli(facts.node(node)?.cpus ?? Number.POSITIVE_INFINITY);

/** Thousandths, so that sums are exact. */
const milli = (cpu: number): number => Math.round(cpu * 1_000);
