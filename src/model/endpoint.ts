/**
 * Endpoints: where queries come in, and how they are split. `TrafficPolicy` holds the shares; routes are text that `core/routes`
 * parses.
 */
import type { BackendTag, EndpointTag } from "./ids.ts";

export const HTTP_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] as const;
export type HttpMethod = (typeof HTTP_METHODS)[number];

export interface EndpointSpec {
  /** `/iris`, `/users/:id`, `/api/*`; absent = reachable through handles only. */
  readonly route: string | undefined;
  /** Absent = all. */
  readonly methods: readonly HttpMethod[] | undefined;
  /** The matched prefix of a wildcard route is cut from the URL that the handler sees. */
  readonly stripPrefix: boolean;
  /** Queries may be run twice: a retry after a lost replica is allowed for every method. */
  readonly idempotent: boolean;
  readonly timeoutMs: number | undefined;
  /** Methods reachable by HTTP with the header `x-serve-call-method`. */
  readonly expose: readonly string[];
}

export interface TrafficPolicy {
  /** Backend → share; shares sum to 1 within WEIGHT_TOLERANCE. */
  readonly traffic: Readonly<Record<BackendTag, number>>;
  /** Backend → share of queries copied to it, each 0..1. */
  readonly shadows: Readonly<Record<BackendTag, number>>;
}

/** An endpoint as people write it: `backend` is short for all the traffic. Absent = default. */
export interface EndpointInput {
  readonly route?: string | undefined;
  readonly methods?: readonly HttpMethod[] | undefined;
  readonly stripPrefix?: boolean | undefined;
  readonly idempotent?: boolean | undefined;
  readonly timeoutMs?: number | undefined;
  readonly expose?: readonly string[] | undefined;
  readonly backend?: string | undefined;
  readonly traffic?: Readonly<Record<string, number>> | undefined;
  readonly shadows?: Readonly<Record<string, number>> | undefined;
}

/** Fills in the defaults; what a list names twice is in it once. One of `backend` and `traffic` must be there. */
export const resolveEndpoint = (input: EndpointInput) => ({
  spec: {
    route: input.route,
    methods: input.methods && [...new Set(input.methods)],
    stripPrefix: input.stripPrefix ?? false,
    idempotent: input.idempotent ?? false,
    timeoutMs: input.timeoutMs,
    expose: [...new Set(input.expose ?? [])],
  } satisfies EndpointSpec,
  traffic: input.traffic ?? { [input.backend as string]: 1 },
  shadows: input.shadows ?? {},
});

/** Shares are typed by people: 0.333 + 0.333 + 0.334 and float rounding must pass. */
export const WEIGHT_TOLERANCE = 1e-5;

export const CALL_METHOD_HEADER = "x-serve-call-method";
export const SHARD_KEY_HEADER = "x-serve-shard-key";
export const REQUEST_ID_HEADER = "x-request-id";

export interface Endpoint extends TrafficPolicy {
  readonly tag: EndpointTag;
  readonly spec: EndpointSpec;
}
