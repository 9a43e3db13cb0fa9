/**
 * Builds handles: objects whose every property is a method somewhere else. It only turns names into calls; sending them, and
 * everything that can go wrong with that, is the `Caller`'s.
 * A handle is safe to await, print, compare and put into JSON: none of that makes a call. Calling one never throws; the error is
 * in the result.
 */
import { suggestion } from "../base/did-you-mean.ts";
import { ServeError } from "../base/serve-error.ts";
import { MAX_TIMER_MS } from "../model/limits.ts";
import { isReachableMethodName } from "../model/method-names.ts";
import type { Caller, CallResult } from "./caller.ts";
import type { CallOptions, HandleFor, Send } from "./handle-types.ts";
import { failedCall } from "./open-call.ts";

const OPTION_NAMES: readonly string[] = ["shardKey", "timeoutMs", "signal", "idempotent"];
const NO_OPTIONS: CallOptions = Object.freeze({});
const NO_SEND: Send = Object.freeze({});
/** What a path without a host is relative to: `handle.fetch("/api/flower")`. */
const BASE_URL = "http://localhost";

/**
 * @param endpoint its tag, for messages.
 * @param dispose ends what stands behind it, for a handle that owns that (`await using`).
 */
export function createHandle<T = unknown>(
  endpoint: string,
  caller: Caller,
  dispose?: () => Promise<void>,
): HandleFor<T> {
  return handleWith({ endpoint, caller, dispose }, NO_OPTIONS) as HandleFor<T>;
}

interface Origin {
  readonly endpoint: string;
  readonly caller: Caller;
  readonly dispose: (() => Promise<void>) | undefined;
}

/** The type is in `HandleFor`; at run time all handles are alike. */
function handleWith(origin: Origin, options: CallOptions): object {
  const handle = (body?: unknown, send: Send = NO_SEND): CallResult => origin.caller.callDoor(body, send, options);
  return new Proxy(handle, new Traps(origin, options));
}

/** A class, so that `handle.options(…)` in a handler makes one object and no closures. */
class Traps implements ProxyHandler<object> {
  readonly #origin: Origin;
  readonly #options: CallOptions;

  constructor(origin: Origin, options: CallOptions) {
    this.#origin = origin;
    this.#options = options;
  }

  get(target: object, key: string | symbol): unknown {
    if (typeof key === "symbol") return key === Symbol.asyncDispose ? this.#origin.dispose : undefined;
    const [origin, options] = [this.#origin, this.#options];
    switch (key) {
      case "then":
      case "toJSON":
        return undefined;
      case "options":
        return (more: CallOptions) => handleWith(origin, mergeOptions(options, more));
      case "fetch":
        return (input: Request | string | URL, init?: RequestInit) => callFetch(origin, { input, init, options });
      case "invoke":
        return (method: string, args: readonly unknown[] = [], more: CallOptions = NO_OPTIONS) =>
          invoke(origin, { method, args, options: mergeOptions(options, more) });
      default:
        if (isReachableMethodName(key)) {
          return (...args: readonly unknown[]) => origin.caller.callMethod(key, args, options);
        }
        // `toString` and its like are this object's own; `constructor` is a life-cycle name.
        if (key !== "constructor" && key in Object.prototype) return Reflect.get(target, key);
        return () => failedCall(notReachable(origin.endpoint, key));
    }
  }

  set(): boolean {
    return false;
  }
  defineProperty(): boolean {
    return false;
  }
  deleteProperty(): boolean {
    return false;
  }
}

function invoke(
  { endpoint, caller }: Origin,
  call: { readonly method: string; readonly args: readonly unknown[]; readonly options: CallOptions },
): CallResult {
  if (typeof call.method !== "string" || !isReachableMethodName(call.method)) {
    return failedCall(notReachable(endpoint, String(call.method)));
  }
  if (!Array.isArray(call.args)) {
    return failedCall(
      new ServeError(
        "config-invalid",
        `endpoint "${endpoint}": invoke("${call.method}", args) takes the arguments as an array, got ${typeof call.args}`,
      ),
    );
  }
  return caller.callMethod(call.method, call.args, call.options);
}

async function callFetch(
  { caller }: Origin,
  call: {
    readonly input: Request | string | URL;
    readonly init: RequestInit | undefined;
    readonly options: CallOptions;
  },
): Promise<Response> {
  const { input, init, options } = call;
  if (input instanceof Request) return caller.fetch(init === undefined ? input : new Request(input, init), options);
  return caller.fetch(new Request(new URL(input, BASE_URL), init), options);
}

function notReachable(endpoint: string, name: string): ServeError {
  const hint =
    name === "call" || name === "fetch"
      ? "It is the door: call the handle itself, handle(body), or handle.fetch(request)."
      : "Life-cycle names and names that begin with _ are not reachable through a handle.";
  return new ServeError("method-not-reachable", `endpoint "${endpoint}": "${name}" cannot be called. ${hint}`, {
    details: { endpoint, method: name },
  });
}

/** @throws ServeError `config-invalid`, at the line that wrote the options. */
function mergeOptions(options: CallOptions, more: CallOptions): CallOptions {
  if (more === NO_OPTIONS) return options;
  for (const key of Object.keys(more)) {
    if (OPTION_NAMES.includes(key)) continue;
    throw new ServeError("config-invalid", `handle options: unknown option "${key}".${suggestion(key, OPTION_NAMES)}`);
  }
  const { timeoutMs, shardKey, signal, idempotent } = more;
  if (timeoutMs !== undefined && !(typeof timeoutMs === "number" && timeoutMs > 0 && timeoutMs <= MAX_TIMER_MS)) {
    throw invalidOption(`timeoutMs must be a number above 0 and at most ${MAX_TIMER_MS}`, timeoutMs);
  }
  if (shardKey !== undefined && typeof shardKey !== "string")
    throw invalidOption("shardKey must be a string", shardKey);
  if (signal !== undefined && !isSignal(signal)) throw invalidOption("signal must be an AbortSignal", signal);
  if (idempotent !== undefined && typeof idempotent !== "boolean") {
    throw invalidOption("idempotent must be true or false", idempotent);
  }
  return { ...options, ...more };
}

/** By its shape: test environments have classes of their own. */
const isSignal = (value: Partial<AbortSignal> | null): boolean =>
  typeof value?.addEventListener === "function" && typeof value.aborted === "boolean";

const invalidOption = (rule: string, got: unknown): ServeError =>
  new ServeError(
    "config-invalid",
    `handle options: ${rule}, got ${typeof got === "string" ? `"${got}"` : String(got)} (${typeof got})`,
  );
