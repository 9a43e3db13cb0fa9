/**
 * The configuration of a backend: its fields, defaults, what changing each costs, and the relations between fields.
 * Hard state keeps only what the user set (`BackendConfigInput`); `resolveBackendConfig` adds the defaults, here and nowhere else.
 */
import type { Json } from "./json.ts";

export interface Resources {
  /** Cores; default 0 = not counted. */
  readonly cpu: number;
  readonly memoryBytes: number;
}

export interface Autoscaling {
  readonly minReplicas: number;
  readonly maxReplicas: number;
  readonly targetQueriesPerReplica: number;
  readonly upDelayMs: number;
  readonly downDelayMs: number;
}

/** All fields, defaults filled in. */
export interface BackendConfig {
  readonly numReplicas: number;
  readonly maxConcurrentQueries: number;
  /** Queries of one router that may wait for this backend. */
  readonly maxQueuedQueries: number;
  /** Override what `batch()` declares in code. */
  readonly maxBatchSize: number | undefined;
  readonly batchWaitTimeoutMs: number | undefined;
  readonly userConfig: Json | undefined;
  /** After a drain begins a replica accepts late queries this long before it may exit idle. */
  readonly gracefulShutdownWaitLoopMs: number;
  /** A draining replica is killed after this. */
  readonly gracefulShutdownTimeoutMs: number;
  readonly startTimeoutMs: number;
  readonly maxStartAttempts: number;
  readonly healthCheckIntervalMs: number;
  readonly healthCheckTimeoutMs: number;
  readonly loopStallLimitMs: number;
  readonly maxSurge: number;
  readonly maxUnavailable: number;
  readonly resources: Resources;
  readonly autoscaling: Autoscaling | undefined;
  readonly env: Readonly<Record<string, string>>;
  readonly envFile: string | undefined;
  readonly cwd: string | undefined;
  readonly nodeArgs: readonly string[];
  readonly codeVersion: string | undefined;
}

export type BackendConfigField = keyof BackendConfig;

/** What the user set: some of the fields. Absent = default. */
export type BackendConfigInput = {
  readonly [K in BackendConfigField]?:
    | (K extends "resources" ? Partial<Resources> : K extends "autoscaling" ? Partial<Autoscaling> : BackendConfig[K])
    | undefined;
};

/** Fields without a default that could be set instead: an update takes them away by null. */
export const REMOVABLE_FIELDS = ["maxBatchSize", "batchWaitTimeoutMs", "envFile", "cwd", "codeVersion"] as const;

/** What an update says: a field that is absent stays as it is. */
export type BackendConfigUpdate = Omit<BackendConfigInput, (typeof REMOVABLE_FIELDS)[number]> & {
  readonly [K in (typeof REMOVABLE_FIELDS)[number]]?: BackendConfig[K] | null;
};

export const DEFAULT_BACKEND_CONFIG: BackendConfig = {
  numReplicas: 1,
  maxConcurrentQueries: 100,
  maxQueuedQueries: 1_000,
  maxBatchSize: undefined,
  batchWaitTimeoutMs: undefined,
  userConfig: undefined,
  gracefulShutdownWaitLoopMs: 200,
  gracefulShutdownTimeoutMs: 20_000,
  startTimeoutMs: 60_000,
  maxStartAttempts: 3,
  healthCheckIntervalMs: 5_000,
  healthCheckTimeoutMs: 5_000,
  loopStallLimitMs: 30_000,
  maxSurge: 1,
  maxUnavailable: 0,
  resources: { cpu: 0, memoryBytes: 0 },
  autoscaling: undefined,
  env: {},
  envFile: undefined,
  cwd: undefined,
  nodeArgs: [],
  codeVersion: undefined,
};

const DEFAULT_AUTOSCALING_DELAYS = { upDelayMs: 5_000, downDelayMs: 60_000 } as const;

/**
 * What a change of the field costs.
 * scale: replicas come or go · router: told to routers · replica: pushed to running replicas, acknowledged ·
 * controller: read when next needed · rolling: replicas are replaced.
 */
export const UPDATE_KIND: {
  readonly [K in BackendConfigField]: "scale" | "router" | "replica" | "controller" | "rolling";
} = {
  numReplicas: "scale",
  maxConcurrentQueries: "replica",
  maxQueuedQueries: "router",
  maxBatchSize: "replica",
  batchWaitTimeoutMs: "replica",
  userConfig: "replica",
  gracefulShutdownWaitLoopMs: "replica",
  gracefulShutdownTimeoutMs: "controller",
  startTimeoutMs: "controller",
  maxStartAttempts: "controller",
  healthCheckIntervalMs: "replica",
  healthCheckTimeoutMs: "replica",
  loopStallLimitMs: "replica",
  maxSurge: "controller",
  maxUnavailable: "controller",
  resources: "rolling",
  autoscaling: "scale",
  env: "rolling",
  envFile: "rolling",
  cwd: "rolling",
  nodeArgs: "rolling",
  codeVersion: "rolling",
};

/** Fills in the defaults: `resolveBackendConfig({ numReplicas: 2 }).maxConcurrentQueries` is 100. */
export const resolveBackendConfig = (input: BackendConfigInput): BackendConfig => {
  const set = Object.fromEntries(
    Object.entries(input).filter(([, value]) => value !== undefined),
  ) as Partial<BackendConfig>;
  const autoscaling =
    input.autoscaling === undefined ? undefined : { ...DEFAULT_AUTOSCALING_DELAYS, ...input.autoscaling };
  return {
    ...DEFAULT_BACKEND_CONFIG,
    ...set,
    resources: { ...DEFAULT_BACKEND_CONFIG.resources, ...input.resources },
    autoscaling: autoscaling as Autoscaling | undefined,
  };
};
