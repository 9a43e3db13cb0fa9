/** What a controller counts (model/metrics.ts). Meters belong to the process: each life goes on with those of the one before. */
import type { Histogram } from "../base/histogram.ts";
import type { Meters } from "../core/metrics/meters.ts";
import type { CallKind } from "../model/calls.ts";
import type { GoalState } from "../model/records.ts";
import type { Life } from "./life.ts";

export class LifeMeters {
  readonly turnMs: Histogram;
  readonly saveMs: Histogram;
  readonly #meters: Meters;

  constructor(meters: Meters) {
    this.#meters = meters;
    this.turnMs = meters.histogram("maitred_controller_turn_seconds", {});
    this.saveMs = meters.histogram("maitred_controller_save_seconds", {});
  }

  called(call: CallKind, outcome: "accepted" | "refused"): void {
    this.#meters.counter("maitred_controller_calls_total", { call, outcome }).add();
  }

  notSaved(reason: "refused" | "fenced" | "unknown"): void {
    this.#meters.counter("maitred_controller_save_failures_total", { reason }).add();
  }

  settled(outcome: Exclude<GoalState, "pending">): void {
    this.#meters.counter("maitred_controller_goals_settled_total", { outcome }).add();
  }

  published(): void {
    this.#meters.counter("maitred_controller_snapshots_total", {}).add();
  }
}

/** @param leading the life that leads now. */
export const watchLives = (meters: Meters, leading: () => Life | undefined): void => {
  meters.gauges((write) => {
    const life = leading();
    write("maitred_controller_epoch", {}, life?.epoch ?? 0);
    if (life === undefined) return;
    const goals = Array.from(life.view.all("goal"));
    write("maitred_controller_goals_pending", {}, goals.filter(({ state }) => state === "pending").length);
    write("maitred_controller_poll_clients", {}, life.host.followers);
  });
};
