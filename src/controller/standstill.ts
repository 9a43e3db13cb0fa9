/**
 * What a controller says while its store takes no writes (a full disk, a read-only one): nobody can lead, so no change can be made, but
 * what is saved can still be read, and running endpoints answer without either.
 */
import { ServeError } from "../base/serve-error.ts";
import { NOTHING_TOLD } from "../core/soft-state.ts";
import type { Keys } from "../model/keys.ts";
import type { ProcessStatus, Status } from "../model/status.ts";
import type { Instant, Timestamp } from "../ports/clock.ts";
import type { Store } from "../ports/store.ts";
import { load } from "./knowledge.ts";
import { Reasons } from "./memory.ts";
import { reportStatus } from "./status-report.ts";

/** The store's own words, and what they mean to whoever wants a change. */
export const standstillError = (storeSays: string): ServeError =>
  new ServeError("store-unavailable", `${storeSays} Until then no change can be made; running endpoints answer.`, {
    retryable: true,
  });

/** The instance as it is saved. @throws ServeError `store-unavailable`: it cannot be read either. */
export const statusFromStore = async (
  store: Store,
  keys: Keys,
  facts: {
    readonly self: ProcessStatus;
    readonly now: { readonly instant: Instant; readonly timestamp: Timestamp };
    readonly problem: ServeError;
  },
): Promise<Status> => {
  const { self, now, problem } = facts;
  const { view } = await load(store, keys);
  const instance = view.instance();
  if (instance === undefined) throw problem;
  const memory = { ...NOTHING_TOLD, life: { startedAt: now.instant, first: false } };
  return { ...reportStatus({ view, memory, reasons: new Reasons(), self, now }, instance), problem: problem.message };
};
