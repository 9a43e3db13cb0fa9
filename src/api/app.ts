/**
 * The words of an app file: where code lies (`backend`, `backendFrom`), handles (`getHandle`, `ref`) and what ties them together
 * (`defineApp`). Nothing is loaded, connected or checked against an instance here: whoever takes an app (`run`, `deploy`, a
 * replica) reads it through `appDefinitionOf` and `backendRefOf`.
 * The marks hang on `Symbol.for`, so an app made by another copy of the package is an app.
 */
import { getCallSites } from "node:util";
import { suggestion } from "../base/did-you-mean.ts";
import { ServeError } from "../base/serve-error.ts";
import { DEFAULT_BACKEND_CONFIG } from "../model/backend-config.ts";
import { isName, NAME_RULE } from "../model/ids.ts";
import type { App, ArgsField, Backend, Entry, Known, ModuleRef, ModuleSpec } from "./app-types.ts";
import type { Caller } from "./caller.ts";
import type { BackendConfig, Endpoint } from "./config-types.ts";
import { createHandle } from "./handle.ts";
import type { Handle, HandleFor, Ref } from "./handle-types.ts";
import { failedCall } from "./open-call.ts";
import { currentCallers } from "./process-record.ts";
import type { Target } from "./target-types.ts";

const BACKEND = Symbol.for("maitred/Backend");
const APP = Symbol.for("maitred/App");

const BACKEND_KEYS: readonly string[] = ["module", "export", "args"];
const APP_KEYS: readonly string[] = ["name", "backends", "endpoints"];
const ENTRY_KEYS: readonly string[] = ["run", "args", "config"];

/** What `backend()` was given, defaults filled in. */
export interface BackendRef {
  /** A URL's text, or the path as it was given. */
  readonly module: string;
  readonly export: string;
  readonly args: readonly unknown[];
}

/**
 * Code in a module that only the replicas import; `T` checks the constructor's arguments:
 * `backend<typeof Iris>({ module: new URL("./iris.ts", import.meta.url), export: "Iris", args: ["v1.onnx"] })`.
 * @throws ServeError `config-invalid`
 */
export function backend<T extends Target>(ref: ModuleRef & ArgsField<T>): Backend<T> {
  const { module, export: exportName = "default", args = [] } = ref as ModuleRef & { args?: readonly unknown[] };
  const problems: string[] = [];
  for (const key of Object.keys(ref)) {
    if (BACKEND_KEYS.includes(key)) continue;
    problems.push(`unknown key "${key}".${suggestion(key, BACKEND_KEYS)}`);
  }
  if (!(module instanceof URL) && (typeof module !== "string" || module === "")) {
    problems.push(
      `module must be a URL or a path, such as new URL("./iris.ts", import.meta.url); got ${typeof module}`,
    );
  }
  if (typeof exportName !== "string" || exportName === "") {
    problems.push(`export must be the name of an export, got ${typeof exportName}`);
  }
  if (!Array.isArray(args)) problems.push(`args must be an array, got ${typeof args}`);
  if (problems.length > 0) throw new ServeError("config-invalid", `backend(): ${problems.join("; ")}`);
  const made: BackendRef = { module: String(module), export: exportName, args: Object.freeze([...args]) };
  return Object.freeze({ ...made, [BACKEND]: true }) as unknown as Backend<T>;
}

/** `backendFrom<typeof import("./iris.ts")>()({...})`: checks the name of the export and its arguments, infers the type. */
export function backendFrom<M>(): <const S extends ModuleSpec<M>>(spec: S) => Backend<M[S["export"] & keyof M]> {
  return (spec) => backend(spec as unknown as ModuleRef & ArgsField<object>) as unknown as never;
}

/** What stands behind a value that `backend()` made; undefined for every other value. */
export const backendRefOf = (value: unknown): BackendRef | undefined =>
  marked(value, BACKEND) === true ? (value as BackendRef) : undefined;

/**
 * A handle, as a constructor argument: the replica's constructor receives the handle itself.
 * @throws ServeError `tag-invalid`
 */
export function ref<T>(endpoint: string): Ref<Handle<T>> {
  checkEndpointTag("ref", endpoint);
  return Object.freeze({ $endpoint: endpoint });
}

/** The endpoint of a `ref()`, also as JSON, where people write `{"$ref": "embed"}`; undefined for every other value. */
export function refEndpointOf(value: unknown): string | undefined {
  if (typeof value !== "object" || value === null || Object.keys(value).length !== 1) return undefined;
  const { $endpoint, $ref } = value as { readonly $endpoint?: unknown; readonly $ref?: unknown };
  const endpoint = $endpoint ?? $ref;
  return typeof endpoint === "string" ? endpoint : undefined;
}

export const isRef = (value: unknown): boolean => refEndpointOf(value) !== undefined;

/** Constructor arguments with a handle in the place of each `Ref`. */
export const resolveRefs = (args: readonly unknown[]): readonly unknown[] =>
  args.map((arg) => {
    const endpoint = refEndpointOf(arg);
    return endpoint === undefined ? arg : getHandle(endpoint);
  });

/**
 * A handle inside a replica: synchronous and lazy, so it works at module level. Its calls throw `no-instance` in a process that is
 * not connected to an instance; there use `client.getHandle`.
 * @throws ServeError `tag-invalid`
 */
export function getHandle<T = unknown>(endpoint: string): HandleFor<T> {
  checkEndpointTag("getHandle", endpoint);
  return createHandle<T>(endpoint, lazyCaller(endpoint));
}

/** Asks for the installed caller at each call: handles are made before a replica is connected. */
function lazyCaller(endpoint: string): Caller {
  let factory: ((endpoint: string) => Caller) | undefined;
  let caller: Caller | undefined;
  const find = (): Caller | undefined => {
    const installed = currentCallers();
    if (installed !== factory) {
      factory = installed;
      caller = installed?.(endpoint);
    }
    return caller;
  };
  return {
    callMethod: (...call) => find()?.callMethod(...call) ?? failedCall(noInstance(endpoint)),
    callDoor: (...call) => find()?.callDoor(...call) ?? failedCall(noInstance(endpoint)),
    fetch: (...call) => find()?.fetch(...call) ?? Promise.reject(noInstance(endpoint)),
  };
}

const noInstance = (endpoint: string): ServeError =>
  new ServeError(
    "no-instance",
    `endpoint "${endpoint}": this process is not connected to an instance. getHandle() works inside replicas; in a program use client.getHandle("${endpoint}") of serve.start() or serve.connect().`,
    { details: { endpoint } },
  );

/** @throws ServeError `tag-invalid`, where the name is written: a router that asked for it would be refused all that it asks for. */
export function checkEndpointTag(word: string, endpoint: unknown): void {
  if (typeof endpoint === "string" && isName(endpoint)) return;
  const got = typeof endpoint === "string" ? `"${endpoint}"` : typeof endpoint;
  throw new ServeError("tag-invalid", `${word}(): the tag of an endpoint is ${NAME_RULE}; got ${got}`);
}

/** One backend of an app as it was written. */
export interface AppBackend {
  readonly run: unknown;
  readonly args?: readonly unknown[] | undefined;
  readonly config?: BackendConfig | undefined;
}

/** What `defineApp` was given, and where. Its parts are as the user wrote them: not checked, defaults not filled in. */
export interface AppDefinition {
  readonly name?: string | undefined;
  readonly backends: Readonly<Record<string, AppBackend>>;
  readonly endpoints: Readonly<Record<string, Endpoint>>;
  /** The file that called `defineApp`: a file URL or an absolute path, as the runtime names it. Undefined outside files. */
  readonly file: string | undefined;
}

/**
 * Backends and endpoints that belong together; the default export of an app file. Replicas import that file again and take the
 * code from there, so inline functions work. From two backends on prefer `run: backend<typeof Thing>({ … })`: then each replica
 * imports its own module only.
 * @throws ServeError `app-invalid` when it is not of this form; tags, code and configuration are checked by `run` and `deploy`.
 */
export function defineApp<B extends Record<string, Target>, const E extends Record<string, Endpoint>>(app: {
  readonly name?: string | undefined;
  readonly backends: { readonly [K in keyof B]: Entry<B[K]> };
  readonly endpoints: E & Known<E, keyof B & string>;
}): App<B, E> {
  // Frame 0 is this function, frame 1 the file that describes the app.
  const file = getCallSites(2)[1]?.scriptName;
  const definition: AppDefinition = {
    ...(app.name === undefined ? {} : { name: app.name }),
    backends: copyEntries<AppBackend>("backends", app.backends),
    endpoints: copyEntries<Endpoint>("endpoints", app.endpoints),
    file: file === "" ? undefined : file,
  };
  refuseUnknownKeys("the app", app, APP_KEYS);
  for (const [tag, entry] of Object.entries(definition.backends)) {
    refuseUnknownKeys(`backend "${tag}"`, entry, ENTRY_KEYS);
    if (entry.run !== undefined && entry.run !== null) continue;
    throw new ServeError(
      "app-invalid",
      `defineApp(): backend "${tag}" has no \`run\`. Give it a function, a class, an object or backend({ … }); is an import of it undefined?`,
    );
  }
  const { file: _file, ...parts } = definition;
  return Object.freeze({ ...parts, [APP]: Object.freeze(definition) }) as unknown as App<B, E>;
}

/** What stands behind a value that `defineApp` made; undefined for every other value. */
export const appDefinitionOf = (value: unknown): AppDefinition | undefined =>
  marked(value, APP) as AppDefinition | undefined;

export const isApp = (value: unknown): value is App => appDefinitionOf(value) !== undefined;

/** The entries, each copied and frozen; what they hold (code, arguments, configuration) stays the user's. */
function copyEntries<V extends object>(part: string, entries: unknown): Readonly<Record<string, V>> {
  const isObject = (value: unknown): value is object => typeof value === "object" && value !== null;
  if (!isObject(entries)) {
    throw new ServeError(
      "app-invalid",
      `defineApp(): "${part}" must be an object of tag → entry, got ${typeof entries}`,
    );
  }
  const copies: Record<string, V> = {};
  for (const [tag, entry] of Object.entries(entries)) {
    if (!isObject(entry)) {
      throw new ServeError("app-invalid", `defineApp(): "${tag}" in "${part}" must be an object, got ${typeof entry}`);
    }
    copies[tag] = Object.freeze({ ...entry }) as V;
  }
  return Object.freeze(copies);
}

function refuseUnknownKeys(what: string, value: object, known: readonly string[]): void {
  const unknown = Object.keys(value).find((key) => !known.includes(key));
  if (unknown === undefined) return;
  // All fields of a configuration have a default here, some of them undefined.
  const isConfig = known.includes("config") && Object.hasOwn(DEFAULT_BACKEND_CONFIG, unknown);
  const advice = isConfig ? ` It belongs in config: { ${unknown}: … }.` : suggestion(unknown, known);
  throw new ServeError("app-invalid", `defineApp(): ${what} has an unknown key "${unknown}".${advice}`);
}

const marked = (value: unknown, mark: symbol): unknown =>
  typeof value === "object" && value !== null ? (value as Record<symbol, unknown>)[mark] : undefined;
