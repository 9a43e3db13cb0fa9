/** What a backend or an assignment in the store names is kept: looked at whenever kept code is named, started, or removed. */
import type { CodeIdentity } from "../../model/code-ref.ts";
import { ACTOR_FILE_VARIABLE } from "../../model/launch.ts";
import type { ActorFile } from "../../model/places.ts";
import { hasKeptCode } from "../node/sim-code.ts";
import type { World } from "../world.ts";
import type { Facts } from "./facts.ts";

const NAME = "kept code";
/** Removals are rare. */
const LOOK_MS = 60_000;

export const checkKeptCode = (world: World, facts: Facts): void => {
  const isKept = (identity: CodeIdentity): boolean => world.nodes.some((node) => hasKeptCode(node, identity));

  // The last transaction of `shutdown` comes before the folder goes.
  world.on("commit", ({ changes }) => {
    for (const change of changes) {
      if (change.kind !== "put" || !change.entry.key.startsWith(world.keys.backends)) continue;
      const { tag, identity } = facts.backend(change.entry.key.slice(world.keys.backends.length)) ?? {};
      if (identity?.from !== "kept") world.violate(NAME, `backend ${tag} was saved without code that is kept`);
      else if (!isKept(identity)) world.violate(NAME, `backend ${tag} was saved, and its code is kept nowhere`);
    }
  });
  world.on("spawned", ({ node, process }) => {
    const path = process.facts.env[ACTOR_FILE_VARIABLE];
    const spec = path === undefined ? undefined : node.disk.read<ActorFile>(path)?.assignment.spec;
    if (spec?.kind !== "replica" || spec.identity === undefined || isKept(spec.identity)) return;
    world.violate(NAME, `${process.facts.name} was started, and the code of ${spec.backend} is kept nowhere`);
  });
  const look = (): void => {
    world.scheduler.after(LOOK_MS, look);
    if (facts.instance() === undefined) return;
    for (const { tag, identity, proven } of facts.backends()) {
      if ([identity, proven?.identity].some((it) => it !== undefined && !isKept(it)))
        world.violate(NAME, `the code of ${tag} is kept nowhere any more`);
    }
  };
  look();
};
