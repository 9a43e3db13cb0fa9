/**
 * What a replica sets up around the user's code that it runs: handles that work, and what the configuration says of batches. A replica
 * has its process to itself, and this is the process's record; replicas that share a process bring their own.
 */
import type { CallerFactory } from "./caller.ts";
import {
  type BatchStarted,
  flushBatches,
  installCallerFactory,
  type LocalAppScope,
  setBatchOverrides,
  watchBatches,
} from "./process-record.ts";
import type { BatchOverrides, ReplicaOwn } from "./query-context.ts";

export interface CodeHost {
  /** Makes handles in the code work; the last one counts. undefined: they do not work any more. */
  installCallers(factory: CallerFactory | undefined): void;
  /** Holds from now on, for batches that already wait too: they start at once. */
  setBatchOverrides(overrides: BatchOverrides): void;
  /** Starts every batch that waits for more items: a replica that drains gets no more. */
  flushBatches(): void;
  /** Told of each batch that starts. */
  watchBatches(started: BatchStarted | undefined): void;
  readonly own: ReplicaOwn | undefined;
}

export const ownProcess: CodeHost = {
  installCallers: installCallerFactory,
  setBatchOverrides,
  flushBatches: () => flushBatches("drain"),
  watchBatches,
  own: undefined,
};

/** Of one of several replicas of a local app: its handles are found by the scope, and its overrides hold for its own queries. */
export function sharedProcess(scope: LocalAppScope): CodeHost {
  const own: { atRoot: ReplicaOwn["atRoot"]; batchOverrides: BatchOverrides } = {
    atRoot: scope.run,
    batchOverrides: { maxBatchSize: undefined, batchWaitTimeoutMs: undefined },
  };
  return {
    installCallers: () => {},
    setBatchOverrides: ({ maxBatchSize, batchWaitTimeoutMs }) => {
      own.batchOverrides = { maxBatchSize, batchWaitTimeoutMs };
      flushBatches("changed");
    },
    flushBatches: () => flushBatches("drain"),
    // Nobody asks a local app for its metrics.
    watchBatches: () => {},
    own,
  };
}
