/**
 * The one record that all copies of this package in a process share, on `globalThis[Symbol.for("maitred/1")]`: a replica's own
 * `maitred` and the one that its user's code resolves to must meet somewhere. It is made on first use, never at import.
 * The shape is a contract between versions: members may be added, and are then optional; a change of meaning needs "maitred/2".
 */
import { AsyncLocalStorage } from "node:async_hooks";
import type { CallerFactory } from "./caller.ts";
import type { BatchOverrides, QueryContext } from "./query-context.ts";

/** Whose code runs: that of one query, or a batch function, which belongs to several. */
export type Scope = QueryContext | "batch";

/** Why a batch did not wait any longer. */
export type BatchReason = "full" | "timer" | "drain" | "changed";

/** @param waitedMs since its first item. */
export type BatchStarted = (reason: BatchReason, items: number, waitedMs: number) => void;

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
  readonly waitingBatches: Set<{ flush(reason: BatchReason): void }>;
  /** Told of each batch; whoever counts them. */
  batchStarted?: BatchStarted | undefined;
  /** The apps that this process runs itself (maitred/testing); made by the first. */
  apps?: LocalApps | undefined;
}

/** Several apps in one process: which of them code belongs to follows it through everything that it waits for. */
export interface LocalApps {
  readonly scope: AsyncLocalStorage<CallerFactory>;
  readonly open: Set<CallerFactory>;
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

/** What sends the calls of handles in the code that runs now; undefined: nothing does. */
export function currentCallers(): CallerFactory | undefined {
  const { apps, callerFactory } = processRecord();
  if (apps === undefined) return callerFactory;
  // Code that belongs to none of them (a test that calls a function itself) means the only one there is.
  return apps.scope.getStore() ?? callerFactory ?? (apps.open.size === 1 ? [...apps.open][0] : undefined);
}

export interface LocalAppScope {
  /** Runs code as the app's own: its handles send by the app's callers, also after every wait. */
  readonly run: <T>(code: () => T) => T;
  close(): void;
}

/** @param reach `process`: handles of code that belongs to no app mean this one, while it is the only one. */
export function openLocalApp(callers: CallerFactory, reach: "process" | "own code"): LocalAppScope {
  const record = processRecord();
  record.apps ??= { scope: new AsyncLocalStorage(), open: new Set() };
  const { scope, open } = record.apps;
  if (reach === "process") open.add(callers);
  return {
    run: scope.run(callers, () => AsyncLocalStorage.snapshot()),
    close: () => void open.delete(callers),
  };
}

/** Holds from now on, for batches that already wait too: they start at once. */
export function setBatchOverrides(overrides: BatchOverrides): void {
  processRecord().batchOverrides = overrides;
  flushBatches("changed");
}

/** Starts every batch that waits for more items: a process that drains gets no more. */
export function flushBatches(reason: "drain" | "changed"): void {
  for (const batch of [...processRecord().waitingBatches]) batch.flush(reason);
}

/** The last one counts. */
export function watchBatches(started: BatchStarted | undefined): void {
  processRecord().batchStarted = started;
}

/** Whether any `batch()` was declared in this process; class fields count once an object was made. */
export const declaresBatches = (): boolean => processRecord().declaredBatches > 0;
