/**
 * The two folders of an instance on this node: what lies in them beside the agent's ledger, and how they end.
 * Writes are atomic and throw `state-unwritable`; removals are repeatable and leave what is not there alone.
 */
import type { ServeError } from "../base/serve-error.ts";
import type { SavedLaunch } from "../model/launch.ts";
import type { SavedTotals } from "../model/metrics.ts";
import type { InstanceFile } from "../model/places.ts";

export interface InstanceFolders {
  instanceFile(): InstanceFile | undefined;
  writeInstanceFile(file: InstanceFile): void;
  savedLaunch(): SavedLaunch | undefined;
  writeLaunch(saved: SavedLaunch): void;
  /** Whether the store's file is there; true where the store is no file of this node. */
  hasStore(): boolean;
  hasTombstone(): boolean;
  /** Durable when it returns. */
  writeTombstone(): void;
  /** Why the controller process of this pid says it cannot start; undefined = it did not say. */
  takeStartFailure(pid: number): ServeError | undefined;
  /** The agent has lived long enough: the next rescue is at once again. */
  forgetRescues(): void;
  /** Cuts log files that have grown too long, forgets the oldest of processes that are gone. */
  trimLogs(running: readonly string[]): void;
  /** What the node has counted, for the next agent: it lasts as long as the machine runs. */
  saveMetrics(totals: SavedTotals): void;
  savedMetrics(): SavedTotals | undefined;
  /** Removes the sockets of actors and controllers that have gone without doing so: all but these paths. */
  trimSockets(living: readonly string[]): void;
  /** Keeps cleaners of old files away. */
  touchRun(): void;
  /** Everything but the lock. */
  clearRun(): void;
  /** Everything; the tombstone last. */
  removeState(): void;
}
