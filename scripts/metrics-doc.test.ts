import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { METRIC_LABELS, METRIC_NAMES, metricInfo } from "../src/model/metrics.ts";
import { metricsDoc } from "./metrics-doc.ts";

test("docs/metrics.md is what `node scripts/metrics-doc.ts --write` makes", () => {
  expect(readFileSync(new URL("../docs/metrics.md", import.meta.url), "utf8")).toBe(metricsDoc());
});

test("every metric has one row, and every label of it too", () => {
  const rows = metricsDoc()
    .split("\n")
    .filter((line) => line.startsWith("| `"));
  expect(rows).toHaveLength(METRIC_NAMES.length + Object.keys(METRIC_LABELS).length);
  for (const name of METRIC_NAMES)
    expect(Object.keys(METRIC_LABELS)).toEqual(expect.arrayContaining([...metricInfo(name).labels]));
});
