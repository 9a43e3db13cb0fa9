/** Sick replicas are replaced with growing pauses: however ill they are, a backend does not start processes without end. */
import type { BackendRecord } from "../../model/records.ts";
import { keyOf, recordOf } from "../store/sim-store.ts";
import type { World } from "../world.ts";

const NAME = "churn";
/** Pause after the first replacement, and the longest, as the limits say; written down again here so that a mistake there shows. */
const PAUSE_MS = { first: 1_000, longest: 60_000 };

export const checkChurn = (world: World): void => {
  world.on("commit", ({ changes, before, at }) => {
    for (const [index, change] of changes.entries()) {
      const was = before[index];
      if (change.kind !== "put" || was === undefined || !keyOf(change).startsWith(world.keys.backends)) continue;
      const { tag, recovery } = recordOf<BackendRecord>(change.entry);
      const last = recordOf<BackendRecord>(was).recovery;
      if (recovery === undefined || last === undefined || recovery.at === last.at) continue;
      // A change of the backend begins to count anew.
      if (recovery.rollout !== last.rollout || recovery.configRevision !== last.configRevision) continue;
      const pauseMs = recovery.at - last.at;
      const leastMs = Math.min(PAUSE_MS.first * 2 ** (last.count - 1), PAUSE_MS.longest);
      if (pauseMs < leastMs) {
        world.violate(
          NAME,
          `${tag} was mended ${pauseMs} ms after the last time at ${at}, after ${last.count} in a row`,
        );
      }
    }
  });
};
