/**
 * Nothing is accepted from an older epoch or incarnation: hard state is written only by the controller whose key `leader` stands, status
 * rows only by the agent whose registration stands (or by one that is about to register, while none does).
 */
import { type Commit, keyOf } from "../store/sim-store.ts";
import type { World } from "../world.ts";
import type { Facts } from "./facts.ts";

const NAME = "fences";

export const checkFences = (world: World, facts: Facts): void => {
  const { keys } = world;
  /** Who may write, as it was before the commit. */
  let leader: string | undefined;
  const agents = new Map<string, string>();

  world.on("commit", (commit) => {
    if (commit.writer !== undefined && !isErase(commit, keys.instance)) {
      for (const change of commit.changes) checkWriter(keyOf(change), commit.writer);
    }
    const record = facts.leader();
    leader = record && `controller@${record.node}/${record.pid}`;
    agents.clear();
    for (const node of world.nodes) {
      const registered = facts.node(node.name);
      if (registered !== undefined) agents.set(node.name, `agent@${node.name}/${registered.pid}`);
    }
  });

  const checkWriter = (key: string, writer: string) => {
    if (key === keys.leader || key.startsWith(keys.nodes)) return;
    if (key.startsWith(keys.statuses)) {
      const node = key.slice(keys.statuses.length).split("/")[0] ?? "";
      const registered = agents.get(node);
      if (registered !== undefined && registered !== writer) {
        world.violate(NAME, `${writer} wrote ${key} while ${registered} is registered`);
      }
      if (!writer.startsWith(`agent@${node}/`)) world.violate(NAME, `${writer} wrote ${key}`);
    } else if (writer !== leader) {
      world.violate(NAME, `${writer} wrote ${key} while ${leader ?? "nobody"} leads`);
    }
  };
};

const isErase = ({ changes }: Commit, instance: string): boolean =>
  changes.some((change) => change.kind === "delete" && change.key === instance);
