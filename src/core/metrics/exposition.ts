/**
 * Samples as text for Prometheus, format 0.0.4: https://prometheus.io/docs/instrumenting/exposition_formats/
 * Milliseconds become seconds, buckets are summed up. In the order of the table, so that two scrapes can be compared.
 */
import { edgesOf, type Scale } from "../../base/histogram.ts";
import { DURATION, METRIC_NAMES, type MetricName, metricInfo, type Sample, type Samples } from "../../model/metrics.ts";

export const EXPOSITION_TYPE = "text/plain; version=0.0.4; charset=utf-8";

export const expositionOf = (samples: Samples): string => {
  const lines: string[] = [];
  for (const name of METRIC_NAMES) {
    const all = samples[name];
    if (all === undefined || all.length === 0) continue;
    const { help, kind } = metricInfo(name);
    lines.push(`# HELP ${name} ${help.replaceAll("\\", "\\\\").replaceAll("\n", "\\n")}`, `# TYPE ${name} ${kind}`);
    for (const sample of all) writeSample(lines, name, sample);
  }
  return lines.length === 0 ? "" : `${lines.join("\n")}\n`;
};

const writeSample = (lines: string[], name: MetricName, [values, value]: Sample): void => {
  const { labels, scale } = metricInfo(name);
  const pairs = labels.map((label, index) => `${label}="${escaped(values[index] ?? "")}"`);
  if (typeof value === "number" || scale === undefined) {
    lines.push(`${name}${braced(pairs)} ${String(value)}`);
    return;
  }
  let count = 0;
  for (const [index, edge] of [...edgesOf(scale), Number.POSITIVE_INFINITY].entries()) {
    count += value[index] ?? 0;
    lines.push(`${name}_bucket${braced([...pairs, `le="${edgeText(edge, scale)}"`])} ${count}`);
  }
  const sum = value.at(-1) ?? 0;
  lines.push(`${name}_sum${braced(pairs)} ${scale === DURATION ? sum / 1_000 : sum}`);
  lines.push(`${name}_count${braced(pairs)} ${count}`);
};

const braced = (pairs: readonly string[]): string => (pairs.length === 0 ? "" : `{${pairs.join(",")}}`);

const edgeText = (edge: number, scale: Scale): string =>
  edge === Number.POSITIVE_INFINITY ? "+Inf" : String(scale === DURATION ? edge / 1_000 : edge);

const escaped = (text: string): string => text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
