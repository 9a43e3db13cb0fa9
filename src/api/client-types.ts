/**
 * The client: what a program, a script or a test can ask of an instance. Types only; the client folder implements them.
 * The guarantee of every call that changes something: if it succeeds, the change was made and survives any crash; if it fails,
 * it may or may not have been made, and repeating it is safe.
 */
import type { App, Backend, Handles } from "./app-types.ts";
import type { BackendConfig, BackendConfigUpdate, Endpoint, HttpMethod } from "./config-types.ts";
import type { HandleFor } from "./handle-types.ts";

/** What a change wants to become true, and how far it is. */
export interface Goal {
  readonly id: string;
  readonly state: "pending" | "reached" | "superseded" | "failed";
  readonly progress?: { readonly done: number; readonly total: number } | undefined;
  /** While it is pending: what it waits for, one sentence. */
  readonly reason?: string | undefined;
  /** Who has not applied it yet: replicas, proxies, programs. */
  readonly laggards?: readonly string[] | undefined;
  readonly supersededBy?: string | undefined;
  readonly error?: { readonly code: string; readonly message: string } | undefined;
}

/**
 * How a call waits for its goal. Default `wait: "reached"`: resolves only with state "reached"; failed, superseded and timed-out
 * waits throw `ServeError` (`goal-failed`, `goal-superseded`, `goal-pending`; details.goalId).
 * `"saved"`: resolves at the durable answer. `goalId`: the idempotency key, drawn by the client library when absent; the same id
 * again is the same goal. A wait that ends does not end the goal.
 */
export interface Wait {
  readonly wait?: "reached" | "saved" | undefined;
  readonly goalId?: string | undefined;
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Where proxies answer HTTP. `location`: on no node, on nodes labelled `head`, on every node. */
export interface HttpConfig {
  readonly host: string;
  readonly port: number;
  readonly location: "none" | "head" | "every";
  readonly proxiesPerNode: number;
}

export interface ProcessStatus {
  readonly name: string;
  readonly kind: "agent" | "controller" | "proxy" | "replica";
  readonly node: string;
  readonly pid: number | undefined;
  readonly state: "starting" | "ready" | "draining" | "exited";
  /** Counts the processes of this name: 1, 2, … */
  readonly incarnation: number;
  readonly restarts: number;
  readonly uptimeMs: number;
  /** Of a replica whose `checkHealth()` fails, or that does not answer its agent; absent: it is healthy. */
  readonly health?: "unhealthy" | "stalled" | undefined;
  /** Its last error, or why it is not healthy, one sentence. */
  readonly error?: string | undefined;
}

export interface BackendStatus {
  readonly tag: string;
  /** What was set; the values of `env` are masked. */
  readonly config: BackendConfig;
  readonly replicas: { readonly wanted: number; readonly running: number };
  /** The newest goal of this backend while it is kept. */
  readonly goal: Goal | undefined;
  /** Why it is not as wanted, one sentence; absent when it is. */
  readonly reason?: string | undefined;
  /** SHA-256 of the code that it was created or last deployed with: its files, the lock file, args, nodeArgs and codeVersion. */
  readonly digest?: string | undefined;
  /** What its replicas load when they start: the files that were kept then, or (`maitred run`) what lies in the folder by now. */
  readonly codeFrom?: "kept" | "folder" | undefined;
  /** Which of its replicas run other code than that, one sentence each; absent when none does. */
  readonly drift?: readonly string[] | undefined;
}

export interface EndpointStatus {
  readonly tag: string;
  readonly route: string | undefined;
  readonly methods: readonly HttpMethod[] | undefined;
  /** Backend → share, 0 to 1. */
  readonly traffic: Readonly<Record<string, number>>;
  readonly shadows: Readonly<Record<string, number>>;
}

/** The whole instance, as `maitred status --json` prints it. Fields are added, never renamed. */
export interface Status {
  readonly schemaVersion: number;
  readonly instance: string;
  /** Why no change can be made now (the store takes no writes), and what to do; the rest is then what was saved last. */
  readonly problem?: string | undefined;
  readonly endpoints: readonly EndpointStatus[];
  readonly backends: readonly BackendStatus[];
  readonly goals: readonly Goal[];
  readonly processes: readonly ProcessStatus[];
  /** URLs that answer scrapes, one for each node; empty when nobody has asked for metrics. */
  readonly metrics: readonly string[];
}

/** One action that a change would cause, or the last decision about a thing. */
export interface PlannedAction {
  readonly action: string;
  readonly target: string;
  readonly reason: string;
}

export interface Explanation {
  readonly target: string;
  readonly reason: string;
  /** Wall clock, ISO 8601. */
  readonly timestamp: string;
}

/** A connection to an instance. `A`: the type of its app, which types `getHandle` by endpoint name. Every call throws `ServeError`. */
export interface Client<A = unknown> extends AsyncDisposable {
  /** Base URLs that answer HTTP: `http://127.0.0.1:8000`. */
  readonly urls: readonly string[];
  /** Throws `backend-exists` when the tag exists with another value; one whose creation failed is made anew. */
  createBackend<T>(tag: string, backend: Backend<T>, config?: BackendConfig<NoInfer<T>>, wait?: Wait): Promise<Goal>;
  /** Changes the fields that are named, leaves the others. null takes away what has no default to set: `{ cwd: null }`. */
  updateBackendConfig<T = unknown>(tag: string, config: BackendConfigUpdate<T>, wait?: Wait): Promise<Goal>;
  /** Replaces every replica, rolling. */
  restartBackend(tag: string, wait?: Wait): Promise<Goal>;
  /** Throws `backend-in-use` while an endpoint names it. `force`: kills the replicas instead of draining them. */
  deleteBackend(tag: string, options?: { force?: boolean | undefined } & Wait): Promise<Goal>;
  createEndpoint(tag: string, endpoint: Endpoint, wait?: Wait): Promise<Goal>;
  deleteEndpoint(tag: string, wait?: Wait): Promise<Goal>;
  /** Shares sum to 1 within 1e-5. Shadows stay as they are. */
  setTraffic(endpoint: string, weights: Readonly<Record<string, number>>, wait?: Wait): Promise<Goal>;
  /** Proportion 0 removes the shadow. */
  shadowTraffic(endpoint: string, backend: string, proportion: number, wait?: Wait): Promise<Goal>;
  /** The app must be the default export of the file that called `defineApp`. */
  deploy(app: App, wait?: Wait): Promise<Goal>;
  /** What `deploy(app)` would do, from the same decision, without doing it. */
  plan(app: App): Promise<readonly PlannedAction[]>;
  /** Last reason for a backend, endpoint, replica, proxy or goal. */
  explain(target: string): Promise<readonly Explanation[]>;
  getBackendConfig(tag: string): Promise<BackendConfig>;
  listBackends(): Promise<readonly BackendStatus[]>;
  listEndpoints(): Promise<readonly EndpointStatus[]>;
  listReplicas(backend?: string): Promise<readonly ProcessStatus[]>;
  listProxies(): Promise<readonly ProcessStatus[]>;
  getHttpConfig(): Promise<HttpConfig>;
  status(): Promise<Status>;
  /** Same outcome rules as `Wait`; an id that is not kept throws `goal-unknown`. */
  waitForGoal(
    id: string,
    options?: {
      timeoutMs?: number | undefined;
      signal?: AbortSignal | undefined;
      onProgress?: ((g: Goal) => void) | undefined;
    },
  ): Promise<Goal>;
  getHandle<K extends keyof Handles<A> & string>(endpoint: K): Handles<A>[K];
  getHandle<T = unknown>(endpoint: string): HandleFor<T>;
  /** Ends this connection; a non-detached instance that this client owns is ended and erased with it. Same as Symbol.asyncDispose. */
  close(): Promise<void>;
  /** Drains, stops every process, keeps the saved state. */
  stop(): Promise<void>;
  /** Stops and erases the instance. */
  shutdown(): Promise<void>;
}

export interface StartOptions {
  /** Default `{ host: "127.0.0.1", port: 8000, location: "head", proxiesPerNode: 1 }`; port 0 takes a free one. */
  readonly http?: { readonly [K in keyof HttpConfig]?: HttpConfig[K] | undefined } | undefined;
  /**
   * Answers `GET /metrics` for Prometheus there; default: nowhere. `{}` means host "127.0.0.1" and port 9464; port 0 takes a free one. A
   * port in use fails the start (`port-in-use`); any address beyond loopback asks for the instance's token. `status().metrics` says where.
   */
  readonly metrics?: { readonly host?: string | undefined; readonly port?: number | undefined } | undefined;
  /** Lives on when this program ends. Default false: the instance ends, and is erased, with the program. */
  readonly detached?: boolean | undefined;
  readonly instance?: string | undefined;
  readonly stateDir?: string | undefined;
}

export interface ConnectOptions {
  /** Default: `MAITRED_INSTANCE`, else the only one that is running. */
  readonly instance?: string | undefined;
  /** An instance on another machine: the URL of its REST listener; needs `token`. */
  readonly address?: string | undefined;
  readonly token?: string | undefined;
}
