/**
 * A strict parser of the Prometheus text format 0.0.4, written from its description and not from our writer. It throws at the first line
 * that is not as the format wants it: HELP and TYPE once and before the samples of their metric, metrics not interleaved, names,
 * escapes, numbers, no series twice, buckets that rise, end with +Inf and agree with _count.
 */

export interface ParsedSample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface ParsedMetric {
  readonly name: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly help: string;
  readonly samples: readonly ParsedSample[];
}

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*/;
const LABEL = /^[a-zA-Z_][a-zA-Z0-9_]*/;
const NUMBER = /^(?:[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?|[+-]Inf|NaN)$/i;

export const parseExposition = (text: string): ReadonlyMap<string, ParsedMetric> => {
  if (text === "") return new Map();
  if (!text.endsWith("\n")) throw new Error("the last line does not end with a line feed");
  const metrics = new Map<
    string,
    { name: string; type?: ParsedMetric["type"]; help: string; samples: ParsedSample[] }
  >();
  let current: (typeof metrics extends Map<string, infer M> ? M : never) | undefined;
  for (const [index, line] of text.slice(0, -1).split("\n").entries()) {
    const fail = (why: string): never => {
      throw new Error(`line ${index + 1}: ${why}: ${line}`);
    };
    const comment = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line);
    if (comment !== null) {
      const [, kind, name = "", rest = ""] = comment;
      if (NAME.exec(name)?.[0] !== name) fail("a malformed name");
      if (kind === "HELP") {
        if (metrics.has(name)) fail("a metric for the second time");
        current = { name, help: rest, samples: [] };
        metrics.set(name, current);
      } else {
        if (current === undefined || current.name !== name || current.type !== undefined)
          return fail("TYPE out of place");
        if (rest !== "counter" && rest !== "gauge" && rest !== "histogram") return fail("an unknown type");
        current.type = rest;
      }
      continue;
    }
    if (line.startsWith("#") || line.trim() === "") fail("neither a comment of a metric nor a sample");
    const sample = parseSample(line, fail);
    if (current?.type === undefined) return fail("a sample before its TYPE");
    const suffixes = current.type === "histogram" ? ["_bucket", "_sum", "_count"] : [""];
    if (!suffixes.some((suffix) => sample.name === `${current?.name}${suffix}`)) fail("a sample of another metric");
    if (current.samples.some((other) => isSameSeries(other, sample))) fail("a series for the second time");
    current.samples.push(sample);
  }
  for (const metric of metrics.values()) {
    if (metric.samples.length === 0) throw new Error(`${metric.name} has no samples`);
    if (metric.type === "counter") checkCounter(metric.samples);
    if (metric.type === "histogram") checkHistogram(metric.name, metric.samples);
  }
  return metrics as ReadonlyMap<string, ParsedMetric>;
};

const parseSample = (line: string, fail: (why: string) => never): ParsedSample => {
  const name = NAME.exec(line)?.[0] ?? fail("no name");
  const labels: Record<string, string> = {};
  let rest = line.slice(name.length);
  if (rest.startsWith("{")) {
    rest = rest.slice(1);
    for (;;) {
      const label = LABEL.exec(rest)?.[0] ?? fail("no label");
      const value = /^="((?:[^"\\\n]|\\\\|\\"|\\n)*)"/.exec(rest.slice(label.length)) ?? fail("no quoted value");
      if (Object.hasOwn(labels, label)) fail(`label ${label} twice`);
      labels[label] = (value[1] ?? "").replace(/\\(.)/g, (_, sign: string) => (sign === "n" ? "\n" : sign));
      rest = rest.slice(label.length + value[0].length);
      if (rest.startsWith("}")) break;
      if (!rest.startsWith(",")) fail("neither , nor }");
      rest = rest.slice(1);
    }
    rest = rest.slice(1);
  }
  const text = /^ (\S+)$/.exec(rest)?.[1] ?? fail("no value behind one space");
  if (!NUMBER.test(text)) fail("no number");
  return { name, labels, value: Number(text.replace("Inf", "Infinity")) };
};

const isSameSeries = (one: ParsedSample, other: ParsedSample): boolean =>
  one.name === other.name &&
  Object.keys(one.labels).length === Object.keys(other.labels).length &&
  Object.entries(one.labels).every(([label, value]) => other.labels[label] === value);

const checkCounter = (samples: readonly ParsedSample[]): void => {
  for (const { name, value } of samples) if (!(value >= 0)) throw new Error(`${name} is ${value}`);
};

const checkHistogram = (name: string, samples: readonly ParsedSample[]): void => {
  const of = (suffix: string) => samples.filter((sample) => sample.name === `${name}${suffix}`);
  for (const count of of("_count")) {
    const isOurs = ({ labels: { le: _, ...labels } }: ParsedSample): boolean =>
      isSameSeries({ ...count, labels }, count);
    const buckets = of("_bucket").filter(isOurs);
    const edges = buckets.map(({ labels }) => Number(labels["le"]?.replace("Inf", "Infinity")));
    const values = buckets.map(({ value }) => value);
    const rises = (numbers: readonly number[]) =>
      numbers.every((it, index) => index === 0 || it >= numbers[index - 1]!);
    if (!rises(edges) || new Set(edges).size !== edges.length) throw new Error(`${name}: edges ${edges.join(" ")}`);
    if (edges.at(-1) !== Number.POSITIVE_INFINITY) throw new Error(`${name}: no bucket +Inf`);
    if (!rises(values) || values.at(-1) !== count.value) throw new Error(`${name}: buckets ${values.join(" ")}`);
    if (of("_sum").filter(isOurs).length !== 1) throw new Error(`${name}: no single _sum`);
  }
  if (of("_bucket").length % of("_count").length !== 0) throw new Error(`${name}: buckets without a count`);
};

/** A scrape that can be asked: the sum over all series of a metric that have these labels. 0 when there is none. */
export class Scrape {
  readonly text: string;
  readonly metrics: ReadonlyMap<string, ParsedMetric>;

  /** @throws when it is not as the format wants it. */
  constructor(text: string) {
    this.text = text;
    this.metrics = parseExposition(text);
  }

  /** Of a histogram: how many values. */
  sum(metric: string, labels: Readonly<Record<string, string>> = {}): number {
    return this.#matching(metric, this.metrics.get(metric)?.type === "histogram" ? "_count" : "", labels).reduce(
      (total, { value }) => total + value,
      0,
    );
  }

  /** Of a histogram: its values added up. */
  total(metric: string, labels: Readonly<Record<string, string>> = {}): number {
    return this.#matching(metric, "_sum", labels).reduce((total, { value }) => total + value, 0);
  }

  /** The values that a label has. */
  values(metric: string, label: string): readonly string[] {
    const samples = this.metrics.get(metric)?.samples ?? [];
    return [...new Set(samples.flatMap(({ labels }) => labels[label] ?? []))].toSorted();
  }

  #matching(metric: string, suffix: string, labels: Readonly<Record<string, string>>): readonly ParsedSample[] {
    const samples = this.metrics.get(metric)?.samples ?? [];
    return samples.filter(
      (sample) =>
        sample.name === `${metric}${suffix}` &&
        Object.entries(labels).every(([label, value]) => sample.labels[label] === value),
    );
  }
}
