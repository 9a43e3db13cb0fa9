/** What is assigned to a node never needs more than the node has: looked at whenever one more replica is assigned. */
import type { Assignment } from "../../model/actor.ts";
import type { Resources } from "../../model/backend-config.ts";
import { keyOf, recordOf } from "../store/sim-store.ts";
import type { World } from "../world.ts";
import type { Facts } from "./facts.ts";

export const checkRoom = (world: World, facts: Facts): void => {
  world.on("commit", ({ changes, before }) => {
    for (const [index, change] of changes.entries()) {
      if (change.kind !== "put" || before[index] !== undefined || !keyOf(change).startsWith(world.keys.assigns))
        continue;
      const { node, actor } = recordOf<Assignment>(change.entry);
      const free = freeOn(facts, node);
      for (const what of ["millicpu", "memoryBytes"] as const) {
        if (free[what] < 0)
          world.violate("room", `${actor} was assigned to ${node}, over its ${what} by ${-free[what]}`);
      }
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
  if (record === undefined || config === undefined) return true;
  const needs = usageOf(facts.config({ ...record, config }).resources);
  if (needs.millicpu === 0 && needs.memoryBytes === 0) return true;
  return world.nodes.some(({ name }) => facts.node(name) !== undefined && fits(needs, freeOn(facts, name)));
};

/** Whole numbers, so that sums are exact. */
interface Usage {
  readonly millicpu: number;
  readonly memoryBytes: number;
}

const usageOf = ({ cpu, memoryBytes }: Resources): Usage => ({ millicpu: Math.round(cpu * 1_000), memoryBytes });

const fits = (needs: Usage, free: Usage): boolean =>
  (needs.millicpu === 0 || needs.millicpu <= free.millicpu) &&
  (needs.memoryBytes === 0 || needs.memoryBytes <= free.memoryBytes);

/** Of a node that is silent nobody knows what it has. */
const freeOn = (facts: Facts, name: string): Usage => {
  const node = facts.node(name);
  const has = node === undefined ? { millicpu: Infinity, memoryBytes: Infinity } : usageOf({ ...node, cpu: node.cpus });
  return facts
    .assignments()
    .filter((it) => it.node === name)
    .reduce((free, { spec }) => {
      if (spec.kind !== "replica") return free;
      const used = usageOf(spec.config.resources);
      return { millicpu: free.millicpu - used.millicpu, memoryBytes: free.memoryBytes - used.memoryBytes };
    }, has);
};
