/** What a replica counts (model/metrics.ts): bound at the first query of each method, so that a further one costs a look into a small map. */
import type { BatchStarted } from "../api/api.ts";
import type { Counter, Histogram } from "../base/histogram.ts";
import type { Meters } from "../core/metrics/meters.ts";
import { DOOR_NAME, NO_NAME } from "../model/metrics.ts";
import type { QueryHead } from "../model/wire.ts";

export type HandlerOutcome = "ok" | "refused" | "error" | "cancelled" | "expired";

/** Queries of one method, or of the door. */
export class MethodMeters {
  readonly #counters: Readonly<Record<HandlerOutcome, Counter>>;
  readonly #durationMs: Histogram;

  constructor(meters: Meters, where: { readonly backend: string; readonly method: string }) {
    const of = (outcome: HandlerOutcome) => meters.counter("maitred_handler_queries_total", { ...where, outcome });
    this.#counters = {
      ok: of("ok"),
      refused: of("refused"),
      error: of("error"),
      cancelled: of("cancelled"),
      expired: of("expired"),
    };
    this.#durationMs = meters.histogram("maitred_handler_seconds", where);
  }

  ended(outcome: HandlerOutcome, durationMs: number): void {
    this.#counters[outcome].add();
    this.#durationMs.record(durationMs);
  }
}

export class ReplicaMeters {
  readonly refusals: { readonly busy: Counter; readonly draining: Counter };
  readonly #meters: Meters;
  readonly #backend: string;
  readonly #known: ReadonlySet<string>;
  readonly #methods = new Map<string, MethodMeters>();

  /** @param methods that the code has. */
  constructor(meters: Meters, backend: string, methods: readonly string[]) {
    const refused = (reason: string) => meters.counter("maitred_replica_refusals_total", { backend, reason });
    this.refusals = { busy: refused("busy"), draining: refused("draining") };
    this.#meters = meters;
    this.#backend = backend;
    this.#known = new Set(methods);
  }

  of(head: QueryHead): MethodMeters {
    const name = head.kind === "method" ? head.name : head.kind === "http" ? head.callMethod : undefined;
    return this.#methods.get(name ?? DOOR_NAME) ?? this.#bind(name ?? DOOR_NAME);
  }

  /** What the code does not have counts together, whatever it is called. */
  #bind(name: string): MethodMeters {
    const method = name === DOOR_NAME || this.#known.has(name) ? name : NO_NAME;
    let meters = this.#methods.get(method);
    if (meters === undefined) {
      meters = new MethodMeters(this.#meters, { backend: this.#backend, method });
      this.#methods.set(method, meters);
    }
    return meters;
  }
}

/** @param status undefined: a value, or items. */
export const outcomeOf = (status: number | undefined): "ok" | "refused" | "error" =>
  status === undefined ? "ok" : status >= 500 ? "error" : status >= 400 ? "refused" : "ok";

/** Counts the batches of the code in this process. */
export const countBatches = (meters: Meters, backend: string): BatchStarted => {
  const of = (reason: string) => meters.counter("maitred_batches_total", { backend, reason });
  const started = { full: of("full"), timer: of("timer"), drain: of("drain"), changed: of("changed") };
  const sizes = meters.histogram("maitred_batch_items", { backend });
  const waits = meters.histogram("maitred_batch_wait_seconds", { backend });
  return (reason, items, waitedMs) => {
    started[reason].add();
    sizes.record(items);
    waits.record(waitedMs);
  };
};
