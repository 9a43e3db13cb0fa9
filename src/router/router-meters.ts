/**
 * What a router counts (model/metrics.ts), bound once for each backend and endpoint: a query finds its meters where it already is, or by
 * one look into a map. Meters of what is gone are forgotten.
 */
import type { Counter, Histogram } from "../base/histogram.ts";
import type { Meters } from "../core/metrics/meters.ts";
import { isErrorCode } from "../model/error-codes.ts";
import type { PollRequest } from "../model/longpoll.ts";
import { NO_NAME, OTHER_NAME } from "../model/metrics.ts";
import type { EjectReason } from "./replica-health.ts";

export type From = PollRequest["kind"];

/** One backend, as its pool and the clients of its replicas count it. */
export class PoolMeters {
  readonly sent: Counter;
  readonly waitMs: Histogram;
  readonly retries: Counter;
  readonly refusals: { readonly busy: Counter; readonly draining: Counter };
  readonly ejections: Readonly<Record<EjectReason, Counter>>;
  readonly shadows: Readonly<Record<"sent" | "dropped" | "returned" | "failed", Counter>>;

  constructor(meters: Meters, where: { readonly from: From; readonly backend: string }) {
    const refused = (reason: string) => meters.counter("maitred_router_refusals_total", { ...where, reason });
    const ejected = (reason: string) => meters.counter("maitred_router_ejections_total", { ...where, reason });
    const shadow = (outcome: string) => meters.counter("maitred_router_shadows_total", { ...where, outcome });
    this.sent = meters.counter("maitred_router_sent_total", where);
    this.waitMs = meters.histogram("maitred_router_wait_seconds", where);
    this.retries = meters.counter("maitred_router_retries_total", where);
    this.refusals = { busy: refused("busy"), draining: refused("draining") };
    this.ejections = {
      unreachable: ejected("unreachable"),
      leaving: ejected("leaving"),
      silent: ejected("silent"),
      outlier: ejected("outlier"),
    };
    this.shadows = {
      sent: shadow("sent"),
      dropped: shadow("dropped"),
      returned: shadow("returned"),
      failed: shadow("failed"),
    };
  }
}

class EndpointMeters {
  readonly answered: Counter;
  readonly failed: Counter;
  readonly cancelled: Counter;
  readonly durationMs: Histogram;

  constructor(meters: Meters, where: { readonly from: From; readonly endpoint: string }) {
    const ended = (outcome: string) => meters.counter("maitred_router_queries_total", { ...where, outcome });
    this.answered = ended("answered");
    this.failed = ended("failed");
    this.cancelled = ended("cancelled");
    this.durationMs = meters.histogram("maitred_router_query_seconds", where);
  }
}

/** Bytes of all connections. */
export interface WireMeters {
  readonly sentBytes: Counter;
  readonly receivedBytes: Counter;
}

export class RouterMeters implements WireMeters {
  readonly sentBytes: Counter;
  readonly receivedBytes: Counter;
  readonly #meters: Meters;
  readonly #from: From;
  readonly #pools = new Map<string, { readonly meters: PoolMeters; users: number }>();
  readonly #endpoints = new Map<string, EndpointMeters>();
  readonly #codes = new Map<string, Counter>();
  readonly #isKnown: (endpoint: string) => boolean;

  /** @param isKnown whether there is such an endpoint: other names are not counted by themselves. */
  constructor(meters: Meters, from: From, isKnown: (endpoint: string) => boolean) {
    this.#meters = meters;
    this.#from = from;
    this.#isKnown = isKnown;
    this.sentBytes = meters.counter("maitred_wire_bytes_total", { from, direction: "sent" });
    this.receivedBytes = meters.counter("maitred_wire_bytes_total", { from, direction: "received" });
  }

  /** For one more pool of this backend: one that closes may still have queries when the next one opens. */
  poolOpened(backend: string): PoolMeters {
    const known = this.#pools.get(backend);
    if (known !== undefined) {
      known.users += 1;
      return known.meters;
    }
    const meters = new PoolMeters(this.#meters, { from: this.#from, backend });
    this.#pools.set(backend, { meters, users: 1 });
    return meters;
  }

  poolGone(backend: string): void {
    const known = this.#pools.get(backend);
    if (known === undefined) return;
    known.users -= 1;
    if (known.users > 0) return;
    this.#pools.delete(backend);
    this.#meters.forget("router", "backend", backend);
  }

  ended(endpoint: string, how: "answered" | "failed" | "cancelled", durationMs: number): void {
    const meters = this.#endpoints.get(endpoint) ?? this.#endpointOf(endpoint);
    meters[how].add();
    meters.durationMs.record(durationMs);
  }

  failed(code: string): void {
    const name = isErrorCode(code) ? code : OTHER_NAME;
    let counter = this.#codes.get(name);
    if (counter === undefined) {
      counter = this.#meters.counter("maitred_router_failures_total", { from: this.#from, code: name });
      this.#codes.set(name, counter);
    }
    counter.add();
  }

  /** Some endpoints may not be known any more. */
  endpointsChanged(): void {
    for (const endpoint of this.#endpoints.keys()) {
      if (endpoint === NO_NAME || this.#isKnown(endpoint)) continue;
      this.#endpoints.delete(endpoint);
      this.#meters.forget("router", "endpoint", endpoint);
    }
  }

  #endpointOf(endpoint: string): EndpointMeters {
    const name = this.#isKnown(endpoint) ? endpoint : NO_NAME;
    const known = this.#endpoints.get(name);
    if (known !== undefined) return known;
    const made = new EndpointMeters(this.#meters, { from: this.#from, endpoint: name });
    this.#endpoints.set(name, made);
    return made;
  }
}
