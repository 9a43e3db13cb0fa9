/**
 * The types of handles: how the class, object, function or module behind an endpoint looks from another process.
 * Methods become functions that return promises or streams, the door becomes a call of the handle itself; life-cycle names,
 * fields, names that begin with `_` and TypeScript-private members are absent. Types only; handle.ts makes the objects.
 *
 * Known limits: generic methods lose their parameter (`unknown`), of overloads the last one counts.
 */
import type { ServeRequest } from "./request-types.ts";
import type { Ndjson, Sse } from "./results.ts";
import type { AnyFn, FetchApp, InstanceOf } from "./target-types.ts";

declare const handleBrand: unique symbol;
export interface HandleBrand {
  readonly [handleBrand]: true;
}

/** What a method that returns an async iterable gives through a handle. `break` out of `for await` cancels it, as `cancel()` does. */
export interface Stream<T> extends AsyncIterable<T> {
  cancel(reason?: unknown): void;
}

/** Names that no handle offers: the life of a class, its doors, the words of the handle itself, and what every object has. */
type LifeCycle = "constructor" | "start" | "close" | "reconfigure" | "checkHealth" | "call" | "fetch";
type HandleWord = "options" | "invoke" | "then" | "toJSON";
type ObjectWord =
  | "toString"
  | "toLocaleString"
  | "valueOf"
  | "hasOwnProperty"
  | "isPrototypeOf"
  | "propertyIsEnumerable";
type Reserved = LifeCycle | HandleWord | ObjectWord;
type MethodNames<I> = {
  [K in keyof I]: K extends string
    ? K extends Reserved | `_${string}`
      ? never
      : I[K] extends AnyFn
        ? K
        : never
    : never;
}[keyof I];

// biome-ignore-start lint/suspicious/noExplicitAny: matches every event type, and lets a method that returns `any` stay `any`.
type StreamLike = AsyncIterable<unknown> | Sse<any> | Ndjson<any>;
type Item<V> =
  V extends Sse<infer E> ? E : V extends Ndjson<infer E> ? E : V extends AsyncIterable<infer E> ? E : never;
/** A stream when the method always streams, a promise when it never does, a promise of either when it may. */
type ResultOf<R> = 0 extends 1 & R
  ? Promise<any>
  : [Extract<Awaited<R>, StreamLike>] extends [never]
    ? Promise<Awaited<R>>
    : [Exclude<Awaited<R>, StreamLike>] extends [never]
      ? Stream<Item<Awaited<R>>>
      : Promise<Exclude<Awaited<R>, StreamLike> | Stream<Item<Awaited<R>>>>;
// biome-ignore-end lint/suspicious/noExplicitAny: end of the types above.
type Method<F> = F extends (...args: infer A) => infer R ? (...args: A) => ResultOf<R> : never;

/** The parts of the request that a door gets besides its body. */
export interface Send {
  readonly headers?: Record<string, string> | undefined;
  readonly query?: Record<string, string> | undefined;
  /** Default `POST`. */
  readonly method?: string | undefined;
}

/** The door: takes the body a request would carry, never positional arguments. `call` wins over `fetch`; a `fetch` door is `handle.fetch(request)`. */
type Door<F> = F extends (request: ServeRequest<infer B>, ...rest: never[]) => infer R
  ? (...message: unknown extends B ? [body?: unknown, send?: Send] : [body: B, send?: Send]) => ResultOf<R>
  : never;
type DoorOf<I> = I extends AnyFn
  ? Door<I>
  : I extends { call: infer F }
    ? Door<F>
    : I extends FetchApp
      ? { fetch(request: Request | string | URL, init?: RequestInit): Promise<Response> }
      : unknown;

/** How a call through a handle is made: `handle.options({ timeoutMs: 200 }).predict(row)`. */
export interface CallOptions {
  /** Queries with the same key go to the same backend, in every process; when weights change, only as many keys move as must. */
  readonly shardKey?: string | undefined;
  /** From the call to the last byte of the result. Default: the endpoint's, else 60 s. Beyond it the call throws `deadline-exceeded`. */
  readonly timeoutMs?: number | undefined;
  /** Cancels the query, all the way down. */
  readonly signal?: AbortSignal | undefined;
  /** The query may run twice: it is tried again when its replica dies. Default: the endpoint's. */
  readonly idempotent?: boolean | undefined;
}

/**
 * The other end of `T` (a class: `Handle<typeof Iris>`; a function, an object, a module). Each call throws `ServeError`, or what
 * the code behind it threw, as a `ServeError`.
 */
export type Handle<T> = HandleBrand &
  DoorOf<InstanceOf<T>> &
  (InstanceOf<T> extends AnyFn ? unknown : { readonly [K in MethodNames<InstanceOf<T>>]: Method<InstanceOf<T>[K]> }) & {
    /** The same handle with these options for its calls; what is not named stays as it is. */
    options(options: CallOptions): Handle<T>;
  };

/** A handle without a type: only the explicit form, so that a typo is not `any`. */
export interface UntypedHandle extends HandleBrand {
  /** Calls a method. Await the result, or iterate it when the method streams. */
  invoke(method: string, args?: readonly unknown[], options?: CallOptions): Promise<unknown> & AsyncIterable<unknown>;
  options(o: CallOptions): UntypedHandle;
}

export type HandleFor<T> = unknown extends T ? UntypedHandle : Handle<T>;

/** As constructor argument: the replica's constructor receives the handle. */
export interface Ref<H> {
  readonly $endpoint: string;
  readonly [handleBrand]?: H;
}
