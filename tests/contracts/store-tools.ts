/** Short words for the store's tests: ops, a lab that closes itself, and a watch whose events can be waited for. */
import { onTestFinished } from "vitest";
import { isServeError } from "../../src/base/serve-error.ts";
import type { KeyValue, LeaseId, Op, Store, TxnResult, WatchChange, WatchEvent } from "../../src/ports/store.ts";
import { waitFor } from "../harness/wait-for.ts";
import type { StoreLab } from "./store-contract.ts";

/** Far beyond every interval of the product; a wait ends as soon as it can. */
export const WAIT_MS = 10_000;

export const put = (key: string, value: string, lease?: LeaseId): Op => ({ kind: "put", key, value, lease });
export const del = (key: string): Op => ({ kind: "delete", key });
export const deletePrefix = (prefix: string): Op => ({ kind: "deletePrefix", prefix });
export const get = (key: string): Op => ({ kind: "get", key });

/** Runs ops without a compare. */
export const run = (store: Store, ...ops: readonly Op[]): Promise<TxnResult> => store.txn({ compare: [], then: ops });

export const keysUnder = async (store: Store, prefix: string): Promise<readonly string[]> =>
  (await store.list(prefix)).entries.map((entry) => entry.key);

export const revisionOf = async (store: Store): Promise<number> => (await store.list("")).revision;

/** The code of the error that this promise rejects with. */
export const codeOf = async (promise: Promise<unknown>): Promise<string> => {
  try {
    await promise;
  } catch (error) {
    if (isServeError(error)) return error.code;
    throw error;
  }
  return "none: it succeeded";
};

/** An empty store for the running test. */
export const openLab = async (open: () => Promise<StoreLab>): Promise<StoreLab> => {
  const lab = await open();
  onTestFinished(() => lab.close());
  return lab;
};

export interface Recorder {
  readonly events: readonly WatchEvent[];
  /** Revisions of the `changes` events, in the order they came. */
  revisions(): readonly number[];
  changes(): readonly WatchChange[];
  /** Resolves when the events satisfy this. */
  until(what: string, holds: (events: readonly WatchEvent[]) => boolean): Promise<void>;
  /** Resolves when everything up to the revision has come. Needs a change of the prefix at that revision. */
  through(revision: number): Promise<void>;
  stop(): void;
}

export const record = (store: Store, prefix: string, options?: { readonly fromRevision?: number }): Recorder => {
  const events: WatchEvent[] = [];
  const watch = store.watch(prefix, (event) => events.push(event), options);
  const until: Recorder["until"] = async (what, holds) => {
    await waitFor(what, () => holds(events), WAIT_MS);
  };
  return {
    events,
    revisions: () => events.flatMap((event) => (event.kind === "changes" ? [event.revision] : [])),
    changes: () => events.flatMap((event) => (event.kind === "changes" ? event.changes : [])),
    until,
    through: (revision) =>
      until(`the watch of ${JSON.stringify(prefix)} is at revision ${revision}`, () => {
        const last = events.at(-1);
        return last !== undefined && last.kind !== "compacted" && last.revision >= revision;
      }),
    stop: () => watch.stop(),
  };
};

/** The entries that a watch has told so far: its snapshot with its changes applied. */
export const replay = (events: readonly WatchEvent[]): readonly KeyValue[] => {
  const entries = new Map<string, KeyValue>();
  for (const event of events) {
    if (event.kind === "snapshot") for (const entry of event.entries) entries.set(entry.key, entry);
    if (event.kind !== "changes") continue;
    for (const change of event.changes) {
      if (change.kind === "put") entries.set(change.entry.key, change.entry);
      else entries.delete(change.key);
    }
  }
  return [...entries.values()].sort((a, b) => Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)));
};
