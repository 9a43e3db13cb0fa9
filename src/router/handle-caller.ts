/**
 * Sends the calls of handles through a router. What a handle turns its properties into (methods, the door, `fetch`) becomes one query
 * each; deadline, request id and cancellation of the query that the calling code works on are passed on.
 * The words of user code stand on this floor too and are handed in: `CallWords` is what is needed of them.
 */

import { ServeError } from "../base/serve-error.ts";
import { encodeValue } from "../core/wire/values.ts";
import { MAX_BODY_BYTES } from "../model/limits.ts";
import { type TraceContext, traceOf } from "../model/trace.ts";
import type { Clock } from "../ports/clock.ts";
import type { Random } from "../ports/random.ts";
import { type CallEnds, type CallOutcome, type CallSpan, HandleCall, type SurroundingQuery } from "./handle-call.ts";
import { flatHeadersOf } from "./http-response.ts";
import type { RouterQuery } from "./query-types.ts";
import { uploadOf } from "./request-upload.ts";
import type { Router } from "./router.ts";

export type CallResult = Promise<unknown> & AsyncIterable<unknown> & { cancel(reason?: unknown): void };

export interface CallWords {
  /** Makes the result that the user holds, and the way to settle it. */
  openCall(cancel: (reason: unknown) => void): CallOutcome & { readonly result: CallResult };
  /** The query that is being handled by the running code. */
  currentQuery(): SurroundingQuery | undefined;
  /** Whether somebody traces in this process. */
  isTracing(): boolean;
  /** Begins the span of a call; the query that it makes is part of it. */
  startSpan(call: CallFacts, parent: TraceContext | undefined): CallSpan | undefined;
}

export type CallFacts = { readonly endpoint: string; readonly requestId: string } & (
  | { readonly kind: "http"; readonly method: string; readonly path: string }
  | { readonly kind: "rpc"; readonly name: string }
);

export interface CallOptions {
  readonly shardKey?: string | undefined;
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly idempotent?: boolean | undefined;
}

interface Send {
  readonly headers?: Record<string, string> | undefined;
  readonly query?: Record<string, string> | undefined;
  readonly method?: string | undefined;
}

/** The calls to one endpoint. None of them throws: what goes wrong is in the result. */
export interface HandleCaller {
  callMethod(method: string, args: readonly unknown[], options: CallOptions): CallResult;
  callDoor(body: unknown, send: Send, options: CallOptions): CallResult;
  fetch(request: Request, options: CallOptions): Promise<Response>;
}

/** Gives the caller of an endpoint. */
export type HandleCallers = (endpoint: string) => HandleCaller;

export interface HandleCallerPorts {
  readonly clock: Clock;
  readonly random: Random;
}

const SAFE_METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"]);

export function createHandleCallers(router: Router, words: CallWords, ports: HandleCallerPorts): HandleCallers {
  // One drawn number a process and a counter: an id of its own for each call would cost as much as the rest of the call.
  const prefix = ports.random.id().slice(0, 12);
  let count = 0;
  const nextId = () => {
    count += 1;
    return `${prefix}-${count.toString(36)}`;
  };
  const callers = new Map<string, HandleCaller>();
  return (endpoint) => {
    let caller = callers.get(endpoint);
    if (caller === undefined) {
      caller = new EndpointCaller(endpoint, { router, words, nextId, clock: ports.clock });
      callers.set(endpoint, caller);
    }
    return caller;
  };
}

interface CallerWorld {
  readonly router: Router;
  readonly words: CallWords;
  readonly nextId: () => string;
  readonly clock: Clock;
}

class EndpointCaller implements HandleCaller {
  readonly #endpoint: string;
  readonly #world: CallerWorld;

  constructor(endpoint: string, world: CallerWorld) {
    this.#endpoint = endpoint;
    this.#world = world;
  }

  callMethod(method: string, args: readonly unknown[], options: CallOptions): CallResult {
    return this.#call(options, { name: method }, (common) => ({
      kind: "method",
      name: method,
      ...common,
      body: encodeValue(args),
      safeMethod: false,
    }));
  }

  callDoor(body: unknown, send: Send, options: CallOptions): CallResult {
    return this.#call(options, { name: "call", headers: send.headers }, (common) => {
      const method = String(send.method ?? "POST").toUpperCase();
      return {
        kind: "door",
        method,
        headers: flatHeadersOf(send.headers ?? {}),
        query: send.query === undefined ? {} : stringsOf(send.query),
        ...common,
        body: body === undefined ? undefined : encodeValue(body),
        safeMethod: SAFE_METHODS.has(method),
      };
    });
  }

  async fetch(request: Request, options: CallOptions): Promise<Response> {
    // Asked before the first wait: it belongs to the code that calls.
    const surrounding = this.#world.words.currentQuery();
    const headers = flatHeadersOf(request.headers);
    const requestId = this.#requestId(surrounding);
    const parent = surrounding?.trace ?? traceOf(headers);
    const { method, url } = request;
    const span = this.#world.words.isTracing() ? this.#fetchSpan(request, requestId, parent) : undefined;
    const common = this.#common(options, surrounding, { requestId, trace: span?.trace ?? parent });
    const signals = options.signal === undefined ? [request.signal] : [request.signal, options.signal];
    const upload = await uploadOf(request, this.#world.clock).catch((error: unknown) => {
      span?.end({ error });
      throw error;
    });
    return new Promise((resolve, reject) => {
      const outcome: CallOutcome = { resolve: (response) => resolve(response as Response), reject };
      const call = new HandleCall(this.#endpoint, outcome, { signals, surrounding, span });
      call.send(this.#world.router, {
        kind: "http",
        method,
        url,
        params: {},
        headers,
        callMethod: undefined,
        ...common,
        body: upload.body,
        safeMethod: SAFE_METHODS.has(method),
      });
      if (upload.kind === "streamed") upload.pump((error) => call.bodyFailed(error));
    });
  }

  #call(
    options: CallOptions,
    { name, headers }: { readonly name: string; readonly headers?: Send["headers"] },
    queryOf: (common: CommonFields) => RouterQuery,
  ): CallResult {
    const { words, router } = this.#world;
    const surrounding = words.currentQuery();
    const requestId = this.#requestId(surrounding);
    const parent = surrounding?.trace ?? traceOfSent(headers);
    const endpoint = this.#endpoint;
    const span = words.isTracing() ? words.startSpan({ kind: "rpc", name, endpoint, requestId }, parent) : undefined;
    const ends: CallEnds = { surrounding, span, signals: options.signal === undefined ? NO_SIGNALS : [options.signal] };
    const open = words.openCall((reason) => call.cancel(reason));
    const call = new HandleCall(this.#endpoint, open, ends);
    try {
      const query = queryOf(this.#common(options, surrounding, { requestId, trace: span?.trace ?? parent }));
      if (query.body instanceof Uint8Array && query.body.length > MAX_BODY_BYTES) throw this.#tooLarge();
      call.send(router, query);
    } catch (error) {
      // An argument that cannot cross, or a `toJSON` of one that throws.
      span?.end({ error });
      open.reject(error);
    }
    return open.result;
  }

  #requestId(surrounding: SurroundingQuery | undefined): string {
    return surrounding?.requestId ?? this.#world.nextId();
  }

  #fetchSpan({ method, url }: Request, requestId: string, parent: TraceContext | undefined): CallSpan | undefined {
    const call = { kind: "http", method, path: new URL(url).pathname, endpoint: this.#endpoint, requestId } as const;
    return this.#world.words.startSpan(call, parent);
  }

  #common(
    options: CallOptions,
    surrounding: SurroundingQuery | undefined,
    { requestId, trace }: Pick<CommonFields, "requestId" | "trace">,
  ): CommonFields {
    return {
      endpoint: this.#endpoint,
      requestId,
      trace,
      shardKey: options.shardKey,
      timeoutMs: options.timeoutMs,
      notAfter: surrounding?.deadline,
      idempotent: options.idempotent,
    };
  }

  #tooLarge(): ServeError {
    return new ServeError(
      "body-too-large",
      `endpoint "${this.#endpoint}": the arguments are larger than ${MAX_BODY_BYTES} bytes. Send them in parts.`,
    );
  }
}

type CommonFields = Pick<
  RouterQuery,
  "endpoint" | "requestId" | "shardKey" | "trace" | "timeoutMs" | "notAfter" | "idempotent"
>;

/** As `URLSearchParams` and `Headers` take values. */
const stringsOf = (record: Readonly<Record<string, unknown>>): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(record).map(([name, value]) => [name, String(value)]));

/** What a program without a query around it says by itself. */
const traceOfSent = (headers: Send["headers"]): TraceContext | undefined =>
  traceOf(Object.entries(headers ?? {}).flatMap(([name, value]) => [name.toLowerCase(), String(value)]));

const NO_SIGNALS: readonly AbortSignal[] = [];
