/**
 * A router never holds a policy without its replicas: every backend that an answer names comes with it, and a backend with replicas that
 * have long been ready, healthy or not, does not come empty.
 */
import { HEAR_NODES_WINDOW_MS } from "../../model/limits.ts";
import { LEASE_TTL_MS, STORE_BUSY_RETRIES } from "../../model/store-limits.ts";
import type { World } from "../world.ts";
import type { Facts } from "./facts.ts";

const NAME = "closures";
/** What a controller may not have heard: it is new, or its watch is slow, or it was stopped for a lease's life. */
const NEWS_MS = HEAR_NODES_WINDOW_MS + LEASE_TTL_MS + 30 * STORE_BUSY_RETRIES;

export const checkClosures = (world: World, facts: Facts): void => {
  /** Replicas by name: since when each is to run and ready, of an instance that runs. */
  const readySince = new Map<string, number>();

  world.on("commit", ({ at }) => {
    const ready = new Set<string>();
    // A stop takes replicas away, and what it has taken comes back with the next start.
    const replicas = facts.instance()?.phase === "running" ? facts.assignments() : [];
    for (const replica of replicas) {
      const status = replica.intent.kind === "run" ? facts.countedStatus(replica) : undefined;
      if (status?.state === "ready" && status.health !== "stalled") ready.add(replica.actor);
    }
    for (const actor of readySince.keys()) if (!ready.has(actor)) readySince.delete(actor);
    for (const actor of ready) if (!readySince.has(actor)) readySince.set(actor, at);
  });

  world.on("polled", ({ seat, answer }) => {
    if (answer.kind !== "news") return;
    for (const { tag, traffic, shadows, backends } of answer.endpoints) {
      for (const backend of [...Object.keys(traffic), ...Object.keys(shadows)]) {
        const closure = backends[backend as never] as { readonly replicas: readonly unknown[] } | undefined;
        if (closure === undefined)
          world.violate(NAME, `${seat.name} was told of ${tag} without its backend ${backend}`);
        if (closure?.replicas.length !== 0) continue;
        const steady = facts.replicasOf(backend).filter(({ actor }) => {
          const since = readySince.get(actor);
          return since !== undefined && world.scheduler.now() - since > NEWS_MS && !isSurplus(facts, backend);
        });
        if (steady.length > 0) {
          world.violate(
            NAME,
            `${seat.name} was told of ${tag} with no replica of ${backend}, but ${steady[0]?.actor} is ready`,
          );
        }
      }
    }
  });
};

/** Some of its replicas are on their way out: which are withdrawn already only the controller knows. */
const isSurplus = (facts: Facts, tag: string): boolean => {
  const record = facts.backend(tag);
  return record === undefined || record.deleting !== undefined || !facts.isAsWanted(tag);
};
