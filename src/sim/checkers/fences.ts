/**
 * Nothing is accepted from an older epoch or incarnation: hard state is written only by the controller whose key `leader` stands, status
 * rows only by the agent whose registration stands, under its incarnation, or by one that is about to register under the next, while
 * none does. Rows of a node without a registration may be deleted by the leader.
 */
import type { ActorStatus } from "../../model/actor.ts";
import type { KeyValue } from "../../ports/store.ts";
import { type Commit, keyOf, recordOf } from "../store/sim-store.ts";
import type { World } from "../world.ts";
import type { Facts } from "./facts.ts";

const NAME = "fences";

export const checkFences = (world: World, facts: Facts): void => {
  const { keys } = world;
  /** Who may write, as it was before the commit. */
  let leader: string | undefined;
  const agents = new Map<string, string>();
  /** Of the last registration of each node. */
  const incarnations = new Map<string, number>();

  world.on("commit", (commit) => {
    if (commit.writer !== undefined && !isErase(commit, keys.instance)) {
      for (const change of commit.changes) checkWriter(change, commit.writer);
    }
    const record = facts.leader();
    leader = record && `controller@${record.node}/${record.pid}`;
    agents.clear();
    for (const node of world.nodes) {
      const registered = facts.node(node.name);
      if (registered === undefined) continue;
      agents.set(node.name, `agent@${node.name}/${registered.pid}`);
      incarnations.set(node.name, registered.incarnation);
    }
  });

  const checkWriter = (change: Commit["changes"][number], writer: string) => {
    const key = keyOf(change);
    if (key === keys.leader || key.startsWith(keys.nodes)) return;
    if (key.startsWith(keys.statuses)) {
      const node = key.slice(keys.statuses.length).split("/")[0] ?? "";
      const registered = agents.get(node);
      if (registered !== undefined && registered !== writer) {
        world.violate(NAME, `${writer} wrote ${key} while ${registered} is registered`);
      }
      if (change.kind === "put") checkIncarnation(node, change.entry, registered !== undefined);
      // Rows of a node that was given up are collected by the leader.
      const isCollected = change.kind === "delete" && registered === undefined && writer === leader;
      if (!writer.startsWith(`agent@${node}/`) && !isCollected) world.violate(NAME, `${writer} wrote ${key}`);
    } else if (writer !== leader) {
      world.violate(NAME, `${writer} wrote ${key} while ${leader ?? "nobody"} leads`);
    }
  };

  const checkIncarnation = (node: string, entry: KeyValue, isRegistered: boolean) => {
    const { nodeIncarnation } = recordOf<ActorStatus>(entry);
    const last = incarnations.get(node) ?? 0;
    if (isRegistered ? nodeIncarnation === last : nodeIncarnation > last) return;
    const stands = isRegistered ? "stands" : "is over";
    world.violate(
      NAME,
      `${entry.key} was written under incarnation ${nodeIncarnation} of ${node}, and ${last} ${stands}`,
    );
  };
};

const isErase = ({ changes }: Commit, instance: string): boolean =>
  changes.some((change) => change.kind === "delete" && change.key === instance);
