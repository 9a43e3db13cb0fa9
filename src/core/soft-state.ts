/**
 * What one controller life knows besides the store, and loses when it ends: what it has told routers, who has applied it, and which
 * replicas it has taken out of the published set. Decisions read it; the controller's loop changes it after each save.
 * A new life starts with all of it empty and decides the same things again.
 */

import type { Instant } from "../base/time.ts";
import type { ActorName, BackendTag, EndpointTag } from "../model/ids.ts";
import type { EndpointClosure } from "../model/longpoll.ts";
import { NoteBook, type Notes } from "./notes.ts";

export interface Life {
  /** When this life took over. */
  readonly startedAt: Instant;
  /** Every process of the instance is new: no router knows an older life. */
  readonly first: boolean;
}

/** A follower that has not applied a snapshot yet. */
export interface Laggard {
  readonly name: string;
  readonly kind: "proxy" | "replica" | "program";
}

/** What the long-poll host knows of its clients. Counters are those of this life's snapshots. */
export interface Routers {
  /** Newest snapshot that the proxy or replica of this name has applied; undefined: it has not polled this life. */
  appliedBy(name: string): number | undefined;
  /** Since when all endpoints that this life found are published or gone; undefined: some are held back, and nobody is told "this is all". */
  completeSince(): Instant | undefined;
  /** Queries that run or wait for the backend, over the last words of all routers that are still there. */
  load(backend: BackendTag): number;
  /** Who follows the endpoint and has not applied that snapshot. */
  behind(endpoint: EndpointTag, counter: number): readonly Laggard[];
  /** Who has not applied all that concerns it up to that snapshot, of whatever endpoints. */
  unsettled(counter: number): readonly Laggard[];
}

/** The newest that routers were told of an endpoint. */
export interface Published {
  /** undefined: that it is gone. */
  readonly closure: EndpointClosure | undefined;
  readonly counter: number;
  readonly at: Instant;
}

/** A replica that is out of the published set, on its way to be drained. */
export interface Withdrawal {
  /** The first snapshot without it. */
  readonly counter: number;
  readonly at: Instant;
}

/** As much of a map as decisions need. */
export interface Lookup<K, V> {
  get(key: K): V | undefined;
  has(key: K): boolean;
}

export interface SoftState {
  readonly life: Life;
  readonly notes: Notes;
  readonly routers: Routers;
  readonly published: Lookup<EndpointTag, Published>;
  readonly withdrawals: Lookup<ActorName, Withdrawal>;
}

/** No life: nobody was told anything, and nothing was noted. */
export const NOTHING_TOLD: Omit<SoftState, "life"> = {
  notes: new NoteBook(),
  routers: {
    completeSince: () => undefined,
    load: () => 0,
    appliedBy: () => undefined,
    behind: () => [],
    unsettled: () => [],
  },
  published: new Map(),
  withdrawals: new Map(),
};
