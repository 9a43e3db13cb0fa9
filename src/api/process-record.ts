/**
 * The one record that all copies of this package in a process share, on `globalThis[Symbol.for("maitred/1")]`: a replica's own
 * `maitred` and the one that its user's code resolves to must meet somewhere. It is made on first use, never at import.
 * The shape is a contract between versions: members may be added, and are then optional; a change of meaning needs "maitred/2".
 */
import { AsyncLocalStorage } from "node:async_hooks";
import type { CallerFactory } from "./caller.ts";
import type { QueryContext } from "./query-context.ts";

/** Whose code runs: that of one query, or a batch function, which belongs to several. */
export type Scope = QueryContext | "batch";

/** What the backend's configuration says instead of what `batch()` declares. */
export interface BatchOverrides {
  readonly maxBatchSize: number | undefined;
  readonly batchWaitTimeoutMs: number | undefined;
}

export interface ProcessRecord {
  readonly scopes: AsyncLocalStorage<Scope>;
  /** Runs a function outside every query; made by the first query. */
  atRoot: (<T>(run: () => T) => T) | undefined;
  /** Installed by a process that is connected to an instance. */
  callerFactory: CallerFactory | undefined;
  batchOverrides: BatchOverrides;
  /** How often `batch()` was called. */
  declaredBatches: number;
  /** The batches that wait for more items. */
  readonly waitingBatches: Set<{ flush(): void }>;
}

const RECORD = Symbol.for("maitred/1");

export function processRecord(): ProcessRecord {
  const holder = globalThis as { [RECORD]?: ProcessRecord };
  holder[RECORD] ??= {
    scopes: new AsyncLocalStorage(),
    atRoot: undefined,
    callerFactory: undefined,
    batchOverrides: { maxBatchSize: undefined, batchWaitTimeoutMs: undefined },
    declaredBatches: 0,
    waitingBatches: new Set(),
  };
  return holder[RECORD];
}

/** Makes handles work in this process; the last one installed counts. `undefined` when it is no longer connected. */
export function installCallerFactory(factory: CallerFactory | undefined): void {
  processRecord().callerFactory = factory;
}

/** Holds from now on, for batches that already wait too: they start at once. */
export function setBatchOverrides(overrides: BatchOverrides): void {
  processRecord().batchOverrides = overrides;
  flushBatches();
}

/** Starts every batch that waits for more items: a process that drains gets no more. */
export function flushBatches(): void {
  for (const batch of [...processRecord().waitingBatches]) batch.flush();
}

/** Whether any `batch()` was declared in this process; class fields count once an object was made. */
export const declaresBatches = (): boolean => processRecord().declaredBatches > 0;
