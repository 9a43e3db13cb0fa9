/** Replicas never go beyond target + surge: counted whenever one more is assigned, those on their way out included. */
import type { Assignment } from "../../model/actor.ts";
import { keyOf, recordOf } from "../store/sim-store.ts";
import type { World } from "../world.ts";
import type { Facts } from "./facts.ts";

export const checkSurge = (world: World, facts: Facts): void => {
  world.on("commit", ({ changes, before }) => {
    const grown = new Set<string>();
    for (const [index, change] of changes.entries()) {
      if (change.kind !== "put" || before[index] !== undefined || !keyOf(change).startsWith(world.keys.assigns))
        continue;
      const { spec } = recordOf<Assignment>(change.entry);
      if (spec.kind === "replica") grown.add(spec.backend);
    }
    for (const tag of grown) {
      const record = facts.backend(tag);
      if (record === undefined) {
        world.violate("surge", `a replica of ${tag} was assigned, and there is no such backend`);
        continue;
      }
      const { maxSurge } = facts.config(record);
      const most = record.deleting === undefined ? facts.wantedReplicas(record) + maxSurge : 0;
      const processes = facts.replicasOf(tag).filter((replica) => {
        const status = facts.heardStatus(replica);
        if (status?.state !== "exited") return true;
        return replica.intent.kind === "run" && !facts.hasGivenUp(replica, (it) => facts.heardStatus(it));
      });
      if (processes.length > most) {
        world.violate(
          "surge",
          `${tag} has ${processes.length} replicas (${processes.map((it) => it.actor).join(", ")}), at most ${most} may be`,
        );
      }
    }
  });
};
