/**
 * The types of apps: which code is a backend, with which constructor arguments, and what `defineApp` ties together.
 * Types only; app.ts has the functions.
 */
import type { BackendConfig, EndpointCommon } from "./config-types.ts";
import type { Handle, HandleBrand, Ref } from "./handle-types.ts";

// biome-ignore-start lint/suspicious/noExplicitAny: matches every constructor.
type ArgsOf<T> = T extends abstract new (...args: infer A) => any ? A : [];
// biome-ignore-end lint/suspicious/noExplicitAny: end of the type above.
/** A constructor argument: a value that can cross, or a handle given by `ref()`. */
type Arg<V> = V extends HandleBrand ? Ref<V> : V;
export type ArgsField<T> =
  ArgsOf<T> extends infer A extends readonly unknown[]
    ? A extends []
      ? { args?: undefined }
      : [] extends A
        ? { args?: { readonly [K in keyof A]: Arg<A[K]> } | undefined }
        : { args: { readonly [K in keyof A]: Arg<A[K]> } }
    : never;

/** Where code lies: `module` is a file URL or path, `export` the name of an export (default `default`; `*` = the whole module). */
export interface ModuleRef {
  module: URL | string;
  export?: string | undefined;
}

declare const targetBrand: unique symbol;
/** Code that is not loaded here: only replicas import it. Made by `backend()` and `backendFrom()`. */
export interface Backend<T = unknown> extends ModuleRef {
  readonly [targetBrand]: T;
}

export type ModuleSpec<M> = {
  [K in keyof M & string]: { module: URL | string; export: K } & ArgsField<M[K]>;
}[keyof M & string];

export type Unwrap<T> = T extends Backend<infer X> ? X : T;

/** One backend of an app. `run` is the code itself, or where it lies. */
// biome-ignore-start lint/suspicious/noExplicitAny: matches every Backend, and `App` alone is any app.
export type Entry<T> = {
  readonly run: T;
  readonly config?: BackendConfig<NoInfer<Unwrap<T>>> | undefined;
} & (T extends Backend<any> ? { readonly args?: undefined } : ArgsField<NoInfer<T>>);

declare const appBrand: unique symbol;
/** What `defineApp` returns: the default export of an app file. */
export interface App<B = any, E = any> {
  readonly name?: string | undefined;
  readonly backends: { readonly [K in keyof B]: unknown };
  readonly endpoints: { readonly [K in keyof E]: unknown };
  readonly [appBrand]?: [B, E];
}
// biome-ignore-end lint/suspicious/noExplicitAny: end of the two types above.

type OnlyKeys<M, N> = { readonly [K in keyof M]: K extends N ? number : never };
/** The endpoints of an app again, with every name of a backend that is not in `N`, and every unknown key, made impossible. */
export type Known<E, N extends string> = {
  readonly [K in keyof E]: {
    readonly [F in keyof E[K]]: F extends "traffic" | "shadows"
      ? OnlyKeys<E[K][F], N>
      : F extends "backend"
        ? N
        : F extends keyof EndpointCommon
          ? EndpointCommon[F]
          : never;
  };
};

type NamesIn<E> = E extends { readonly backend: infer N }
  ? N
  : E extends { readonly traffic: infer Tr }
    ? keyof Tr
    : never;
// biome-ignore lint/complexity/noBannedTypes: no endpoint is known, so no key is; a `never` for each key would take every name.
type NoHandles = {};
/** Endpoint name → handle type, from the type of an app: `Handles<typeof app>["iris"]`. */
export type Handles<A> = unknown extends A
  ? NoHandles
  : A extends App<infer B, infer E>
    ? { [K in keyof E]: Handle<Unwrap<B[NamesIn<E[K]> & keyof B]>> }
    : NoHandles;
