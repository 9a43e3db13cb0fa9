/**
 * Ready replicas never fall below wanted - maxUnavailable by the controller's own doing: looked at whenever it tells one to go or deletes
 * its record, and whenever a router is told of a backend without one that is still there. What faults and user code took away is nobody's
 * doing, and neither is what the controller could not have heard yet: one that goes counts when it has long been ready and healthy, one
 * that stays when it was so a moment ago. Of a silent node the last word holds.
 */
import type { ActorStatus, Assignment } from "../../model/actor.ts";
import { HEAR_NODES_WINDOW_MS } from "../../model/limits.ts";
import { LEASE_TTL_MS } from "../../model/store-limits.ts";
import { type Commit, keyOf, recordOf } from "../store/sim-store.ts";
import type { World } from "../world.ts";
import { type Facts, HEARD_MS } from "./facts.ts";

const NAME = "availability";
/** A slow watch and a slow save, and in between the controller was stopped for as long as its lease lets it go on. */
const NEWS_MS = HEARD_MS + LEASE_TTL_MS;
/** A new life publishes what it has heard by then. */
const PUBLISHED_MS = NEWS_MS + HEAR_NODES_WINDOW_MS;

interface Known {
  /** Ready and healthy since then by a word that counts, of an instance that runs; undefined: it is not. */
  readonly since: number | undefined;
  /** When it was last so, as far as anybody knew. */
  readonly lastly: number;
}

export const checkAvailability = (world: World, facts: Facts): void => {
  const known = new Map<string, Known>();

  const look = (at: number): void => {
    const names = new Set<string>();
    const isRunning = facts.instance()?.phase === "running";
    for (const assignment of facts.assignments()) {
      const status = facts.status(assignment);
      const counted = facts.countedStatus(assignment);
      const was = known.get(assignment.actor);
      names.add(assignment.actor);
      known.set(assignment.actor, {
        since: isRunning && isFit(counted) ? (was?.since ?? at) : undefined,
        // Until the next look all stays as it is.
        lastly:
          isFit(counted) || (counted === undefined && status?.state === "ready") ? Infinity : stayedUntil(was, at),
      });
    }
    for (const actor of known.keys()) if (!names.has(actor)) known.delete(actor);
  };

  /** @param gone of the backend, by the controller's doing. */
  const check = (
    tag: string,
    gone: readonly string[],
    { withinMs, what }: { withinMs: number; what: string },
  ): void => {
    const record = facts.backend(tag);
    if (record === undefined || record.deleting !== undefined || facts.instance()?.phase !== "running") return;
    const now = world.scheduler.now();
    const staying = facts
      .replicasOf(tag)
      .filter(({ actor, intent }) => intent.kind === "run" && !gone.includes(actor))
      .filter(({ actor }) => now - (known.get(actor)?.lastly ?? Number.NEGATIVE_INFINITY) <= withinMs);
    const least = facts.wantedReplicas(record) - facts.config(record).maxUnavailable;
    if (staying.length >= least) return;
    const names = staying.map(({ actor }) => actor).join(", ");
    world.violate(
      NAME,
      `${gone.join(", ")} ${what}, and of ${tag} only ${staying.length} stay (${names}) of ${least} at least`,
    );
  };

  const hasLongBeenFit = (actor: string, forMs: number): boolean => {
    const since = known.get(actor)?.since;
    return since !== undefined && world.scheduler.now() - since >= forMs;
  };

  world.on("commit", (commit) => {
    const sent = sentAway(world, commit).filter(({ actor }) => hasLongBeenFit(actor, NEWS_MS));
    look(commit.at);
    for (const tag of new Set(sent.map(({ spec }) => (spec.kind === "replica" ? spec.backend : "")))) {
      const gone = sent.filter(({ spec }) => spec.kind === "replica" && spec.backend === tag).map(({ actor }) => actor);
      check(tag, gone, { withinMs: NEWS_MS, what: "served and was told to go" });
    }
  });

  world.on("polled", ({ seat, answer }) => {
    if (answer.kind !== "news") return;
    for (const { backends } of answer.endpoints) {
      for (const [tag, { replicas }] of Object.entries(backends)) {
        const gone = facts
          .replicasOf(tag)
          .filter(({ actor, intent }) => intent.kind === "run" && hasLongBeenFit(actor, PUBLISHED_MS))
          .filter(({ actor }) => !replicas.some(({ replica }) => replica === actor));
        if (gone.length === 0) continue;
        const what = `served and is kept from ${seat.name}`;
        check(
          tag,
          gone.map(({ actor }) => actor),
          { withinMs: PUBLISHED_MS, what },
        );
      }
    }
  });
};

const isFit = (status: ActorStatus | undefined): boolean => status?.state === "ready" && status.health === "healthy";

const stayedUntil = (was: Known | undefined, at: number): number =>
  was === undefined ? Number.NEGATIVE_INFINITY : Math.min(was.lastly, at);

/** Replicas that were to run, and from this transaction on are not. */
const sentAway = (world: World, { changes, before }: Commit): readonly Assignment[] =>
  changes.flatMap((change, index) => {
    const was = before[index];
    if (was === undefined || !keyOf(change).startsWith(world.keys.assigns)) return [];
    const assignment = recordOf<Assignment>(was);
    if (assignment.spec.kind !== "replica" || assignment.intent.kind !== "run") return [];
    const runsOn = change.kind === "put" && recordOf<Assignment>(change.entry).intent.kind === "run";
    return runsOn ? [] : [assignment];
  });
