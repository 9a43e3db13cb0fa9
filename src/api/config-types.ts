/**
 * The configuration of a backend and of an endpoint as users write it. Types only: the values are checked, all problems
 * together, where the call enters (client, REST, CLI). Defaults are those of model/backend-config.ts.
 */
import type { HttpMethod } from "../model/endpoint.ts";
import type { InstanceOf } from "./target-types.ts";

export type { HttpMethod } from "../model/endpoint.ts";

type UserConfigOf<T> =
  InstanceOf<T> extends { reconfigure(config: infer U, ...rest: never[]): unknown }
    ? { userConfig: U }
    : { userConfig?: undefined };

export interface CommonConfig {
  /** Replica processes. Default 1. Setting it later takes the place of `autoscaling`. */
  readonly numReplicas?: number | undefined;
  /** Queries that one replica runs at a time, strictly. Default 100; at least `maxBatchSize`. */
  readonly maxConcurrentQueries?: number | undefined;
  /** Queries of one router (each proxy, each process with handles) that may wait for this backend; beyond it 503. Default 1000. */
  readonly maxQueuedQueries?: number | undefined;
  /** Overrides the size that `batch()` declares. Refused when the code declares no batch. */
  readonly maxBatchSize?: number | undefined;
  /** Overrides the wait that `batch()` declares. Refused when the code declares no batch. */
  readonly batchWaitTimeoutMs?: number | undefined;
  /** A replica that drains takes late queries for this long before it may end. Default 200. */
  readonly gracefulShutdownWaitLoopMs?: number | undefined;
  /** A draining replica is killed after this. Default 20 s. */
  readonly gracefulShutdownTimeoutMs?: number | undefined;
  /** Import, constructor, `start()` and first `reconfigure()` together. Default 60 s. */
  readonly startTimeoutMs?: number | undefined;
  /** Failed starts in a row after which the goal fails; also replacements in a row of new replicas that stay unhealthy. Default 3. */
  readonly maxStartAttempts?: number | undefined;
  /** Pause between two calls of `checkHealth()`. A replica whose check fails is replaced. Default 5 s. */
  readonly healthCheckIntervalMs?: number | undefined;
  /** A check that takes longer has failed. Default 5 s. */
  readonly healthCheckTimeoutMs?: number | undefined;
  /**
   * A replica that does not answer its agent for longer is killed and replaced: its event loop stands still, or it was stopped (a
   * breakpoint does that too). Above the longest synchronous handler. Default 30 s.
   */
  readonly loopStallLimitMs?: number | undefined;
  /** Replicas above `numReplicas` while they are replaced. Default 1. */
  readonly maxSurge?: number | undefined;
  /** Replicas below `numReplicas` while they are replaced. Default 0. */
  readonly maxUnavailable?: number | undefined;
  /**
   * What one replica needs of its node. A replica starts only where the needs of all replicas there, those on their way out included,
   * fit into the cpus and the memory of the node; otherwise it waits, and `status` and the goal say what is missing. Nothing is enforced
   * upon the process. A roll-out needs room for `maxSurge` more, or `maxUnavailable`. Default 0 each: not counted.
   */
  readonly resources?: { readonly cpu?: number | undefined; readonly memoryBytes?: number | undefined } | undefined;
  /**
   * Moves the wanted number of replicas between the bounds: as many as it takes for each to have at most the target of queries that run
   * or wait, over all routers. Excludes `numReplicas`; setting it later takes its place, and begins with the replicas that there are.
   */
  readonly autoscaling?:
    | {
        readonly minReplicas: number;
        readonly maxReplicas: number;
        readonly targetQueriesPerReplica: number;
        /** More replicas come when the load has asked for more all that time. Default 5 s. */
        readonly upDelayMs?: number | undefined;
        /** Fewer stay when the load has asked for fewer all that time. A new controller begins to count anew. Default 60 s. */
        readonly downDelayMs?: number | undefined;
      }
    | undefined;
  /** Added to the replica's environment, which is the agent's, then what `envFile` says, then this. Kept in plain text, masked in output: secrets belong in `envFile`. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /**
   * A file of `NAME=value` lines, read at each start of a replica. Relative to the app file, or to the program's folder. With it a digest
   * of what it holds is saved: naming it again, also by a deploy, replaces replicas when it holds something else by then.
   */
  readonly envFile?: string | undefined;
  /** Arguments of Node itself: `["--import", "tsx"]`. */
  readonly nodeArgs?: readonly string[] | undefined;
  /** Working directory of the replicas; default: where the instance was started. Relative as `envFile` is. */
  readonly cwd?: string | undefined;
  /** Part of the code's identity: another value is new code. */
  readonly codeVersion?: string | undefined;
}

/** `userConfig` has the type of the parameter of `reconfigure`, and is absent when the class has no `reconfigure`. */
export type BackendConfig<T = unknown> = CommonConfig &
  (unknown extends T
    ? { userConfig?: unknown }
    : Partial<UserConfigOf<T>> extends UserConfigOf<T>
      ? UserConfigOf<T>
      : Partial<UserConfigOf<T>>);

type Removable = "maxBatchSize" | "batchWaitTimeoutMs" | "envFile" | "cwd" | "codeVersion";

/** Some fields of a configuration; null takes one away that has no default to set instead. */
export type BackendConfigUpdate<T = unknown> = Omit<Partial<BackendConfig<T>>, Removable> & {
  readonly [K in Removable]?: CommonConfig[K] | null;
};

export interface EndpointCommon {
  /** `/iris`, `/users/:id`, `/api/*`; absent = reachable through handles only. */
  readonly route?: `/${string}` | undefined;
  /** Default: all. */
  readonly methods?: readonly HttpMethod[] | undefined;
  /** Cuts the matched prefix of a `*` route from the URL that the handler sees. Default false. */
  readonly stripPrefix?: boolean | undefined;
  /** Queries may run twice: all HTTP methods are tried again when a replica dies. Default false. */
  readonly idempotent?: boolean | undefined;
  /** Up to the last byte of the answer. Default 60 s. */
  readonly timeoutMs?: number | undefined;
  /** Methods that HTTP may call, by the header `x-serve-call-method`. Default none. */
  readonly expose?: readonly string[] | undefined;
}

/** Where queries come in and how they are split: one `backend`, or `traffic` with shares that sum to 1. */
export type Endpoint<B extends string = string> = EndpointCommon &
  (
    | { readonly backend: B; readonly traffic?: undefined }
    | { readonly traffic: { readonly [K in B]?: number }; readonly backend?: undefined }
  ) & {
    /** Backend → share of the queries (0 to 1) that is sent to it too, its answer dropped. */
    readonly shadows?: { readonly [K in B]?: number } | undefined;
  };
