/** The rules of traffic and of a backend's configuration, by themselves. */
import { describe, expect, test } from "vitest";
import { type BackendConfigInput, resolveBackendConfig } from "../model/backend-config.ts";
import { changedFields, configProblems, mergeConfig, offerProblems } from "./backend-rules.ts";
import { canonicalJson, digestOf, isSameValue, utf8Length } from "./canonical.ts";
import { shadowProblems, weightProblems, withoutZero } from "./traffic.ts";

const problems = (input: BackendConfigInput) => configProblems(resolveBackendConfig(input), input);

describe("weights", () => {
  test.each([[{ a: 1 }], [{ a: 0.9, b: 0.1 }], [{ a: 1, b: 0 }], [{ a: 0.333, b: 0.333, c: 0.33401 }]])(
    "%j are taken",
    (traffic) => {
      expect(weightProblems(traffic)).toEqual([]);
    },
  );

  test.each([
    [{}, "names no backend"],
    [{ a: 0.5 }, "sum to 0.5, not 1 (a 0.5)"],
    [{ a: -0.1, b: 1.1 }, 'the weight of backend "a" is -0.1'],
    [{ a: Number.NaN }, "is NaN"],
    [{ a: 0.5, b: 0.50002 }, "not 1"],
  ])("%j are refused with what is wrong", (traffic, problem) => {
    expect(weightProblems(traffic as Record<string, number>).join(" ")).toContain(problem);
  });

  test("a shadow's share is 0 to 1, and one of 0 is no shadow", () => {
    expect(shadowProblems({ a: 0, b: 1 })).toEqual([]);
    expect(shadowProblems({ a: 1.5 })).toHaveLength(1);
    expect(withoutZero({ a: 0, b: 0.2 })).toEqual({ b: 0.2 });
  });
});

describe("a backend's configuration", () => {
  test("the defaults break no rule", () => {
    expect(problems({})).toEqual([]);
  });

  test("all problems are reported together", () => {
    const found = problems({ numReplicas: 0, maxConcurrentQueries: 1.5, maxSurge: 0, maxUnavailable: 0 });
    expect(found).toHaveLength(3);
    expect(found.join(" ")).toContain("numReplicas must be a positive integer, got 0");
    expect(found.join(" ")).toContain("maxSurge and maxUnavailable are both 0");
  });

  test("a batch must be able to fill", () => {
    expect(problems({ maxBatchSize: 200 }).join()).toContain("Raise maxConcurrentQueries to 200");
    expect(problems({ maxBatchSize: 200, maxConcurrentQueries: 200 })).toEqual([]);
  });

  test("batch fields are refused when the code batches nothing", () => {
    const offers = { door: "call", methods: [], batches: false } as const;
    expect(offerProblems(resolveBackendConfig({ maxBatchSize: 4 }), offers).join()).toContain("no batch()");
    expect(offerProblems(resolveBackendConfig({}), offers)).toEqual([]);
  });

  test("an update sets what it names and leaves the rest, field by field inside resources", () => {
    const before = { numReplicas: 3, resources: { cpu: 1, memoryBytes: 5 } };
    expect(mergeConfig(before, { resources: { cpu: 2 }, env: undefined })).toEqual({
      numReplicas: 3,
      resources: { cpu: 2, memoryBytes: 5 },
    });
  });

  test("an update takes away what has no default to set; null is a userConfig", () => {
    const before = { numReplicas: 3, cwd: "/a", envFile: "/a/env", maxBatchSize: 4, userConfig: 1 };
    expect(mergeConfig(before, { cwd: null, envFile: null, codeVersion: null, userConfig: null })).toEqual({
      ...{ numReplicas: 3, maxBatchSize: 4, userConfig: null },
    });
  });

  test("numReplicas and autoscaling take each other's place, and are refused together", () => {
    const autoscaling = { minReplicas: 1, maxReplicas: 2, targetQueriesPerReplica: 5 };
    expect(mergeConfig({ numReplicas: 3, cwd: "/a" }, { autoscaling })).toEqual({ cwd: "/a", autoscaling });
    expect(mergeConfig({ autoscaling, cwd: "/a" }, { numReplicas: 3 })).toEqual({ cwd: "/a", numReplicas: 3 });
    const wider = { ...autoscaling, maxReplicas: 4 };
    expect(mergeConfig({ autoscaling }, { autoscaling: { maxReplicas: 4 } })).toEqual({ autoscaling: wider });
    expect(problems(mergeConfig({}, { numReplicas: 3, autoscaling })).join()).toContain("exclude each other");
    expect(problems({ autoscaling })).toEqual([]);
  });

  test("paths must be absolute: nobody knows whose folder they would be relative to", () => {
    expect(problems({ envFile: "b.env", cwd: "data" })).toHaveLength(2);
    expect(problems({ envFile: "/b.env", cwd: "/data" })).toEqual([]);
  });

  test("setting a field to its default changes nothing", () => {
    expect(changedFields(resolveBackendConfig({}), resolveBackendConfig({ numReplicas: 1 }))).toEqual([]);
  });
});

describe("values", () => {
  test("the order of keys and fields that are undefined do not count", () => {
    expect(isSameValue({ a: 1, b: [1, { c: 2 }] }, { b: [1, { c: 2, d: undefined }], a: 1 })).toBe(true);
    expect(isSameValue({ a: 1 }, { a: 1, b: 2 })).toBe(false);
    expect(isSameValue([1, 2], [2, 1])).toBe(false);
    expect(canonicalJson({ b: 1, a: undefined })).toBe('{"b":1}');
  });

  test("the digest of a text depends on each character", () => {
    expect(digestOf("abc")).toHaveLength(28);
    expect(digestOf("abc")).not.toBe(digestOf("abd"));
  });

  test("lengths are counted in UTF-8", () => {
    for (const text of ["", "abc", "äöü", "日本", "😀a😀", "a\ud83db", "\ude00\ud83d"])
      expect(utf8Length(text)).toBe(Buffer.byteLength(text));
  });
});
