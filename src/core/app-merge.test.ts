/** The three-way merge by itself: for any values, a field follows the file where the file has changed, and what is live elsewhere. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { appEndpoint } from "../../tests/harness/calls.ts";
import type { AppEndpoint } from "../model/app.ts";
import type { BackendConfigInput } from "../model/backend-config.ts";
import { mergeConfigs, mergeEndpoints } from "./app-merge.ts";
import { isSameValue } from "./canonical.ts";

const few = fc.integer({ min: 1, max: 3 });
const config: fc.Arbitrary<BackendConfigInput> = fc.record(
  {
    numReplicas: few,
    maxConcurrentQueries: few,
    userConfig: fc.constantFrom({ a: 1 }, { a: 1, b: 2 }, null),
    env: fc.constantFrom({}, { A: "1" }, { A: "1", B: "2" }),
    nodeArgs: fc.constantFrom([], ["--a"]),
    resources: fc.record({ cpu: few, memoryBytes: few }, { requiredKeys: [] }),
  },
  { requiredKeys: [] },
);
const tag = fc.constantFrom("a", "b", "constructor");
const shares = fc.dictionary(tag, fc.constantFrom(0, 0.25, 0.5));
const traffic = fc.constantFrom({ a: 1 }, { b: 1 }, { a: 0.9, b: 0.1 }, { constructor: 1 });
const endpoint = fc
  .record({
    traffic: traffic as fc.Arbitrary<Record<string, number>>,
    shadows: shares,
    route: fc.constantFrom(undefined, "/a", "/b"),
    timeoutMs: fc.constantFrom(undefined, 1, 2),
    expose: fc.constantFrom([], ["x"]),
  })
  .map(({ traffic: split, shadows, ...spec }) => appEndpoint(split, { spec, shadows }));

const NOBODY: ReadonlySet<string> = new Set();

/** The rule, for one field. */
const expected = (said: unknown, says: unknown, live: unknown) => (isSameValue(said, says) ? live : says);

const FIELDS = ["numReplicas", "maxConcurrentQueries", "userConfig", "env", "nodeArgs"] as const;

describe("the configuration of a backend", () => {
  test("follows the file in each field that the file has changed, and what is live in all others", () => {
    fc.assert(
      fc.property(config, config, config, (said, says, live) => {
        const merged = mergeConfigs({ said, says, live });
        for (const field of FIELDS) expect(merged[field]).toEqual(expected(said[field], says[field], live[field]));
        for (const field of ["cpu", "memoryBytes"] as const) {
          const wanted = expected(said.resources?.[field], says.resources?.[field], live.resources?.[field]);
          expect(merged.resources?.[field]).toBe(wanted);
        }
      }),
    );
  });

  test("is the file's, to the last field, when there was no deploy before or nothing was changed by hand", () => {
    fc.assert(
      fc.property(config, config, (says, live) => {
        expect(mergeConfigs({ said: undefined, says, live })).toEqual(says);
        expect(isSameValue(mergeConfigs({ said: live, says, live }), withoutEmpty(says))).toBe(true);
      }),
    );
  });

  test("keeps what is live, to the last field, when the file has not changed; twice is once", () => {
    fc.assert(
      fc.property(config, config, config, (said, says, live) => {
        expect(isSameValue(mergeConfigs({ said: says, says, live }), withoutEmpty(live))).toBe(true);
        const once = mergeConfigs({ said, says, live });
        expect(isSameValue(mergeConfigs({ said: says, says, live: once }), once)).toBe(true);
      }),
    );
  });

  test("has either numReplicas or autoscaling: the file's newer wish replaces what was set by hand", () => {
    const autoscaling = { minReplicas: 1, maxReplicas: 3, targetQueriesPerReplica: 2 };
    expect(mergeConfigs({ said: {}, says: { autoscaling }, live: { numReplicas: 4 } })).toEqual({ autoscaling });
    expect(mergeConfigs({ said: {}, says: { numReplicas: 2 }, live: { autoscaling } })).toEqual({ numReplicas: 2 });
    const mine = { ...autoscaling, maxReplicas: 9 };
    const said = { autoscaling };
    expect(mergeConfigs({ said, says: said, live: { autoscaling: mine } })).toEqual({ autoscaling: mine });
    expect(mergeConfigs({ said, says: { numReplicas: 2 }, live: { autoscaling: mine } })).toEqual({ numReplicas: 2 });
  });
});

/** `resources: {}` says nothing. */
const withoutEmpty = ({ resources, ...others }: BackendConfigInput): BackendConfigInput =>
  resources === undefined || Object.keys(resources).length === 0 ? others : { ...others, resources };

describe("an endpoint", () => {
  const merge = (said: AppEndpoint | undefined, says: AppEndpoint, live: AppEndpoint) =>
    mergeEndpoints({ said, says, live }, NOBODY);

  test("follows the file in each field, each shadow and its traffic as a whole, where the file has changed it", () => {
    fc.assert(
      fc.property(endpoint, endpoint, endpoint, (said, says, live) => {
        const merged = merge(said, says, live);
        for (const field of ["route", "timeoutMs", "expose"] as const) {
          expect(merged.spec[field]).toEqual(expected(said.spec[field], says.spec[field], live.spec[field]));
        }
        expect(merged.traffic).toEqual(expected(said.traffic, says.traffic, live.traffic));
        for (const name of ["a", "b", "constructor"]) {
          const of = (it: AppEndpoint) => Object.entries(it.shadows).find(([key]) => key === name)?.[1];
          expect(of(merged) ?? 0).toBe(expected(of(said), of(says), of(live)) ?? 0);
        }
      }),
    );
  });

  test("is the file's when there was no deploy before", () => {
    fc.assert(
      fc.property(endpoint, endpoint, (says, live) => {
        const { spec, traffic: split } = merge(undefined, says, live);
        expect({ spec, traffic: split }).toEqual({ spec: says.spec, traffic: says.traffic });
      }),
    );
  });

  test("names no backend that leaves the file with it: then its traffic is the file's again", () => {
    const file = appEndpoint({ a: 1 });
    const live = appEndpoint({ a: 0.9, b: 0.1 }, { shadows: { b: 0.5, c: 0.1 } });
    expect(merge(file, file, live)).toMatchObject({ traffic: live.traffic, shadows: live.shadows });
    const without = mergeEndpoints({ said: file, says: file, live }, new Set(["b"]));
    expect(without).toMatchObject({ traffic: { a: 1 } });
    expect(without.shadows).toEqual({ c: 0.1 });
  });
});
