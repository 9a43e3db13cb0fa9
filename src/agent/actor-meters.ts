/** What an agent counts of the processes that it starts (model/metrics.ts). */
import type { Meters } from "../core/metrics/meters.ts";
import type { ActorSpec } from "../model/actor.ts";
import { NO_NAME } from "../model/metrics.ts";

type Counted = ActorSpec | { readonly kind: "controller" };

export class ActorMeters {
  readonly #meters: Meters;

  constructor(meters: Meters) {
    this.#meters = meters;
  }

  started(what: Counted): void {
    this.#meters.counter("maitred_actor_starts_total", labelsOf(what)).add();
  }

  /** @param was `meant to run`: nobody had told it to end. undefined: what it was is not known. */
  exited(what: Counted | undefined, was: "meant to run" | "told to end"): void {
    if (what === undefined) return;
    const reason = was === "meant to run" ? "unexpected" : "ordered";
    this.#meters.counter("maitred_actor_exits_total", { ...labelsOf(what), reason }).add();
  }
}

const labelsOf = (what: Counted) => ({
  kind: what.kind,
  backend: what.kind === "replica" ? what.backend : NO_NAME,
});
