/**
 * What the controller tells routers, and how: `POST /v1/longpoll`, JSON.
 * The unit is the endpoint's closure: all that a router needs to serve it. A client applies one answer as one new picker.
 * Snapshot ids are ordered: (epoch, counter); a newer controller life is always newer.
 */
import type { Address } from "./actor.ts";
import type { EndpointSpec, TrafficPolicy } from "./endpoint.ts";
import type { ActorName, BackendTag, EndpointTag } from "./ids.ts";

export interface SnapshotId {
  readonly epoch: number;
  readonly counter: number;
}

export const NO_SNAPSHOT: SnapshotId = { epoch: 0, counter: 0 };

/** Negative: a is older; 0: equal; positive: a is newer. */
export const compareSnapshotIds = (a: SnapshotId, b: SnapshotId): number => a.epoch - b.epoch || a.counter - b.counter;

export interface ReplicaEntry {
  readonly replica: ActorName;
  readonly incarnation: number;
  readonly address: Address;
}

export interface BackendClosure {
  readonly maxConcurrentQueries: number;
  readonly maxQueuedQueries: number;
  /** How often a router says its load at least; absent: with its polls, whenever they come. */
  readonly loadIntervalMs?: number | undefined;
  /** Published = ready and not on its way out. May be empty: queries wait. */
  readonly replicas: readonly ReplicaEntry[];
}

/** Everything about one endpoint; names every backend of its traffic and shadows. */
export interface EndpointClosure extends TrafficPolicy {
  readonly tag: EndpointTag;
  readonly spec: EndpointSpec;
  readonly backends: Readonly<Record<BackendTag, BackendClosure>>;
}

export interface PollRequest {
  /** Drawn once per client process; unique. */
  readonly client: string;
  readonly kind: "proxy" | "replica" | "program";
  /** For people and for `laggards`: actor name, or `program <pid>`. */
  readonly name: string;
  /** Sent with the first poll to a controller life and whenever the set changed; absent = as registered. `"all"` for proxies. */
  readonly subscribe?: "all" | readonly EndpointTag[] | undefined;
  /** Newest snapshot that this client has applied; the acknowledgement that goals wait for. */
  readonly applied: SnapshotId;
  /** Queries in flight plus queued per backend in this router now. */
  readonly loads?: Readonly<Record<BackendTag, number>> | undefined;
  /** Milliseconds the host may wait for news; at most POLL_TIMEOUT_MS, its default. */
  readonly waitMs?: number | undefined;
}

export type PollAnswer =
  /** This life does not know the client: poll again with `subscribe`. */
  | { readonly kind: "register"; readonly epoch: number }
  /** No news within the wait. */
  | { readonly kind: "idle"; readonly epoch: number }
  | {
      readonly kind: "news";
      readonly snapshot: SnapshotId;
      /** true: `endpoints` is all there is of the subscription; whatever is not named is gone. */
      readonly complete: boolean;
      readonly endpoints: readonly EndpointClosure[];
      readonly removed: readonly EndpointTag[];
    };
