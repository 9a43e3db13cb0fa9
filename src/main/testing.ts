/**
 * `import … from "maitred/testing"`: an app, or a single function, class or object, served in the process of a test. Nothing is spawned
 * and nothing is written. What runs is what runs in an instance: the same doors, codec, router and proxy, so values are copied, errors
 * are ServeErrors, streams stream and deadlines end. What needs processes does not: one replica a backend whatever `numReplicas` says, no
 * `env`, `envFile`, `nodeArgs` or `cwd`, and nobody restarts anything.
 */
import {
  type App,
  type ArgsField,
  type Backend,
  type BackendConfig,
  createHandle,
  defineApp,
  type Handle,
  type Handles,
  isApp,
  type Target,
  type Unwrap,
} from "../api/api.ts";
import { isName } from "../model/ids.ts";
import { LocalApp } from "./local/local-app.ts";
import { folderOf } from "./local/local-plan.ts";

/** `args`: of the constructor, for a class that takes some: JSON, or `ref()`. */
export type TargetOptions<T> = {
  /** As for `createBackend`. */
  readonly config?: BackendConfig<NoInfer<Unwrap<T>>> | undefined;
  // biome-ignore lint/suspicious/noExplicitAny: matches every Backend.
} & (T extends Backend<any> ? { readonly args?: undefined } : ArgsField<NoInfer<T>>);

export interface ListenOptions {
  /** Default 127.0.0.1. */
  readonly host?: string | undefined;
  /** Default 0: a free one. */
  readonly port?: number | undefined;
}

/** Nothing must be given unless the constructor has arguments that must. */
type Optional<O> = Partial<O> extends O ? [options?: O] : [options: O];

/** A handle that owns what it calls: `await using` drains it and calls its `close()`. */
export type LocalHandle<T> = Handle<Unwrap<T>> & AsyncDisposable;

interface LocalServer extends AsyncDisposable {
  /** `http://127.0.0.1:40123` */
  readonly url: string;
  /** Ends open calls, drains the replicas, calls the code's `close()`. Same as Symbol.asyncDispose. */
  close(): Promise<void>;
}

export interface LocalAppServer<A> extends LocalServer {
  /** Throws nothing; a call to an endpoint that the app does not have fails with `endpoint-unknown`. */
  handle<K extends keyof Handles<A> & string>(endpoint: K): Handles<A>[K];
}

export interface LocalTargetServer<T> extends LocalServer {
  handle(): Handle<Unwrap<T>>;
}

/**
 * Serves in this process: HTTP at `url`, handles by `handle()`. Takes what an app file exports as default, or a `backend({ … })`; a
 * single function, class or object answers every path. `getHandle()` and `ref()` in the code lead to the app's own endpoints.
 * @throws ServeError as `maitred run` does: what is wrong with the app, `start-failed`, `port-in-use` …
 */
export function startLocal<A extends App>(app: A, options?: ListenOptions): Promise<LocalAppServer<A>>;
export function startLocal<T extends Target>(
  target: T,
  ...options: Optional<TargetOptions<T> & ListenOptions>
): Promise<LocalTargetServer<T>>;
export async function startLocal(
  target: Target,
  options: LooseOptions & ListenOptions = {},
): Promise<LocalAppServer<unknown> & LocalTargetServer<unknown>> {
  const { host = "127.0.0.1", port = 0, ...entry } = options;
  const single = isApp(target) ? undefined : appOf(target, entry);
  const app = single?.app ?? (target as App);
  const folder = single === undefined ? folderOf(app) : process.cwd();
  const local = new LocalApp(app, { reach: "process", folder });
  try {
    await local.start();
    const shownHost = host.includes(":") ? `[${host}]` : host;
    const url = `http://${shownHost}:${await local.listen(host, port)}`;
    const close = () => local.close();
    const handle = (endpoint: string = single?.name ?? "") => createHandle(endpoint, local.callers(endpoint)) as never;
    return { url, handle, close, [Symbol.asyncDispose]: close };
  } catch (error) {
    await local.close();
    throw error;
  }
}

/**
 * A handle of code in this process, typed as the real one and behaving as it: for unit tests, and for handles that constructors take:
 * `new Search(localHandle(new Embedder()), 3)`. An object is used as it is; a class is made with `args`. Its `start()` runs before the
 * first call. A start that fails fails the calls.
 * @throws ServeError `target-invalid`, `config-invalid` …: what is wrong with the target or its options
 */
export function localHandle<T extends Target>(target: T, ...options: Optional<TargetOptions<T>>): LocalHandle<T>;
export function localHandle(target: Target, options: LooseOptions = {}): LocalHandle<unknown> {
  const { name, app } = appOf(target, options);
  const local = new LocalApp(app, { reach: "own code", folder: process.cwd() });
  return createHandle(name, local.callers(name), () => local.close()) as unknown as LocalHandle<unknown>;
}

interface LooseOptions {
  readonly args?: readonly unknown[] | undefined;
  readonly config?: BackendConfig | undefined;
}

/** An app of one backend and one endpoint, both named after the code: the name stands in errors. */
function appOf(target: Target, { args, config }: LooseOptions): { readonly name: string; readonly app: App } {
  const name = nameOf(target);
  const run = { run: target, ...(args === undefined ? {} : { args }), ...(config === undefined ? {} : { config }) };
  const app = defineApp({
    backends: { [name]: run as { readonly run: Target } },
    endpoints: { [name]: { backend: name, route: "/*" } },
  } as never);
  return { name, app };
}

const UNNAMED = "local";

function nameOf(target: Target): string {
  const { name } =
    typeof target === "function" ? target : ((target.constructor as { name?: unknown } | undefined) ?? {});
  return typeof name === "string" && name !== "Object" && isName(name) ? name : UNNAMED;
}
