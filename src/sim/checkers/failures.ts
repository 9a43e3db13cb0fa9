/**
 * The goal of a backend is failed by a start of what it waits for only: a process of the replica that it names was started with the
 * backend's revision, and that process was never ready. What became of an older revision says nothing about a newer one.
 */
import { ACTOR_FILE_VARIABLE } from "../../model/launch.ts";
import type { ActorFile } from "../../model/places.ts";
import type { GoalRecord } from "../../model/records.ts";
import { keyOf, recordOf } from "../store/sim-store.ts";
import type { World } from "../world.ts";
import type { Facts } from "./facts.ts";

export const checkFailures = (world: World, facts: Facts): void => {
  /** The newest configuration that a process of this actor was started with. */
  const tried = new Map<string, number>();

  world.on("spawned", ({ node, process }) => {
    const path = process.facts.env[ACTOR_FILE_VARIABLE];
    const assignment = path === undefined ? undefined : node.disk.read<ActorFile>(path)?.assignment;
    if (assignment !== undefined) tried.set(assignment.actor, assignment.configRevision);
  });
  world.on("commit", ({ changes }) => {
    for (const change of changes) {
      if (change.kind !== "put" || !keyOf(change).startsWith(world.keys.goals)) continue;
      const { id, state, subject, error } = recordOf<GoalRecord>(change.entry);
      if (state !== "failed" || subject.kind !== "backend" || error?.details?.["failedStarts"] === undefined) continue;
      if (error.code === "replica-unhealthy") continue;
      const replica = String(error.details["replica"]);
      const revision = tried.get(replica) ?? 0;
      const waitedFor = facts.backend(subject.tag)?.configRevision ?? 0;
      if (revision >= waitedFor) continue;
      world.violate(
        "failures",
        `${id} waits for configuration ${waitedFor} of ${subject.tag}, and was failed by ${replica}, which was started with ${revision} at most`,
      );
    }
  });
};
