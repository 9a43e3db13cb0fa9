/**
 * What one process counts, by the table of model/metrics.ts. Whoever counts asks once for a counter or histogram and keeps it; gauges are
 * read when somebody asks. The same labels give the same meter. Names beyond MAX_METRIC_NAMES share one meter of the name OTHER_NAME, so
 * a process never holds, nor tells, more than that, whatever names it is given.
 */
import { Counter, Histogram } from "../../base/histogram.ts";
import { MAX_METRIC_NAMES } from "../../model/limits.ts";
import {
  type CounterName,
  type GaugeName,
  type HistogramName,
  isNamed,
  type LabelsOf,
  type MetricName,
  type MetricSource,
  metricInfo,
  OTHER_NAME,
  type Sample,
  type Samples,
} from "../../model/metrics.ts";

/** Values of the same labels are added. */
export type WriteGauge = <N extends GaugeName>(name: N, labels: LabelsOf<N>, value: number) => void;

export class Meters {
  readonly #families = new Map<MetricName, Family<Counter | Histogram>>();
  readonly #readers: ((write: WriteGauge) => void)[] = [];

  counter<N extends CounterName>(name: N, labels: LabelsOf<N>): Counter {
    return this.#meter(name, labels, () => new Counter()) as Counter;
  }

  histogram<N extends HistogramName>(name: N, labels: LabelsOf<N>): Histogram {
    return this.#meter(name, labels, () => new Histogram(metricInfo(name).scale!)) as Histogram;
  }

  /** @param read called at each `samples`. */
  gauges(read: (write: WriteGauge) => void): void {
    this.#readers.push(read);
  }

  /** What is called so is gone: its meters of this source are told no more, and make room for others. */
  forget(source: MetricSource, label: "backend" | "endpoint", value: string): void {
    for (const [name, family] of this.#families) {
      const info = metricInfo(name);
      const position = info.labels.indexOf(label);
      if (info.source === source && position >= 0) family.forget(position, value);
    }
  }

  samples(): Samples {
    const gauges = new Map<GaugeName, Family<{ value: number }>>();
    const write: WriteGauge = (name, labels, value) => {
      const family = gauges.get(name) ?? new Family(name);
      gauges.set(name, family);
      family.of(labels, () => ({ value: 0 })).value += value;
    };
    for (const read of this.#readers) read(write);
    return Object.fromEntries([
      ...Array.from(this.#families, ([name, family]) => [name, family.samples(toldOf)]),
      ...Array.from(gauges, ([name, family]) => [name, family.samples((gauge) => gauge.value)]),
    ]) as Samples;
  }

  #meter<N extends CounterName | HistogramName>(
    name: N,
    labels: LabelsOf<N>,
    make: () => Counter | Histogram,
  ): Counter | Histogram {
    const family = this.#families.get(name) ?? new Family(name);
    this.#families.set(name, family);
    return family.of(labels, make);
  }
}

/** The meters of one metric, by their labels. */
class Family<M> {
  readonly #labels: readonly string[];
  readonly #meters = new Map<string, { readonly values: readonly string[]; readonly meter: M }>();
  #names = new Set<string>();

  constructor(name: MetricName) {
    this.#labels = metricInfo(name).labels;
  }

  of(labels: Readonly<Record<string, string>>, make: () => M): M {
    const values = boundedValues(
      this.#labels,
      this.#labels.map((label) => labels[label]!),
      this.#names,
    );
    const key = keyOf(values);
    const known = this.#meters.get(key);
    if (known !== undefined) return known.meter;
    const meter = make();
    this.#meters.set(key, { values, meter });
    return meter;
  }

  forget(position: number, value: string): void {
    for (const [key, { values }] of this.#meters) if (values[position] === value) this.#meters.delete(key);
    this.#names = new Set(Array.from(this.#meters.values(), ({ values }) => nameKeyOf(this.#labels, values)));
  }

  samples(read: (meter: M) => Sample[1]): readonly Sample[] {
    return Array.from(this.#meters.values(), ({ values, meter }) => [values, read(meter)] as const);
  }
}

const toldOf = (meter: Counter | Histogram): number | readonly number[] =>
  meter instanceof Histogram ? [...meter.counts, meter.sum] : meter.count;

/** The values themselves, or OTHER_NAME for each name when there are too many others; notes in `names` what it has let in. */
export const boundedValues = (
  labels: readonly string[],
  values: readonly string[],
  names: Set<string>,
): readonly string[] => {
  const name = nameKeyOf(labels, values);
  if (names.has(name)) return values;
  if (names.size >= MAX_METRIC_NAMES) return othersOf(labels, values);
  names.add(name);
  return values;
};

export const keyOf = (values: readonly string[]): string => JSON.stringify(values);

const nameKeyOf = (labels: readonly string[], values: readonly string[]): string =>
  keyOf(values.filter((_, index) => isNamed(labels[index]!)));

const othersOf = (labels: readonly string[], values: readonly string[]): readonly string[] =>
  values.map((value, index) => (isNamed(labels[index]!) ? OTHER_NAME : value));
