/** Which things must be looked at because of what routers say: what they have applied, and what load they have. */
import { type DirtyKey, waitingEndpoints } from "../core/dirty.ts";
import type { View } from "../core/view.ts";
import type { BackendTag, EndpointTag } from "../model/ids.ts";
import type { Memory } from "./memory.ts";

/** Some router has applied snapshots above `after` up to `upTo`, or has left. */
export const dirtyByApplied = (
  { view, memory }: { readonly view: View; readonly memory: Memory },
  { after, upTo }: { readonly after: number; readonly upTo: number },
): readonly DirtyKey[] => {
  const dirty: DirtyKey[] = waitingEndpoints(view).filter((key) => {
    const counter = memory.published.get(key.slice("endpoint/".length) as EndpointTag)?.counter ?? 0;
    return counter > after && counter <= upTo;
  });
  for (const actor of memory.withdrawals.keys()) {
    const spec = view.assignment(actor)?.spec;
    if (spec?.kind === "replica") dirty.push(`backend/${spec.backend}`);
  }
  return dirty;
};

/** The load of these backends is another one. */
export const dirtyByLoads = (view: View, backends: readonly BackendTag[]): readonly DirtyKey[] =>
  backends.filter((tag) => view.config(tag).autoscaling !== undefined).map((tag): DirtyKey => `backend/${tag}`);
