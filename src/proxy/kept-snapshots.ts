/**
 * A proxy's snapshots on disk: stamped with the instance they belong to, written after changes, never more often than the interval, and
 * read once, at start. A disk that fails costs a line in the log.
 */
import { SNAPSHOT_SAVE_INTERVAL_MS } from "../model/limits.ts";
import type { Clock, Timer } from "../ports/clock.ts";
import type { Log } from "../ports/log.ts";
import type { SnapshotStore } from "../ports/snapshot-store.ts";

export interface KeptSnapshotsPorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly snapshots: SnapshotStore;
}

export class KeptSnapshots {
  readonly #ports: KeptSnapshotsPorts;
  readonly #instanceId: string;
  /** Read at each writing. */
  readonly #current: () => unknown;
  #timer: Timer | undefined;

  constructor(ports: KeptSnapshotsPorts, instanceId: string, current: () => unknown) {
    this.#ports = ports;
    this.#instanceId = instanceId;
    this.#current = current;
  }

  /** What an earlier life of this instance's proxies has left. */
  load(): unknown {
    const saved = this.#ports.snapshots.load() as
      | { readonly instanceId?: unknown; readonly router?: unknown }
      | undefined;
    return saved?.instanceId === this.#instanceId ? saved.router : undefined;
  }

  changed(): void {
    this.#timer ??= this.#ports.clock.after(SNAPSHOT_SAVE_INTERVAL_MS, () => {
      this.#timer = undefined;
      this.#save();
    });
  }

  /** Writes what waits to be written. */
  stop(): void {
    if (this.#timer === undefined) return;
    this.#timer.cancel();
    this.#timer = undefined;
    this.#save();
  }

  #save(): void {
    try {
      this.#ports.snapshots.save({ instanceId: this.#instanceId, router: this.#current() });
    } catch (error) {
      this.#ports.log.warn("snapshots-not-saved", { error });
    }
  }
}
