/**
 * OpenTelemetry, if the user's program has it: found where its API keeps what an SDK has registered, `globalThis` under the symbol of
 * major version 1. No dependency, no import, and without an SDK no more than one look at that place for each query and call.
 * What an SDK throws is swallowed: a trace must not fail what it traces.
 */
import { idsOf, type TraceContext, traceparentOf } from "../model/trace.ts";
import { TraceState } from "./trace-state.ts";

/** Of the API, what is used here; all of it is as old as version 1.0. */
interface Registered {
  readonly version?: string;
  readonly trace?: { getTracer(name: string): Tracer };
  readonly context?: ContextManager;
}

interface Tracer {
  startSpan(name: string, options: object, context: OtelContext): OtelSpan;
}

interface ContextManager {
  active(): OtelContext;
  with<T>(context: OtelContext, code: () => T): T;
}

interface OtelContext {
  getValue(key: symbol): unknown;
  setValue(key: symbol, value: unknown): OtelContext;
  deleteValue(key: symbol): OtelContext;
}

interface SpanContext {
  readonly traceId: string;
  readonly spanId: string;
  readonly traceFlags: number;
  readonly traceState?: { serialize(): string } | undefined;
}

interface OtelSpan {
  spanContext(): SpanContext;
  setAttributes(attributes: Attributes): unknown;
  setStatus(status: { readonly code: number; readonly message?: string }): unknown;
  recordException(error: unknown): unknown;
  end(): void;
}

export type Attributes = Readonly<Record<string, string | number | boolean>>;

export interface SpanWish {
  readonly name: string;
  readonly kind: "server" | "client";
  readonly attributes: Attributes;
  /** What came with the query, or surrounds the call. */
  readonly parent: TraceContext | undefined;
}

export interface SpanEnd {
  readonly attributes?: Attributes | undefined;
  /** It failed, and this sentence says why. */
  readonly failure?: string | undefined;
}

const API = Symbol.for("opentelemetry.js.api.1");
/** `createContextKey` of the API is `Symbol.for`, so that its copies agree. */
const SPAN = Symbol.for("OpenTelemetry Context Key SPAN");
const KINDS = { server: 1, client: 2 } as const;
const STATUS_ERROR = 2;
const NO_TRACE_ID = /^0*$/;

const registered = (): Registered | undefined => (globalThis as { readonly [API]?: Registered })[API];

/** Whether an SDK is there; it may come at any time. */
export const isTracing = (): boolean => registered()?.trace !== undefined;

/** Undefined when nobody traces in this process. */
export function startSpan(wish: SpanWish): Span | undefined {
  const { trace, context, version } = registered() ?? {};
  if (trace === undefined || version?.startsWith("1.") !== true) return undefined;
  try {
    return new Span(wish, trace.getTracer("maitred"), context);
  } catch {
    return undefined; // an SDK that cannot start a span
  }
}

/** One span on its way to its end; ended once. */
export class Span {
  /** For whoever goes on from here: this span is the parent. */
  readonly trace: TraceContext | undefined;
  readonly #span: OtelSpan;
  readonly #context: OtelContext;
  readonly #manager: ContextManager | undefined;
  #hasEnded = false;

  constructor({ name, kind, attributes, parent }: SpanWish, tracer: Tracer, manager: ContextManager | undefined) {
    // A query belongs to whoever sent it, not to what this process was doing; a call belongs to the code that makes it.
    const active = kind === "client" ? manager?.active() : undefined;
    const around = active?.getValue(SPAN) === undefined ? contextOf(parent, active) : active;
    this.#span = tracer.startSpan(name, { kind: KINDS[kind], attributes }, around);
    this.#context = around.setValue(SPAN, this.#span);
    this.#manager = manager;
    this.trace = traceOfSpan(this.#span.spanContext()) ?? parent;
  }

  /** Runs code so that the user's own spans in it are children of this one. */
  run<T>(code: () => T): T {
    return this.#manager === undefined ? code() : this.#manager.with(this.#context, code);
  }

  threw(error: unknown): void {
    this.#quietly(() => this.#span.recordException(error));
  }

  end({ attributes, failure }: SpanEnd): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#quietly(() => {
      if (attributes !== undefined) this.#span.setAttributes(attributes);
      if (failure !== undefined) this.#span.setStatus({ code: STATUS_ERROR, message: failure });
      this.#span.end();
    });
  }

  #quietly(code: () => void): void {
    try {
      code();
    } catch {
      // an SDK that cannot take it
    }
  }
}

const contextOf = (parent: TraceContext | undefined, active: OtelContext | undefined): OtelContext => {
  const base = active ?? new PlainContext(new Map());
  return parent === undefined ? base : base.setValue(SPAN, remoteSpan(parent));
};

const traceOfSpan = ({ traceId, spanId, traceFlags, traceState }: SpanContext): TraceContext | undefined => {
  if (NO_TRACE_ID.test(traceId)) return undefined; // a provider that makes no spans
  const tracestate = traceState?.serialize();
  return {
    traceparent: traceparentOf({ traceId, spanId, flags: traceFlags }),
    tracestate: tracestate === "" ? undefined : tracestate,
  };
};

/** The span of another process: nothing but its ids. */
const remoteSpan = ({ traceparent, tracestate }: TraceContext): object => {
  const { traceId, spanId, flags } = idsOf(traceparent);
  const state = tracestate === undefined ? {} : { traceState: new TraceState(tracestate) };
  const context = { traceId, spanId, traceFlags: flags, isRemote: true, ...state };
  const same = () => span;
  const span = {
    spanContext: () => context,
    isRecording: () => false,
    end: () => {},
    recordException: () => {},
    ...{ setAttribute: same, setAttributes: same, addEvent: same, addLink: same, addLinks: same },
    ...{ setStatus: same, updateName: same },
  };
  return span;
};

/** The API's own root context is not to be had without importing it. */
class PlainContext implements OtelContext {
  readonly #values: ReadonlyMap<symbol, unknown>;

  constructor(values: ReadonlyMap<symbol, unknown>) {
    this.#values = values;
  }

  getValue(key: symbol): unknown {
    return this.#values.get(key);
  }

  setValue(key: symbol, value: unknown): OtelContext {
    return new PlainContext(new Map([...this.#values, [key, value]]));
  }

  deleteValue(key: symbol): OtelContext {
    return new PlainContext(new Map([...this.#values].filter(([other]) => other !== key)));
  }
}
