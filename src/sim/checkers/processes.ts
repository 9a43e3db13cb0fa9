/** No process without a record, no two of one name, no name twice: looked at when a process comes to be, whoever starts it and after whatever crash. */
import { ACTOR_FILE_VARIABLE } from "../../model/launch.ts";
import type { ActorFile } from "../../model/places.ts";
import { keyOf } from "../store/sim-store.ts";
import type { World } from "../world.ts";

const NAME = "processes";

export const checkProcesses = (world: World): void => {
  const everAssigned = new Set<string>();
  world.on("commit", ({ changes, before }) => {
    for (const [index, change] of changes.entries()) {
      const key = keyOf(change);
      if (change.kind !== "put" || !key.startsWith(world.keys.assigns)) continue;
      if (before[index] === undefined && everAssigned.has(key)) world.violate(NAME, `${key} is assigned a second time`);
      everAssigned.add(key);
    }
  });
  world.on("spawned", ({ node, process }) => {
    const { kind, env, name } = process.facts;
    if (kind === "agent" && node.ofKind("agent").length > 1) world.violate(NAME, `${node.name} has two agents`);
    const path = env[ACTOR_FILE_VARIABLE];
    if (path === undefined) return;
    const file = node.disk.read<ActorFile>(path);
    if (file === undefined) return world.violate(NAME, `${name} was started without its local file ${path}`);
    const { actor } = file.assignment;
    if (!everAssigned.has(world.keys.assign(node.name, actor))) {
      world.violate(NAME, `${name} was started as ${actor}, which was never assigned to ${node.name}`);
    }
    const twins = world.processes().filter((it) => it.facts.env[ACTOR_FILE_VARIABLE] === path);
    if (twins.length > 1)
      world.violate(NAME, `${actor} lives ${twins.length} times: ${twins.map((it) => it.facts.name).join(", ")}`);
  });
};
