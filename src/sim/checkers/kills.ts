/**
 * Nobody is killed for nothing: an actor that is to run, and whose last word was "ready", gets no SIGKILL from its agent. Nor does one
 * whose record is gone, because its node was given up: it is drained first, and says so.
 */
import { ACTOR_FILE_VARIABLE } from "../../model/launch.ts";
import type { ActorFile } from "../../model/places.ts";
import type { World } from "../world.ts";
import type { Facts } from "./facts.ts";

export const checkKills = (world: World, facts: Facts): void => {
  world.on("signalled", ({ node, process, signal }) => {
    const path = process.facts.env[ACTOR_FILE_VARIABLE];
    if (path === undefined || signal !== "SIGKILL" || facts.instance()?.phase !== "running") return;
    const file = node.disk.read<ActorFile>(path);
    const actor = file?.assignment.actor;
    const assignment = facts.assignments().find((it) => it.actor === actor && it.node === node.name);
    if (assignment === undefined && file?.report?.state === "ready" && !process.isStopped) {
      world.violate("kills", `${actor} was ready and has lost its record, and its agent killed it without a drain`);
    }
    if (assignment?.intent.kind !== "run") return;
    const status = facts.status(assignment);
    if (status?.state !== "ready" || status.pid !== process.facts.identity.pid) return;
    world.violate("kills", `${actor} was ready and is to run, and its agent killed it`);
  });
};
