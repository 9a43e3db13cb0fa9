/**
 * What a proxy counts of HTTP (model/metrics.ts). Only endpoints that exist have meters of their own, never paths; those of an endpoint
 * that is gone are forgotten.
 */
import type { Counter, Histogram } from "../base/histogram.ts";
import type { Meters } from "../core/metrics/meters.ts";
import { isErrorCode } from "../model/error-codes.ts";
import { ADMIN_NAME, NO_NAME, OTHER_NAME } from "../model/metrics.ts";
import type { EdgeCounts } from "../ports/http-edge.ts";

const STATUS_CLASSES = ["1xx", "1xx", "2xx", "3xx", "4xx", "5xx"] as const;

/** The requests of one endpoint. */
export class RequestMeters {
  readonly #durationMs: Histogram;
  readonly #ended: (status: string) => Counter;
  /** By class of status; made when one is seen. */
  readonly #classes: (Counter | undefined)[] = [];

  constructor(meters: Meters, endpoint: string) {
    this.#durationMs = meters.histogram("maitred_http_request_seconds", { endpoint });
    this.#ended = (status) => meters.counter("maitred_http_requests_total", { endpoint, status });
  }

  answered(status: number, durationMs: number): void {
    // HTTP allows 200 to 599 for an answer; the front has seen to it.
    const index = Math.trunc(status / 100);
    let counter = this.#classes[index];
    if (counter === undefined) {
      counter = this.#ended(STATUS_CLASSES[index] ?? "5xx");
      this.#classes[index] = counter;
    }
    counter.add();
    this.#durationMs.record(durationMs);
  }

  /** No whole answer reached the client. */
  unanswered(how: "gone" | "cut", durationMs: number): void {
    this.#ended(how).add();
    this.#durationMs.record(durationMs);
  }
}

export class EdgeMeters {
  /** Requests that no endpoint answers, and those for the proxy itself. */
  readonly unrouted: RequestMeters;
  readonly admin: RequestMeters;
  readonly #meters: Meters;
  readonly #endpoints = new Map<string, RequestMeters>();
  readonly #problems = new Map<string, Counter>();

  /** @param connections read at each scrape. */
  constructor(meters: Meters, connections: () => EdgeCounts) {
    this.#meters = meters;
    this.unrouted = new RequestMeters(meters, NO_NAME);
    this.admin = new RequestMeters(meters, ADMIN_NAME);
    const accepted = meters.counter("maitred_http_connections_total", {});
    const refused = meters.counter("maitred_http_connections_refused_total", {});
    meters.gauges((write) => {
      const counts = connections();
      accepted.count = counts.accepted;
      refused.count = counts.refused;
      write("maitred_http_open_connections", {}, counts.open);
    });
  }

  /** @param endpoint one that exists. */
  of(endpoint: string): RequestMeters {
    let known = this.#endpoints.get(endpoint);
    if (known === undefined) {
      known = new RequestMeters(this.#meters, endpoint);
      this.#endpoints.set(endpoint, known);
    }
    return known;
  }

  keepOnly(endpoints: ReadonlySet<string>): void {
    for (const endpoint of this.#endpoints.keys()) {
      if (endpoints.has(endpoint)) continue;
      this.#endpoints.delete(endpoint);
      this.#meters.forget("proxy", "endpoint", endpoint);
    }
  }

  problem(code: string): void {
    const name = isErrorCode(code) ? code : OTHER_NAME;
    let counter = this.#problems.get(name);
    if (counter === undefined) {
      counter = this.#meters.counter("maitred_http_problems_total", { code: name });
      this.#problems.set(name, counter);
    }
    counter.add();
  }
}
