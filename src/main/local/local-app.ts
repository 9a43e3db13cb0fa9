/**
 * An app in this process: a replica for each backend, routers, and a proxy when HTTP is wanted, put together as in processes of their
 * own. Calls may be made before it has started: they wait, and fail with the error of a start that fails. Writes no files.
 */
import { createLightLog } from "../../adapters/light-log.ts";
import { createMemoryTransport } from "../../adapters/memory-transport.ts";
import { nodeModuleLoader } from "../../adapters/module-loader.ts";
import { createSystemClock } from "../../adapters/system-clock.ts";
import { createSystemRandom } from "../../adapters/system-random.ts";
import {
  type App,
  type CallerFactory,
  callTracing,
  currentQuery,
  failedCall,
  type LocalAppScope,
  OpenCall,
  openLocalApp,
} from "../../api/api.ts";
import { suggestion } from "../../base/did-you-mean.ts";
import { isServeError, messageOf, ServeError } from "../../base/serve-error.ts";
import { Meters } from "../../core/metrics/meters.ts";
import { LOCAL_TIMER_HOLD_MS } from "../../model/limits.ts";
import type { EndpointClosure, ReplicaEntry } from "../../model/longpoll.ts";
import type { EndpointRecord } from "../../model/records.ts";
import type { CodeLoader } from "../../ports/module-loader.ts";
import { createHandleCallers, type HandleCallers, Router } from "../../router/router.ts";
import {
  type LocalPorts,
  type LocalProxy,
  type LocalReplica,
  startLocalProxy,
  startLocalReplica,
} from "./local-actors.ts";
import { type LocalBackendPlan, type LocalPlan, planLocal } from "./local-plan.ts";
import { LocalPublisher } from "./local-publisher.ts";

export interface LocalAppOptions {
  /** Whether `getHandle` in code that belongs to no app means this one. */
  readonly reach: "process" | "own code";
  /** Where relative paths of its modules begin. */
  readonly folder: string;
}

export class LocalApp {
  readonly #app: App;
  readonly #plan: LocalPlan;
  readonly #ports: LocalPorts;
  readonly #options: LocalAppOptions;
  readonly #instanceId: string;
  readonly #publisher = new LocalPublisher();
  readonly #router: Router;
  readonly #calls: HandleCallers;
  readonly #scope: LocalAppScope;
  readonly #replicas: LocalReplica[] = [];
  #proxy: { readonly role: LocalProxy; readonly router: Router } | undefined;
  #start: Promise<void> | undefined;
  #close: Promise<void> | undefined;
  #hasStarted = false;
  #failure: ServeError | undefined;
  /** Called when the start fails: calls that wait for it. */
  readonly #waiting = new Set<(failure: ServeError) => void>();

  /** @throws ServeError what is wrong with the app, without running any of its code. */
  constructor(app: App, options: LocalAppOptions) {
    this.#app = app;
    this.#options = options;
    this.#plan = planLocal(app, options.folder);
    const clock = createSystemClock({ unrefFromMs: LOCAL_TIMER_HOLD_MS });
    const random = createSystemRandom();
    const env = { ...process.env, MAITRED_LOG_LEVEL: process.env["MAITRED_LOG_LEVEL"] ?? "error" };
    const log = createLightLog({ fields: { process: "local" }, env });
    this.#ports = { clock, random, log, transport: createMemoryTransport(), meters: new Meters() };
    this.#instanceId = random.id();
    this.#router = this.#newRouter("program");
    const words = {
      openCall: (cancel: (reason: unknown) => void) => this.#openCall(cancel),
      currentQuery,
      ...callTracing,
    };
    this.#calls = createHandleCallers(this.#router, words, this.#ports);
    this.#scope = openLocalApp(this.callers, options.reach);
  }

  /** Loads all code. Once; a start that failed stays failed, with everything closed. */
  start(): Promise<void> {
    this.#start ??= this.#startOnce();
    return this.#start;
  }

  /** Answers the port. After `start`. */
  async listen(host: string, port: number): Promise<number> {
    const router = this.#newRouter("proxy");
    const at = { instanceId: this.#instanceId, host, port };
    this.#proxy = { role: await startLocalProxy({ ...this.#ports, router }, at), router };
    return this.#proxy.role.port;
  }

  /** Ends what is open with `no-instance`, drains the replicas and calls the `close()` of their code. */
  close(): Promise<void> {
    this.#close ??= this.#closeOnce();
    return this.#close;
  }

  readonly callers: CallerFactory = (endpoint) => {
    const calls = this.#calls(endpoint);
    return {
      callMethod: (...call) => {
        const refusal = this.#refusal(endpoint);
        return refusal === undefined ? calls.callMethod(...call) : failedCall(refusal);
      },
      callDoor: (...call) => {
        const refusal = this.#refusal(endpoint);
        return refusal === undefined ? calls.callDoor(...call) : failedCall(refusal);
      },
      fetch: (...call) => {
        const refusal = this.#refusal(endpoint);
        return refusal === undefined ? this.#orFailedStart(calls.fetch(...call)) : Promise.reject(refusal);
      },
    };
  };

  async #startOnce(): Promise<void> {
    this.#router.start();
    const started = await Promise.allSettled(
      this.#plan.backends.map(async (plan, index) => {
        const replica = await this.#startReplica(plan, index + 1);
        this.#replicas.push(replica);
        return [plan.tag, replica.entry] as const;
      }),
    );
    const failed = started.find((result) => result.status === "rejected");
    if (failed !== undefined) {
      this.#fail(failed.reason);
      await this.close();
      throw this.#failure;
    }
    this.#hasStarted = true;
    this.#waiting.clear();
    const entries = new Map<string, ReplicaEntry>(
      started.flatMap((result) => (result.status === "fulfilled" ? [result.value] : [])),
    );
    this.#publisher.publish(this.#plan.endpoints.map((endpoint) => closureOf(endpoint, this.#plan.backends, entries)));
  }

  #startReplica(plan: LocalBackendPlan, ordinal: number): Promise<LocalReplica> {
    const ports = { ...this.#ports, loader: this.#loader, callers: this.callers, scope: this.#scope };
    return startLocalReplica(ports, plan, { instanceId: this.#instanceId, ordinal });
  }

  async #closeOnce(): Promise<void> {
    this.#scope.close();
    this.#proxy?.role.stop();
    this.#proxy?.router.stop();
    this.#router.stop();
    await Promise.all(this.#replicas.map((replica) => replica.close()));
  }

  /** The app itself is here; the modules that it names are imported. */
  get #loader(): CodeLoader {
    const files = nodeModuleLoader();
    return {
      load: async (url) => (url === this.#plan.appUrl ? { default: this.#app } : files.load(url)),
      // The process is the user's: nothing watches over its imports.
      digest: async () => undefined,
    };
  }

  #newRouter(kind: "program" | "proxy"): Router {
    const identity = { instanceId: this.#instanceId, peer: `local ${kind}`, kind, follow: "all" } as const;
    return new Router({ ...this.#ports, poll: this.#publisher }, identity);
  }

  #fail(error: unknown): void {
    this.#failure = isServeError(error) ? error : new ServeError("internal", messageOf(error), { cause: error });
    for (const fail of this.#waiting) fail(this.#failure);
    this.#waiting.clear();
  }

  /** Why no call to the endpoint can be made. Its app is all there is: nothing to wait for. */
  #refusal(endpoint: string): ServeError | undefined {
    if (this.#failure !== undefined) return this.#failure;
    const known = this.#plan.endpoints.map(({ tag }) => tag);
    if (known.some((tag) => tag === endpoint)) {
      if (!this.#hasStarted && this.#close === undefined) void this.start().catch(() => {});
      return undefined;
    }
    const hint = this.#options.reach === "process" ? "" : " localHandle() knows one; startLocal() serves a whole app.";
    return new ServeError(
      "endpoint-unknown",
      `no endpoint of this app is called "${endpoint}"; it has ${known.map((tag) => `"${tag}"`).join(", ") || "none"}.${suggestion(endpoint, known)}${hint}`,
      { details: { endpoint } },
    );
  }

  #openCall(cancel: (reason: unknown) => void): OpenCall {
    const call = new OpenCall(cancel);
    if (!this.#hasStarted) {
      const fail = (failure: ServeError) => call.reject(failure);
      this.#waiting.add(fail);
      const ended = () => void this.#waiting.delete(fail);
      call.result.then(ended, ended);
    }
    return call;
  }

  #orFailedStart(response: Promise<Response>): Promise<Response> {
    if (this.#hasStarted) return response;
    return new Promise((resolve, reject) => {
      this.#waiting.add(reject);
      response.then(resolve, reject).finally(() => this.#waiting.delete(reject));
    });
  }
}

const closureOf = (
  { tag, spec, traffic, shadows }: EndpointRecord,
  backends: readonly LocalBackendPlan[],
  entries: ReadonlyMap<string, ReplicaEntry>,
): EndpointClosure => ({
  ...{ tag, spec, traffic, shadows },
  backends: Object.fromEntries(
    backends
      .filter((backend) => backend.tag in traffic || backend.tag in shadows)
      .map(({ tag: backend, config: { maxConcurrentQueries, maxQueuedQueries } }) => {
        const entry = entries.get(backend);
        return [backend, { maxConcurrentQueries, maxQueuedQueries, replicas: entry === undefined ? [] : [entry] }];
      }),
  ),
});
