/**
 * Actors: the processes that agents supervise by order of the controller, and what agents report of them.
 * An `Assignment` (hard state, written by the controller) is the record of the actor; an `ActorStatus` is what its agent saw last.
 */
import type { BackendConfig } from "./backend-config.ts";
import type { CodeIdentity, CodeRef } from "./code-ref.ts";
import type { ErrorBody } from "./error-codes.ts";
import type { ActorName, BackendTag, NodeName } from "./ids.ts";

/** `unix:/path/to.sock` or `tcp:host:port`. */
export type Address = `unix:${string}` | `tcp:${string}`;

export interface ReplicaSpec {
  readonly kind: "replica";
  readonly backend: BackendTag;
  readonly code: CodeRef;
  readonly identity: CodeIdentity | undefined;
  /** Resolved at the moment of the assignment's `configRevision`; the agent passes newer ones on to the running process. */
  readonly config: BackendConfig;
}

export interface ProxySpec {
  readonly kind: "proxy";
  readonly host: string;
  readonly port: number;
}

export type ActorSpec = ReplicaSpec | ProxySpec;

export type Intent =
  | { readonly kind: "run" }
  | { readonly kind: "drain"; readonly timeoutMs: number }
  | { readonly kind: "kill" };

export interface Assignment {
  readonly actor: ActorName;
  readonly node: NodeName;
  readonly spec: ActorSpec;
  /** Which roll-out of the backend this replica belongs to (BackendRecord.rollout); 0 for proxies. */
  readonly rollout: number;
  /** Which configuration of the backend the spec holds; the actor acknowledges it in its status. */
  readonly configRevision: number;
  readonly intent: Intent;
}

/**
 * unhealthy: the user's `checkHealth()` says so · stalled: the process lives and has not answered its agent for `loopStallLimitMs`, because
 * its event loop stands still or it was stopped; it serves nobody.
 */
export type Health = "healthy" | "unhealthy" | "stalled";

export type ActorState = "starting" | "ready" | "draining" | "exited";

export interface ActorStatus {
  readonly actor: ActorName;
  readonly node: NodeName;
  readonly kind: ActorSpec["kind"];
  readonly state: ActorState;
  readonly pid: number | undefined;
  /** Counts the processes of this name: 1, 2, … */
  readonly incarnation: number;
  /** Incarnation of the agent's node registration under which this row was written. */
  readonly nodeIncarnation: number;
  readonly address: Address | undefined;
  /** Config revision that the running process has applied; 0 = none yet. */
  readonly configRevision: number;
  /**
   * Why the last process ended, or why the last start or reconfigure failed: the user's error. Of a configuration that a
   * running replica refused (`reconfigure-failed`, `config-invalid`) `details.configRevision` says which revision that was.
   */
  readonly error: ErrorBody | undefined;
  /** Starts in a row that failed. */
  readonly failedStarts: number;
  /** Config revision that the newest process was started with, the one that a failed start was of; absent: that of the assignment. */
  readonly startedRevision?: number | undefined;
  /** Door and methods that the loaded code offers (replicas). */
  readonly offers: Offers | undefined;
  /** Digest of the code that the running process has loaded (replicas); computed as CodeIdentity.digest is. */
  readonly loadedDigest: string | undefined;
  readonly health: Health;
  /** What `checkHealth()` said, or for how long the process has been silent; absent: it is healthy. */
  readonly healthReason?: string | undefined;
  /** Timestamp of the current process's start. */
  readonly startedAt: number;
}

/** What loaded code can do. */
export interface Offers {
  readonly door: "function" | "call" | "fetch" | undefined;
  readonly methods: readonly string[];
  /** Whether the code declares any `batch()`. */
  readonly batches: boolean;
}

export interface NodeRecord {
  readonly node: NodeName;
  /** Counts registrations: one agent may need several, when its lease lapses or the store is opened anew. */
  readonly incarnation: number;
  /** Counts the agents of this node that have registered: 1, 2, … */
  readonly agentIncarnation: number;
  readonly pid: number;
  readonly hostname: string;
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly startedAt: number;
  /** Where it answers scrapes; absent: nowhere. */
  readonly metricsUrl?: string | undefined;
}
