/**
 * The client of an instance: every call of the public API, over REST, and handles over a router of this process.
 * Calls that change something wait for their goal unless told otherwise; a controller that dies meanwhile is waited for.
 */
import type {
  App,
  Backend,
  BackendConfig,
  BackendConfigUpdate,
  BackendStatus,
  Client,
  Endpoint,
  EndpointStatus,
  Explanation,
  Goal,
  HandleFor,
  Handles,
  HttpConfig,
  PlannedAction,
  ProcessStatus,
  Status,
  Wait,
} from "../api/api.ts";
import { checkEndpointTag } from "../api/api.ts";
import { suggestion } from "../base/did-you-mean.ts";
import { ServeError } from "../base/serve-error.ts";
import type { Goal as FullGoal } from "../model/calls.ts";
import { CONTROL_RETRY_INTERVAL_MS, SERVING_TIMEOUT_MS } from "../model/limits.ts";
import type { Status as FullStatus } from "../model/status.ts";
import { type AppPlan, deployBodyOf } from "./app-plan.ts";
import { codeBodyOf, withPaths } from "./code.ts";
import { Control, type ControlPorts, type Wait as ControlWait } from "./control.ts";
import { type ExportedAppPorts, planOfExported } from "./exported-app.ts";
import { jsonBody } from "./json-values.ts";

export { type AppPlan, planApp } from "./app-plan.ts";
export { Control, type ControlPorts, type Wait } from "./control.ts";

/** `lost`: nobody had told it to. */
export type InstanceEnd = "told to end" | "lost";

export interface ClientPorts extends ControlPorts, ExportedAppPorts {
  /** A handle of an endpoint, typed by the caller; opens the router at its first call. */
  readonly handle: (endpoint: string) => unknown;
  /** Ends router and links of this process. */
  readonly disconnect: () => Promise<void>;
  /** Resolves when nothing of the instance is left on this machine. */
  readonly untilGone: (signal?: AbortSignal) => Promise<InstanceEnd>;
  /** The same after it was told to end: whatever dies meanwhile, it does. */
  readonly untilEnded: () => Promise<unknown>;
  /** This client started the instance and it is not detached. */
  readonly owned: boolean;
}

/** `/v1/backends/iris/config` → `backend "iris"`. */
const subjectOf = (path: string): string => {
  const [, , kind, tag] = path.split("/");
  return `${kind?.replace(/s$/, "")} ${JSON.stringify(decodeURIComponent(tag ?? ""))}`;
};

const tagPath = (kind: "backends" | "endpoints", tag: string): string => `/v1/${kind}/${encodeURIComponent(tag)}`;

export class ServeClient<A = unknown> implements Client<A> {
  readonly #ports: ClientPorts;
  readonly #control: Control;
  #urls: readonly string[] = [];
  #closed = false;

  private constructor(ports: ClientPorts) {
    this.#ports = ports;
    this.#control = new Control(ports);
  }

  /** Resolves when the instance has answered. */
  static async connect<A>(ports: ClientPorts, signal?: AbortSignal): Promise<ServeClient<A>> {
    const client = new ServeClient<A>(ports);
    client.#urls = (await client.#control.read<FullStatus>("/v1/status", signal)).urls;
    return client;
  }

  get urls(): readonly string[] {
    return this.#urls;
  }

  async createBackend<T>(
    tag: string,
    backend: Backend<T>,
    config?: BackendConfig<NoInfer<T>>,
    wait?: Wait,
  ): Promise<Goal> {
    const code = codeBodyOf(backend, `backend "${tag}"`);
    return this.#change(
      "PUT",
      tagPath("backends", tag),
      { ...code, ...(config === undefined ? {} : { config: withPaths(config, ".") }) },
      wait,
    );
  }

  /** createEndpoint with a body that is already REST's. */
  createEndpointFrom(tag: string, body: object, wait?: Wait): Promise<Goal> {
    return this.#change("PUT", tagPath("endpoints", tag), body, wait);
  }

  /** Resolves when a proxy listens, so that `urls` says where; at once where none is wanted, and after a bounded time in any case. */
  async untilServing(): Promise<void> {
    const { clock } = this.#ports;
    const giveUp = clock.now() + SERVING_TIMEOUT_MS;
    const { location, proxiesPerNode } = await this.getHttpConfig();
    if (location === "none" || proxiesPerNode === 0) return;
    for (;;) {
      await this.status();
      if (this.#urls.length > 0 || clock.now() >= giveUp) return;
      await new Promise<void>((resolve) => {
        clock.after(CONTROL_RETRY_INTERVAL_MS, resolve);
      });
    }
  }

  /** Resolves when nothing of the instance is left on this machine. */
  untilGone(signal?: AbortSignal): Promise<InstanceEnd> {
    return this.#ports.untilGone(signal);
  }

  updateBackendConfig<T = unknown>(tag: string, config: BackendConfigUpdate<T>, wait?: Wait): Promise<Goal> {
    return this.#change("PATCH", `${tagPath("backends", tag)}/config`, withPaths(config, "."), wait);
  }

  restartBackend(tag: string, wait?: Wait): Promise<Goal> {
    return this.#change("POST", `${tagPath("backends", tag)}/restart`, undefined, wait);
  }

  deleteBackend(tag: string, options: { force?: boolean | undefined } & Wait = {}): Promise<Goal> {
    return this.#change("DELETE", `${tagPath("backends", tag)}?force=${options.force === true}`, undefined, options);
  }

  createEndpoint(tag: string, endpoint: Endpoint, wait?: Wait): Promise<Goal> {
    return this.createEndpointFrom(tag, endpoint, wait);
  }

  deleteEndpoint(tag: string, wait?: Wait): Promise<Goal> {
    return this.#change("DELETE", tagPath("endpoints", tag), undefined, wait);
  }

  setTraffic(endpoint: string, weights: Readonly<Record<string, number>>, wait?: Wait): Promise<Goal> {
    return this.#change("PUT", `${tagPath("endpoints", endpoint)}/traffic`, { weights }, wait);
  }

  shadowTraffic(endpoint: string, backend: string, proportion: number, wait?: Wait): Promise<Goal> {
    const path = `${tagPath("endpoints", endpoint)}/shadows/${encodeURIComponent(backend)}`;
    return this.#change("PUT", path, { proportion }, wait);
  }

  async deploy(app: App, wait?: Wait): Promise<Goal> {
    return this.deployPlan(await planOfExported(this.#ports, app), wait);
  }

  /** deploy of an app file that another process has read. */
  deployPlan(plan: AppPlan, wait?: ControlWait): Promise<FullGoal> {
    const path = `/v1/apps/${encodeURIComponent(plan.name)}`;
    return this.#control.change({ method: "PUT", path, body: deployBodyOf(plan) }, wait);
  }

  async plan(app: App): Promise<readonly PlannedAction[]> {
    return this.planOf(await planOfExported(this.#ports, app));
  }

  /** plan of an app file that another process has read. */
  planOf(plan: AppPlan): Promise<readonly PlannedAction[]> {
    return this.#control.ask("/v1/plan", { kind: "deploy", app: plan.name, ...deployBodyOf(plan) });
  }

  explain(target: string): Promise<readonly Explanation[]> {
    return this.#control.read(`/v1/explain/${encodeURIComponent(target)}`);
  }

  async getBackendConfig(tag: string): Promise<BackendConfig> {
    const backends = await this.listBackends();
    const found = backends.find((backend) => backend.tag === tag);
    if (found === undefined) {
      const near = suggestion(
        tag,
        backends.map((backend) => backend.tag),
      );
      throw new ServeError("backend-unknown", `backend "${tag}" does not exist.${near}`, { details: { tag } });
    }
    return found.config;
  }

  async listBackends(): Promise<readonly BackendStatus[]> {
    return (await this.status()).backends;
  }

  async listEndpoints(): Promise<readonly EndpointStatus[]> {
    return (await this.status()).endpoints;
  }

  async listReplicas(backend?: string): Promise<readonly ProcessStatus[]> {
    const replicas = (await this.status()).processes.filter((process) => process.kind === "replica");
    return backend === undefined ? replicas : replicas.filter((process) => process.name.startsWith(`${backend}#`));
  }

  async listProxies(): Promise<readonly ProcessStatus[]> {
    return (await this.status()).processes.filter((process) => process.kind === "proxy");
  }

  getHttpConfig(): Promise<HttpConfig> {
    return this.#control.read("/v1/http-config");
  }

  async status(): Promise<Status> {
    const status = await this.#control.read<FullStatus>("/v1/status");
    this.#urls = status.urls;
    return status as Status;
  }

  waitForGoal(
    id: string,
    options?: {
      timeoutMs?: number | undefined;
      signal?: AbortSignal | undefined;
      onProgress?: ((goal: Goal) => void) | undefined;
    },
  ): Promise<Goal> {
    return this.#control.waitForGoal(id, options);
  }

  getHandle<K extends keyof Handles<A> & string>(endpoint: K): Handles<A>[K];
  getHandle<T = unknown>(endpoint: string): HandleFor<T>;
  getHandle(endpoint: string): never {
    checkEndpointTag("getHandle", endpoint);
    return this.#ports.handle(endpoint) as never; // typed by the overloads
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#ports.owned && !this.#ports.isGone()) await this.#end("shutdown");
    await this.#ports.disconnect();
    this.#ports.transport.close();
  }

  async stop(): Promise<void> {
    await this.#end("stop");
  }

  async shutdown(): Promise<void> {
    await this.#end("shutdown");
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** The call is durable when it is answered; then the instance ends, and with it whoever could say so. */
  async #end(kind: "stop" | "shutdown"): Promise<void> {
    await this.#control.change({ method: "POST", path: `/v1/${kind}` }, { wait: "saved" });
    await this.#ports.untilEnded();
  }

  async #change(method: "PUT" | "POST" | "PATCH" | "DELETE", path: string, body: unknown, wait?: Wait): Promise<Goal> {
    const json = body === undefined ? {} : { body: jsonBody(body, subjectOf(path)) };
    return this.#control.change({ method, path, ...json }, wait);
  }
}
