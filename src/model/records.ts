/**
 * Hard state: what the controller saves before it answers. One store key per thing.
 * Values are JSON. `revision`s below are counters of the thing itself, not store revisions.
 */
import type { AppChange, AppEndpoint, AppPart } from "./app.ts";
import type { BackendConfigInput } from "./backend-config.ts";
import type { CodeIdentity, CodeRef } from "./code-ref.ts";
import type { Endpoint } from "./endpoint.ts";
import type { ErrorBody } from "./error-codes.ts";
import type { AppName, BackendTag, EndpointTag, GoalId, InstanceId, InstanceName } from "./ids.ts";
import type { Json } from "./json.ts";

/** Raised when a record changes shape; a controller that finds a higher one refuses to start (`schema-newer`). */
export const SCHEMA_VERSION = 1;

/** Nodes that have proxies. */
export const HTTP_LOCATIONS = ["none", "head", "every"] as const;

export interface HttpConfig {
  readonly host: string;
  readonly port: number;
  readonly location: (typeof HTTP_LOCATIONS)[number];
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
  /** SHA-256 of what its `envFile` held when that was set: another content of the same path is a change. Replicas read it at each start. */
  readonly envDigest?: string | undefined;
  /** Counts config changes; replicas acknowledge it. Starts at 1. */
  readonly configRevision: number;
  /** Counts changes that need new processes (rolling fields, restart, new code). Starts at 1. */
  readonly rollout: number;
  readonly deleting: { readonly force: boolean } | undefined;
  /** Set from its creation until a goal of it is reached: all that time its replicas have never all run. */
  readonly unproven?: true | undefined;
  /** The newest roll-out that was once complete. Until then a replica that cannot start, or is not healthy, stops the roll-out. */
  readonly provenRollout?: number | undefined;
  /** The newest configuration of that roll-out with which all its replicas once ran. */
  readonly provenRevision?: number | undefined;
  /** Kept from a change until what it made has run: what ran before, to be started again while the newest roll-out stands failed. */
  readonly proven?: ProvenVersion | undefined;
  /** The roll-out and configuration that failed and is not tried again before the next change, and why. */
  readonly stopped?: { readonly rollout: number; readonly configRevision: number; readonly why: string } | undefined;
  /** Replicas that were replaced because they could not do their work: how many in a row, of which roll-out and configuration, when the last. */
  readonly recovery?: Recovery | undefined;
  /** What its load asked for last, when it has `autoscaling`. */
  readonly autoscaled?: Autoscaled | undefined;
  /** The goal that is current for this backend; settled or not. */
  readonly goal: GoalId;
  /** The app that owns it: only that app's deploy may change its code, or bring it back to what the file says. */
  readonly app: AppName | undefined;
}

/** All that a replica of it is started from. */
export type ProvenVersion = Pick<BackendRecord, "code" | "identity" | "config" | "configRevision" | "rollout">;

export interface Autoscaled {
  readonly replicas: number;
  /** Queries that ran or waited then. */
  readonly queries: number;
}

export interface Recovery {
  readonly rollout: number;
  readonly configRevision: number;
  readonly count: number;
  /** Timestamp. */
  readonly at: number;
}

export interface EndpointRecord extends Endpoint {
  /** Counts changes of this endpoint. Starts at 1; goes on counting when a deleted tag is created again is not needed: goals name the goal id. */
  readonly revision: number;
  readonly goal: GoalId;
  readonly app: AppName | undefined;
}

/** What an app's file said at its last deploy: a field that it has not changed since keeps its live value at the next. */
export interface AppRecord {
  readonly name: AppName;
  readonly backends: Readonly<Record<BackendTag, Pick<BackendRecord, "code" | "config">>>;
  readonly endpoints: Readonly<Record<EndpointTag, AppEndpoint>>;
  /** The goal of the last deploy. */
  readonly goal: GoalId;
}

export type GoalState = "pending" | "reached" | "superseded" | "failed";

export interface GoalRecord {
  readonly id: GoalId;
  /** The call that opened it, in canonical JSON: the same id with another call is refused (`goal-id-reused`). */
  readonly call: Json;
  readonly subject:
    | AppPart
    | { readonly kind: "backend"; readonly tag: BackendTag; readonly until: "applied" }
    /** A deploy, reached when the goal of each part is; some may be left from a deploy that it superseded. */
    | {
        readonly kind: "app";
        readonly app: AppName;
        readonly changes: readonly AppChange[];
        readonly parts: readonly GoalId[];
      }
    | { readonly kind: "instance"; readonly until: "stopped" | "erased" };
  /** It is about one part of a deploy of this app. */
  readonly partOf?: AppName | undefined;
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
