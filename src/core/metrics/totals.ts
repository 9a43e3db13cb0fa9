/**
 * What the processes of a node have counted, added up. A process tells everything since its start; its last word counts on when it has
 * gone, so that a sum goes on rising while processes come and go. Gauges are of those that have just spoken.
 * Pure but for what it holds; `saved` and the constructor carry it over to the next agent.
 */
import { MAX_KEPT_SERIES } from "../../model/limits.ts";
import {
  type LifeKey,
  METRIC_NAMES,
  type MetricName,
  type MetricsSnapshot,
  metricInfo,
  type Sample,
  type Samples,
  type SavedTotals,
} from "../../model/metrics.ts";
import { boundedValues, keyOf } from "./meters.ts";

export const lifeKeyOf = (name: string, { life }: Pick<MetricsSnapshot, "life">): LifeKey => `${name} ${life}`;

/** Another one when a metric changes its labels or buckets. */
const VERSION = 1;

export class Totals {
  readonly #lives = new Map<LifeKey, Samples>();
  #kept: Samples;

  /** @param saved what `saved` gave to an earlier one. */
  constructor(saved?: SavedTotals) {
    // What another version has left is not known to add up.
    const { lives = {}, kept = {} } = saved?.version === VERSION ? saved : {};
    this.#kept = kept;
    for (const [life, samples] of Object.entries(lives)) this.#lives.set(life, samples);
  }

  /** Takes over what a process says now. What it does not tell any more (of a backend that is gone) is kept. */
  update(life: LifeKey, samples: Samples): void {
    this.#keep(without(this.#lives.get(life) ?? {}, samples));
    this.#lives.set(life, samples);
  }

  lives(): readonly LifeKey[] {
    return [...this.#lives.keys()];
  }

  /** It has said its last word. */
  end(life: LifeKey): void {
    const samples = this.#lives.get(life);
    this.#lives.delete(life);
    if (samples !== undefined) this.#keep(samples);
  }

  /** Counts of all lives, gauges of these. */
  sum(speaking: ReadonlySet<LifeKey>): Samples {
    const gauges = [...speaking].map((life) => onlyOf(this.#lives.get(life) ?? {}, "gauge"));
    return add([...Array.from(this.#lives.values(), (samples) => onlyOf(samples, "sum")), ...gauges, this.#kept]);
  }

  saved(): SavedTotals {
    const lives = Array.from(this.#lives, ([life, samples]) => [life, onlyOf(samples, "sum")] as const);
    return { version: VERSION, lives: Object.fromEntries(lives), kept: this.#kept };
  }

  #keep(samples: Samples): void {
    this.#kept = mapSamples(add([onlyOf(samples, "sum"), this.#kept]), (_, all) => all.slice(0, MAX_KEPT_SERIES));
  }
}

const onlyOf = (samples: Samples, kind: "gauge" | "sum"): Samples =>
  mapSamples(samples, (name, all) => ((metricInfo(name).kind === "gauge") === (kind === "gauge") ? all : undefined));

/** Series of `before` that `now` does not have. */
const without = (before: Samples, now: Samples): Samples =>
  mapSamples(before, (name, all) => {
    const left = new Set(now[name]?.map(([labels]) => keyOf(labels)));
    return all.filter(([labels]) => !left.has(keyOf(labels)));
  });

const add = (all: readonly Samples[]): Samples =>
  Object.fromEntries(
    METRIC_NAMES.flatMap((name) => {
      const series = new Map<string, Sample>();
      const names = new Set<string>();
      const { labels } = metricInfo(name);
      for (const samples of all) {
        for (const [given, value] of samples[name] ?? []) {
          const values = boundedValues(labels, given, names);
          const key = keyOf(values);
          const before = series.get(key)?.[1];
          series.set(key, [values, before === undefined ? value : plus(before, value)]);
        }
      }
      return series.size === 0 ? [] : [[name, [...series.values()]]];
    }),
  ) as Samples;

/** Histograms of one metric have the same buckets: those of the table. */
const plus = (one: Sample[1], other: Sample[1]): Sample[1] =>
  typeof one === "number" || typeof other === "number"
    ? Number(one) + Number(other)
    : one.map((count, index) => count + (other[index] ?? 0));

const mapSamples = (
  samples: Samples,
  map: (name: MetricName, all: readonly Sample[]) => readonly Sample[] | undefined,
): Samples =>
  Object.fromEntries(
    METRIC_NAMES.flatMap((name) => {
      const all = samples[name] === undefined ? undefined : map(name, samples[name]);
      return all === undefined || all.length === 0 ? [] : [[name, all]];
    }),
  ) as Samples;
