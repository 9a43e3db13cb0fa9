/** What a process counts, what an agent makes of it, and what a scrape says. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseExposition, Scrape } from "../../../tests/harness/exposition.ts";
import { MAX_KEPT_SERIES, MAX_LINK_LINE_BYTES, MAX_METRIC_NAMES } from "../../model/limits.ts";
import {
  type CounterName,
  type HistogramName,
  METRIC_NAMES,
  metricInfo,
  OTHER_NAME,
  type Samples,
} from "../../model/metrics.ts";
import { expositionOf } from "./exposition.ts";
import { Meters } from "./meters.ts";
import { Totals } from "./totals.ts";

const scrapeOf = (samples: Samples): Scrape => new Scrape(expositionOf(samples));
const NOBODY: ReadonlySet<string> = new Set();

describe("meters", () => {
  test("the same labels give the same meter", () => {
    const meters = new Meters();
    meters.counter("maitred_router_sent_total", { from: "proxy", backend: "a" }).add();
    meters.counter("maitred_router_sent_total", { from: "proxy", backend: "a" }).add(2);
    meters.counter("maitred_router_sent_total", { from: "proxy", backend: "b" }).add();
    expect(meters.samples()).toEqual({
      maitred_router_sent_total: [
        [["proxy", "a"], 3],
        [["proxy", "b"], 1],
      ],
    });
  });

  test("names beyond the bound count together, and every count is in the sum", () => {
    const meters = new Meters();
    const count = 3 * MAX_METRIC_NAMES;
    for (let index = 0; index < count; index += 1) {
      for (const outcome of ["answered", "failed"]) {
        meters.counter("maitred_router_queries_total", { from: "proxy", endpoint: `e${index}`, outcome }).add();
      }
    }
    const scrape = scrapeOf(meters.samples());
    expect(scrape.values("maitred_router_queries_total", "endpoint")).toHaveLength(MAX_METRIC_NAMES + 1);
    expect(scrape.sum("maitred_router_queries_total")).toBe(2 * count);
    expect(scrape.sum("maitred_router_queries_total", { endpoint: OTHER_NAME, outcome: "failed" })).toBe(
      count - MAX_METRIC_NAMES,
    );
  });

  test("what is forgotten makes room", () => {
    const meters = new Meters();
    const sent = (backend: string) => meters.counter("maitred_router_sent_total", { from: "proxy", backend });
    for (let index = 0; index < MAX_METRIC_NAMES; index += 1) sent(`b${index}`).add();
    meters.forget("router", "backend", "b7");
    sent("new").add(5);
    const scrape = scrapeOf(meters.samples());
    expect(scrape.sum("maitred_router_sent_total", { backend: "new" })).toBe(5);
    expect(scrape.values("maitred_router_sent_total", "backend")).not.toContain("b7");
    expect(scrape.values("maitred_router_sent_total", "backend")).not.toContain(OTHER_NAME);
  });

  test("gauges are read when they are asked for, and equal labels are added", () => {
    const meters = new Meters();
    let waiting = 0;
    for (const _ of [1, 2]) {
      meters.gauges((write) => write("maitred_router_waiting", { from: "proxy", backend: "a" }, waiting));
    }
    waiting = 3;
    expect(meters.samples()).toEqual({ maitred_router_waiting: [[["proxy", "a"], 6]] });
  });

  test("a process that counts everything there is, for as many names as it may, fits one line to its agent", () => {
    const meters = new Meters();
    for (const name of METRIC_NAMES) {
      const { kind, labels } = metricInfo(name);
      for (let index = 0; index < MAX_METRIC_NAMES; index += 1) {
        const values = Object.fromEntries(labels.map((label) => [label, `a-name-of-usual-length-${index}`])) as never;
        if (kind === "counter") meters.counter(name as CounterName, values).add(1e6 + index);
        if (kind === "histogram") meters.histogram(name as HistogramName, values).record(index);
      }
    }
    const samples = meters.samples();
    // No process has all of them: a replica and a proxy share what routers count.
    const line = (source: string) =>
      JSON.stringify(METRIC_NAMES.filter((name) => metricInfo(name).source === source).map((name) => samples[name]));
    expect(line("proxy").length + line("router").length).toBeLessThan(MAX_LINK_LINE_BYTES);
    expect(line("replica").length + line("router").length).toBeLessThan(MAX_LINK_LINE_BYTES);
  });
});

describe("totals", () => {
  const sentBy = (count: number): Samples => ({ maitred_router_sent_total: [[["proxy", "a"], count]] });
  const sum = (totals: Totals) => scrapeOf(totals.sum(NOBODY)).sum("maitred_router_sent_total");

  test("a process that is gone counts on, and the next of its name begins anew", () => {
    const totals = new Totals();
    totals.update("proxy#1 100", sentBy(5));
    totals.update("proxy#1 100", sentBy(7));
    totals.end("proxy#1 100");
    expect(sum(totals)).toBe(7);
    totals.update("proxy#1 200", sentBy(1));
    expect(sum(totals)).toBe(8);
  });

  test("whatever processes come, count, fall silent and go, and whoever takes over: the sum never falls and misses nothing", () => {
    const step = fc.record({
      who: fc.integer({ min: 0, max: 3 }),
      what: fc.constantFrom("counts", "ends", "forgets", "next agent"),
      by: fc.nat(100),
    });
    fc.assert(
      fc.property(fc.array(step), (steps) => {
        let totals = new Totals();
        const counts = new Map<string, number>();
        let life = 0;
        let everything = 0;
        let before = 0;
        for (const { who, what, by } of steps) {
          const key = `p${who} ${life}`;
          if (what === "counts") {
            everything += by;
            counts.set(key, (counts.get(key) ?? 0) + by);
            totals.update(key, sentBy(counts.get(key)!));
          } else if (what === "forgets") {
            counts.delete(key);
            totals.update(key, {});
          } else if (what === "ends") {
            totals.end(key);
            life += 1;
          } else totals = new Totals(JSON.parse(JSON.stringify(totals.saved())));
          expect(sum(totals)).toBeGreaterThanOrEqual(before);
          before = sum(totals);
        }
        expect(before).toBe(everything);
      }),
    );
  });

  test("histograms are added bucket by bucket", () => {
    const totals = new Totals();
    for (const [index, durationMs] of [1, 1, 500].entries()) {
      const meters = new Meters();
      meters.histogram("maitred_handler_seconds", { backend: "a", method: "run" }).record(durationMs);
      totals.update(`r${index} 1`, meters.samples());
    }
    totals.end("r0 1");
    const scrape = scrapeOf(totals.sum(NOBODY));
    expect(scrape.sum("maitred_handler_seconds")).toBe(3);
    expect(scrape.total("maitred_handler_seconds")).toBeCloseTo(0.502, 9);
    const buckets = scrape.metrics.get("maitred_handler_seconds")?.samples ?? [];
    expect(buckets.find(({ labels }) => labels["le"] === "0.001")?.value).toBe(2);
    expect(buckets.find(({ labels }) => labels["le"] === "0.512")?.value).toBe(3);
  });

  test("gauges are of those that speak now", () => {
    const totals = new Totals();
    const waiting = (count: number): Samples => ({ maitred_router_waiting: [[["proxy", "a"], count]] });
    totals.update("p1 1", waiting(3));
    totals.update("p2 1", waiting(4));
    const of = (...lives: readonly string[]) => scrapeOf({ ...sentBy(1), ...totals.sum(new Set(lives)) });
    expect(of("p1 1", "p2 1").sum("maitred_router_waiting")).toBe(7);
    expect(of("p2 1").sum("maitred_router_waiting")).toBe(4);
    totals.end("p2 1");
    expect(of("p1 1", "p2 1").sum("maitred_router_waiting")).toBe(3);
  });

  test("of what is gone for good a bounded number is kept, the last ones", () => {
    const totals = new Totals();
    for (let index = 0; index < MAX_KEPT_SERIES + 20; index += 1) {
      totals.update(`p ${index}`, { maitred_router_sent_total: [[["proxy", `b${index}`], 1]] });
      totals.end(`p ${index}`);
    }
    const backends = scrapeOf(totals.sum(NOBODY)).values("maitred_router_sent_total", "backend");
    expect(backends).toHaveLength(MAX_KEPT_SERIES);
    expect(backends).toContain(`b${MAX_KEPT_SERIES + 19}`);
    expect(backends).not.toContain("b19");
  });
});

describe("the text of a scrape", () => {
  test("seconds, edges, sums and counts are as Prometheus wants them", () => {
    const meters = new Meters();
    const waits = meters.histogram("maitred_batch_wait_seconds", { backend: "a" });
    for (const ms of [0.125, 2, 100_000]) waits.record(ms);
    meters.histogram("maitred_batch_items", { backend: "a" }).record(16);
    const text = expositionOf(meters.samples());
    expect(text.split("\n").slice(0, 3)).toEqual([
      "# HELP maitred_batch_items Items of a batch when it starts.",
      "# TYPE maitred_batch_items histogram",
      'maitred_batch_items_bucket{backend="a",le="1"} 0',
    ]);
    expect(text).toContain('maitred_batch_wait_seconds_bucket{backend="a",le="0.000125"} 1\n');
    expect(text).toContain('maitred_batch_wait_seconds_bucket{backend="a",le="0.002"} 2\n');
    expect(text).toContain('maitred_batch_wait_seconds_bucket{backend="a",le="65.536"} 2\n');
    expect(text).toContain('maitred_batch_wait_seconds_bucket{backend="a",le="+Inf"} 3\n');
    expect(text).toContain('maitred_batch_wait_seconds_sum{backend="a"} 100.002125\n');
    expect(text).toContain('maitred_batch_wait_seconds_count{backend="a"} 3\n');
    expect(text).toContain('maitred_batch_items_sum{backend="a"} 16\n');
  });

  test("any name comes back as it was", () => {
    const labels = fc.record({ backend: fc.string(), method: fc.string({ unit: "grapheme" }), outcome: fc.string() });
    fc.assert(
      fc.property(labels, fc.nat(), (given, count) => {
        const meters = new Meters();
        meters.counter("maitred_handler_queries_total", given).add(count);
        const [sample] = scrapeOf(meters.samples()).metrics.get("maitred_handler_queries_total")?.samples ?? [];
        expect(sample).toEqual({ name: "maitred_handler_queries_total", labels: given, value: count });
      }),
    );
  });

  test("nothing counted is an empty text", () => {
    expect(expositionOf({})).toBe("");
  });

  test.each([
    ["a sample without TYPE", "a 1\n"],
    ["no end of line", "# HELP a b\n# TYPE a counter\na 1"],
    ["a series twice", "# HELP a b\n# TYPE a counter\na 1\na 2\n"],
    ["a counter below zero", "# HELP a b\n# TYPE a counter\na -1\n"],
    ["a metric in two pieces", '# HELP a b\n# TYPE a gauge\na 1\n# HELP c d\n# TYPE c gauge\nc 1\na{x="1"} 2\n'],
    ["a bare quote", '# HELP a b\n# TYPE a gauge\na{x="""} 1\n'],
    [
      "buckets that fall",
      '# HELP a b\n# TYPE a histogram\na_bucket{le="1"} 2\na_bucket{le="+Inf"} 1\na_sum 1\na_count 1\n',
    ],
    ["no bucket for all", '# HELP a b\n# TYPE a histogram\na_bucket{le="1"} 1\na_sum 1\na_count 1\n'],
    ["a word as number", "# HELP a b\n# TYPE a gauge\na one\n"],
  ])("the parser of these tests refuses %s", (_, text) => {
    expect(() => parseExposition(text)).toThrow(/./);
  });
});

test("names follow the rules of Prometheus", () => {
  for (const name of METRIC_NAMES) {
    const { kind, labels, help } = metricInfo(name);
    expect(name).toMatch(/^maitred_[a-z_]+$/);
    expect(name.endsWith("_total")).toBe(kind === "counter");
    if (kind === "histogram") expect(name).toMatch(/_(seconds|items)$/);
    for (const label of labels) expect(label).toMatch(/^[a-z]+$/);
    expect(help).toMatch(/^[A-Z0-9].*\.$/);
  }
});
