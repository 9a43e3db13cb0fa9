/**
 * What is published is not withdrawn for nothing: a replica that goes on serving and is to run on must not vanish from routers because an
 * agent, a controller or a connection was replaced. Judged some time after an answer without it: had there been a reason by then?
 */

import type { ActorStatus, Assignment } from "../../model/actor.ts";
import { ACTOR_FILE_VARIABLE } from "../../model/launch.ts";
import { keyOf, recordOf } from "../store/sim-store.ts";
import type { World } from "../world.ts";
import type { Facts } from "./facts.ts";

const NAME = "steadiness";
/** A withdrawal is followed by a drain within this, whatever the store does meanwhile. */
const REASON_MS = 15_000;

export const checkSteadiness = (world: World, facts: Facts): void => {
  /** Backends by tag: when their record last changed. */
  const changedAt = new Map<string, number>();
  /** Replicas, by name: the process that was ready, as its agent said, and since when. */
  const ready = new Map<string, { readonly pid: number | undefined; readonly since: number }>();
  /** Replicas, by name: when they were last known not to be healthy. */
  const illAt = new Map<string, number>();

  world.on("commit", ({ changes, at }) => {
    for (const change of changes) {
      const key = keyOf(change);
      if (key.startsWith(world.keys.backends)) changedAt.set(key.slice(world.keys.backends.length), at);
      if (!key.startsWith(world.keys.statuses) || change.kind !== "put") continue;
      const { actor, state, pid, health } = recordOf<ActorStatus>(change.entry);
      const wasIll = illAt.get(actor) === Number.POSITIVE_INFINITY;
      if (health !== "healthy") illAt.set(actor, Number.POSITIVE_INFINITY);
      else if (wasIll) illAt.set(actor, at);
      if (state === "ready" && ready.get(actor)?.pid !== pid) ready.set(actor, { pid, since: at });
    }
  });

  world.on("polled", ({ seat, answer }) => {
    if (answer.kind !== "news") return;
    const at = world.scheduler.now();
    for (const { tag, backends } of answer.endpoints) {
      const held = seat.router.endpoints().endpoints.find((it) => it.tag === tag)?.backends ?? {};
      for (const [backend, closure] of Object.entries(held)) {
        const told = (backends as typeof held)[backend as never] as typeof closure | undefined;
        if (told === undefined) continue;
        for (const { replica, incarnation } of closure.replicas) {
          const since = ready.get(replica)?.since ?? Number.POSITIVE_INFINITY;
          if (since >= at || told.replicas.some((it) => it.replica === replica)) continue;
          const pid = ready.get(replica)?.pid;
          const assignment = facts.assignments().find((it) => it.actor === replica);
          if (assignment === undefined || facts.status(assignment)?.incarnation !== incarnation) continue;
          if (!isServing(world, assignment, pid)) continue;
          world.scheduler.after(REASON_MS, () => {
            const now = facts.assignments().find((it) => it.actor === replica);
            const lastReason = Math.max(changedAt.get(backend) ?? 0, illAt.get(replica) ?? 0);
            const hadReason = now?.intent.kind !== "run" || lastReason > at - REASON_MS;
            if (hadReason || !isServing(world, now, pid)) return;
            world.violate(
              NAME,
              `${replica} was taken from ${seat.name} at ${at.toFixed(3)} ms, and served all the time`,
            );
          });
        }
      }
    }
  });
};

const isServing = (world: World, assignment: Assignment, pid: number | undefined): boolean =>
  assignment.intent.kind === "run" &&
  world.nodes.some(
    (node) =>
      node.name === assignment.node &&
      node.processes.some((it) => it.facts.identity.pid === pid && it.facts.env[ACTOR_FILE_VARIABLE] !== undefined),
  );
