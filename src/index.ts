/**
 * What `import … from "maitred"` gives: the words that user code is written in, and `serve`, the way to an instance.
 * A replica and a handler file import this too, so the client and all it needs (validation, HTTP) is loaded by the first
 * `serve.start` or `serve.connect` only.
 */
import type { Client, ConnectOptions, StartOptions } from "./api/api.ts";

export {
  type App,
  type Backend,
  type BackendConfig,
  type BackendConfigUpdate,
  type BackendStatus,
  type BatchContext,
  type BatchOptions,
  backend,
  backendFrom,
  batch,
  type CallOptions,
  type Client,
  type CommonConfig,
  type Context,
  context,
  defineApp,
  type Endpoint,
  type EndpointStatus,
  type Explanation,
  type FetchApp,
  type Goal,
  getHandle,
  type Handle,
  type Handles,
  type HttpConfig,
  type HttpMethod,
  type InstanceOf,
  type ModuleRef,
  type Ndjson,
  ndjson,
  type PlannedAction,
  type ProcessStatus,
  type Ref,
  ref,
  type Send,
  type ServeRequest,
  type Sse,
  type SseEvent,
  type StandardSchemaV1,
  type StartOptions,
  type Status,
  type Stream,
  sse,
  type Target,
  type UntypedHandle,
  type Wait,
} from "./api/api.ts";
export { HttpError, ServeError } from "./base/serve-error.ts";

export const serve = {
  /** Starts an instance on this machine, or goes on with the one of this name, and connects to it. `A`: the type of its app. */
  async start<A = unknown>(options: StartOptions = {}): Promise<Client<A>> {
    const { startInstance } = await import("./main/program.ts");
    return (await startInstance(options)) as Client<A>;
  },

  /** Connects to an instance that runs. Throws `instance-unknown` when there is none, `instance-ambiguous` when several run. */
  async connect<A = unknown>(options: ConnectOptions = {}): Promise<Client<A>> {
    const { connectInstance } = await import("./main/program.ts");
    return (await connectInstance(options)) as Client<A>;
  },
};
