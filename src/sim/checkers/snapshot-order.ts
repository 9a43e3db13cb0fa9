/** Snapshot ids only rise: in each router, whatever controllers it has heard, and in each life of a controller. */
import { compareSnapshotIds, type SnapshotId } from "../../model/longpoll.ts";
import type { RouterSeat } from "../actors/router-seat.ts";
import type { World } from "../world.ts";

const NAME = "snapshot-order";

export const checkSnapshotOrder = (world: World): void => {
  const applied = new WeakMap<RouterSeat, SnapshotId>();
  const told = new Map<number, number>();
  world.on("applied", ({ seat }) => {
    const now = seat.router.snapshots().applied;
    const before = applied.get(seat);
    if (before !== undefined && compareSnapshotIds(now, before) < 0) {
      world.violate(NAME, `${seat.name} has applied ${text(now)} after ${text(before)}`);
    }
    applied.set(seat, now);
  });
  world.on("polled", ({ seat, answer }) => {
    if (answer.kind !== "news") return;
    const { epoch, counter } = answer.snapshot;
    if (counter < (told.get(epoch) ?? 0)) {
      world.violate(NAME, `epoch ${epoch} told ${seat.name} snapshot ${counter} after ${told.get(epoch)}`);
    }
    told.set(epoch, counter);
  });
};

const text = ({ epoch, counter }: SnapshotId): string => `${epoch}.${counter}`;
