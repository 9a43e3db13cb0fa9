/**
 * Hard state: what the controller saves before it answers. One store key per thing.
 * Values are JSON. `revision`s below are counters of the thing itself, not store revisions.
 */
import type { BackendConfigInput } from "./backend-config.ts";
import type { CodeIdentity, CodeRef } from "./code-ref.ts";
import type { Endpoint } from "./endpoint.ts";
import type { ErrorBody } from "./error-codes.ts";
import type { BackendTag, EndpointTag, GoalId, InstanceId, InstanceName } from "./ids.ts";
import type { Json } from "./json.ts";

/** Raised when a record changes shape; a controller that finds a higher one refuses to start (`schema-newer`). */
export const SCHEMA_VERSION = 1;

export interface HttpConfig {
  readonly host: string;
  readonly port: number;
  readonly location: "none" | "head" | "every";
  readonly proxiesPerNode: number;
}

export const DEFAULT_HTTP_CONFIG: HttpConfig = { host: "127.0.0.1", port: 8000, location: "head", proxiesPerNode: 1 };

export interface InstanceRecord {
  readonly id: InstanceId;
  readonly name: InstanceName;
  readonly schemaVersion: number;
  readonly http: HttpConfig;
  /** Next ordinal to give to an actor; survives everything. */
  readonly nextOrdinal: number;
  /** running → stopping (drain all, keep state) → stopped; erasing is the tombstone of `shutdown`. */
  readonly phase: "running" | "stopping" | "stopped" | "erasing";
  /** Timestamp. */
  readonly createdAt: number;
}

export interface BackendRecord {
  readonly tag: BackendTag;
  readonly code: CodeRef;
  /** undefined: of a version that kept none, or of a call that nobody probed. */
  readonly identity: CodeIdentity | undefined;
  /** What the user set. */
  readonly config: BackendConfigInput;
  /** Counts config changes; replicas acknowledge it. Starts at 1. */
  readonly configRevision: number;
  /** Counts changes that need new processes (rolling fields, restart, new code). Starts at 1. */
  readonly rollout: number;
  readonly deleting: { readonly force: boolean } | undefined;
  /** Set from its creation until a goal of it is reached: all that time its replicas have never all run. */
  readonly unproven?: true | undefined;
  /** The goal that is current for this backend; settled or not. */
  readonly goal: GoalId;
  readonly app: string | undefined;
}

export interface EndpointRecord extends Endpoint {
  /** Counts changes of this endpoint. Starts at 1; goes on counting when a deleted tag is created again is not needed: goals name the goal id. */
  readonly revision: number;
  readonly goal: GoalId;
  readonly app: string | undefined;
}

export type GoalState = "pending" | "reached" | "superseded" | "failed";

export interface GoalRecord {
  readonly id: GoalId;
  /** The call that opened it, in canonical JSON: the same id with another call is refused (`goal-id-reused`). */
  readonly call: Json;
  readonly subject:
    | { readonly kind: "backend"; readonly tag: BackendTag; readonly until: "running" | "applied" | "gone" }
    | { readonly kind: "endpoint"; readonly tag: EndpointTag; readonly until: "published" | "withdrawn" }
    | { readonly kind: "instance"; readonly until: "stopped" | "erased" };
  readonly state: GoalState;
  /** Set when this id was given to a call whose value was already current: the outcome is that goal's. */
  readonly aliasOf: GoalId | undefined;
  readonly supersededBy: GoalId | undefined;
  readonly error: ErrorBody | undefined;
  /** Routers in users' programs that had not applied the change when the goal was settled without them. */
  readonly laggards?: readonly string[] | undefined;
  /** Timestamps. */
  readonly createdAt: number;
  readonly settledAt: number | undefined;
}

export interface LeaderRecord {
  /** Where the leading controller answers REST and long polls. */
  readonly address: string;
  readonly pid: number;
  readonly node: string;
  readonly startedAt: number;
}
