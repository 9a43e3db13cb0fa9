/**
 * What a door receives: `ServeRequest`, the request of the web platform with what a handler wants beside it.
 * Types only; the replica makes the objects.
 */

/**
 * The part of Standard Schema (https://standardschema.dev) that maitred uses: any validator that speaks it can be given to
 * `request.json(schema)` (zod, valibot, arktype, …).
 */
export interface StandardSchemaV1<Input = unknown, Output = Input> {
  readonly "~standard": {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown, ...rest: never[]) => unknown;
    readonly types?: { readonly input: Input; readonly output: Output } | undefined;
  };
}

type OutputOf<S extends StandardSchemaV1> = NonNullable<S["~standard"]["types"]>["output"];

/**
 * One request at a door, over HTTP or through a handle. A member named as in `Request` means the same.
 * `Body` is what the door expects as JSON: it types `json()` here and the first argument of a handle's door. It is not
 * checked at run time; `json(schema)` is.
 */
export interface ServeRequest<Body = unknown> {
  readonly method: string;
  /** Absolute, as the client sent it; without its prefix when the endpoint says `stripPrefix`. */
  readonly url: string;
  /** The path of `url`: `/iris`. */
  readonly path: string;
  /** What the route's `:name` parts matched, decoded. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly headers: Headers;
  /** Aborts when the caller leaves or the deadline passes. Same signal as `context().signal`. */
  readonly signal: AbortSignal;
  readonly body: ReadableStream<Uint8Array> | null;
  /** The body as JSON. Malformed JSON throws `body-invalid`, which answers 400. */
  json(): Promise<Body>;
  /** The body as the schema's output. A body that does not fit throws `body-schema`, which answers 422 with the issues. */
  json<S extends StandardSchemaV1>(schema: S): Promise<OutputOf<S>>;
  text(): Promise<string>;
  bytes(): Promise<Uint8Array>;
  formData(): Promise<FormData>;
  /** The same request as a web-standard `Request`, for libraries that want one. Takes the body with it. */
  toRequest(): Request;
}
