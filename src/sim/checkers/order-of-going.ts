/**
 * Out of the published set first, drained next: when a replica is told to drain, no router whose poll waits at the leading controller
 * still holds it. (A poll that waits is answered at once when something is withdrawn; who does not poll was given its time.)
 */
import type { Assignment } from "../../model/actor.ts";
import { keyOf, recordOf } from "../store/sim-store.ts";
import type { World } from "../world.ts";
import type { Facts } from "./facts.ts";

const NAME = "order-of-going";

export const checkOrderOfGoing = (world: World, facts: Facts): void => {
  world.on("commit", ({ changes, before, writer }) => {
    for (const [index, change] of changes.entries()) {
      const was = before[index];
      if (change.kind !== "put" || was === undefined || !keyOf(change).startsWith(world.keys.assigns)) continue;
      const from = recordOf<Assignment>(was).intent.kind;
      const assignment = recordOf<Assignment>(change.entry);
      const { actor, intent, spec } = assignment;
      if (from !== "run" || intent.kind !== "drain" || spec.kind !== "replica") continue;
      if (facts.instance()?.phase !== "running") continue;
      // One that has just died serves nobody, whoever still knows it.
      const status = facts.countedStatus(assignment);
      if (status?.state === "ready") checkHolders(world, { actor, incarnation: status.incarnation }, writer);
    }
  });
};

const checkHolders = (
  world: World,
  { actor, incarnation }: { readonly actor: string; readonly incarnation: number },
  writer: string | undefined,
): void => {
  for (const { router, waitsAt, name, process } of world.routers) {
    if (waitsAt?.facts.name !== writer || process.isStopped) continue;
    const holds = router
      .endpoints()
      .endpoints.some(({ backends }) =>
        Object.values(backends).some(({ replicas }) =>
          replicas.some((it) => it.replica === actor && it.incarnation === incarnation),
        ),
      );
    if (holds) world.violate(NAME, `${actor} was told to drain while ${name}, whose poll waits, still sends to it`);
  }
};
