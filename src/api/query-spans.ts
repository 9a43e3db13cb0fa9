/**
 * The two spans of a query, by OpenTelemetry's semantic conventions: `server` around the handler in its replica, `client` around a call of
 * a handle. HTTP queries are HTTP spans, calls of methods and doors are RPC spans; both say which endpoint, backend and replica.
 */
import { isServeError, messageOf } from "../base/serve-error.ts";
import type { TraceContext } from "../model/trace.ts";
import { type Attributes, isTracing, type Span, startSpan } from "./open-telemetry.ts";

type SpannedQuery = { readonly endpoint: string; readonly requestId: string } & (
  | { readonly kind: "http"; readonly method: string; readonly path: string }
  /** `name`: of the method; the door is `call`. */
  | { readonly kind: "rpc"; readonly name: string }
);

interface QueryFailure {
  readonly status: number;
  readonly code: string;
  readonly message: string;
}

interface HandlerFacts {
  readonly backendTag: string;
  readonly replicaTag: string;
  readonly isShadow: boolean;
}

/** Around the handler. Undefined when nobody traces here. */
export const startHandlerSpan = (
  query: SpannedQuery,
  facts: HandlerFacts,
  parent: TraceContext | undefined,
): Span | undefined =>
  startSpan({
    name: nameOf(query),
    kind: "server",
    parent,
    attributes: {
      ...attributesOf(query),
      "maitred.backend": facts.backendTag,
      "maitred.replica": facts.replicaTag,
      ...(facts.isShadow ? { "maitred.shadow": true } : {}),
    },
  });

/** A client's fault is no error of the handler's span. `status`: of an HTTP answer. */
export const endHandlerSpan = (
  span: Span,
  { status, failure }: { readonly status: number | undefined; readonly failure: QueryFailure | undefined },
): void => {
  const isError = (failure?.status ?? status ?? 0) >= 500;
  end(span, status, isError ? { type: failure?.code ?? String(status), message: failure?.message } : undefined);
};

interface CallSpan {
  readonly trace: TraceContext | undefined;
  end(how: { readonly status?: number | undefined; readonly error?: unknown }): void;
}

/** For whoever sends the calls of handles: a span around each, from its making to its last part. */
export const callTracing = {
  isTracing,
  startSpan(query: SpannedQuery, parent: TraceContext | undefined): CallSpan | undefined {
    const span = startSpan({ name: nameOf(query), kind: "client", parent, attributes: attributesOf(query) });
    if (span === undefined) return undefined;
    return {
      trace: span.trace,
      end: ({ status, error }) => {
        const isError = error !== undefined || (status ?? 0) >= 400;
        const type = isServeError(error) ? error.code : status === undefined ? "error" : String(status);
        end(span, status, isError ? { type, message: error === undefined ? undefined : messageOf(error) } : undefined);
      },
    };
  },
};

const end = (
  span: Span,
  status: number | undefined,
  error: { readonly type: string; readonly message: string | undefined } | undefined,
): void =>
  span.end({
    attributes: {
      ...(status === undefined ? {} : { "http.response.status_code": status }),
      ...(error === undefined ? {} : { "error.type": error.type }),
    },
    ...(error === undefined ? {} : { failure: error.message ?? `answered ${status}` }),
  });

const nameOf = (query: SpannedQuery): string =>
  query.kind === "http" ? `${query.method} ${query.endpoint}` : `${query.endpoint}/${query.name}`;

const attributesOf = (query: SpannedQuery): Attributes => ({
  ...(query.kind === "http"
    ? { "http.request.method": query.method, "url.path": query.path, "url.scheme": "http" }
    : { "rpc.system.name": "maitred", "rpc.method": `${query.endpoint}/${query.name}` }),
  "maitred.endpoint": query.endpoint,
  "maitred.request_id": query.requestId,
});
