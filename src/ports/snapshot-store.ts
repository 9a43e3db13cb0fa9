/** Keeps a proxy's last snapshots between its lives. Losing them costs only what a start without a controller could serve. */

export interface SnapshotStore {
  /** Undefined: there is nothing usable. */
  load(): unknown;
  /** All or nothing. Throws a ServeError. */
  save(value: unknown): void;
}
