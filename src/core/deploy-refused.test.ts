/** What a deploy refuses, before anything is written, and how it says so. */
import { beforeEach, describe, expect, test } from "vitest";
import { appBackend, appEndpoint, createBackend, createEndpoint, deploy } from "../../tests/harness/calls.ts";
import { CoreWorld } from "../../tests/harness/core-world.ts";
import { errorOf, flowers, look } from "../../tests/harness/flowers.ts";
import { MAX_DEPLOY_CHANGES } from "../model/limits.ts";
import { MAX_VALUE_BYTES } from "../model/store-limits.ts";

let world: CoreWorld;
beforeEach(() => {
  world = new CoreWorld();
});
const { backend } = look(() => world);

describe("what is refused", () => {
  const refusal = (call: Parameters<CoreWorld["call"]>[0]) => {
    const before = world.wishes();
    const error = errorOf(world.call(call).outcome);
    expect(world.wishes()).toEqual(before);
    expect(world.view.count("app")).toBe(0);
    return error;
  };

  test("a tag that exists outside the app, whose owner is named", () => {
    world.call(createBackend("v1"));
    world.call(createEndpoint("iris", { v1: 1 }));
    const error = refusal(flowers());
    expect(error?.code).toBe("tag-owned");
    expect(error?.message).toContain("backends.v1: this tag exists outside the app");
    expect(error?.message).toContain("endpoints.iris: this tag exists outside the app");
  });

  test("a tag of another app", () => {
    world.call(deploy("garden", { v1: appBackend() }));
    const error = errorOf(world.call(flowers()).outcome);
    expect(error).toMatchObject({ code: "tag-owned", message: expect.stringContaining('belongs to the app "garden"') });
    expect(backend("v2")).toBeUndefined();
  });

  test("all problems are told together, each with its path", () => {
    world.call(createEndpoint("taken", { a: 1 }, { spec: { route: "/taken" } }));
    world.call(createBackend("a"));
    world.call(createEndpoint("taken", { a: 1 }, { spec: { route: "/taken" } }));
    const error = refusal(
      deploy(
        "flowers",
        {
          b: appBackend({ numReplicas: 0, maxSurge: 0 }),
          "no name": appBackend(),
          big: appBackend({ userConfig: "x".repeat(MAX_VALUE_BYTES - 5_000) }),
        },
        {
          e: appEndpoint({ b: 0.5, c: 0.4 }, { spec: { route: "e", timeoutMs: -1 } }),
          f: appEndpoint({ b: 1 }, { spec: { route: "/taken/" } }),
          g: appEndpoint({ b: 1 }, { spec: { route: "/x/:a" } }),
          h: appEndpoint({ b: 1 }, { spec: { route: "/x/:b" } }),
        },
      ),
    );
    expect(error?.code).toBe("app-invalid");
    for (const part of [
      "backends.b.config.numReplicas must be a positive integer, got 0.",
      "backends.b.config.maxSurge and maxUnavailable are both 0",
      "backends.no name: a tag must be",
      'endpoints.e.route "e" does not start with "/"',
      "endpoints.e.timeoutMs must be above 0, got -1.",
      "endpoints.e.traffic: weights sum to 0.9, not 1",
      'endpoints.e names "c", which the app does not have.',
      'endpoints.f.route "/taken/": endpoint "taken" answers the same paths.',
      'endpoints.h.route "/x/:b": endpoint "g" answers the same paths.',
    ]) {
      expect(error?.message).toContain(part);
    }
    expect((error as { details?: { problems?: unknown[] } }).details?.problems).toHaveLength(9);
  });

  test("an endpoint that names a backend which leaves the file", () => {
    world.call(flowers());
    world.settle();
    const call = deploy("flowers", { v1: appBackend({ numReplicas: 2 }, "d1") }, flowers().endpoints);
    const error = errorOf(world.call(call).outcome);
    expect(error).toMatchObject({ code: "backend-unknown", message: expect.stringContaining('names "v2"') });
    expect(backend("v2")?.deleting).toBeUndefined();
  });

  test("more changes than one transaction holds, with both numbers", () => {
    const most = (MAX_DEPLOY_CHANGES - 3) / 2;
    const many = (count: number) =>
      deploy("many", Object.fromEntries(Array.from({ length: count }, (_, index) => [`b${index}`, appBackend()])));
    const error = refusal(many(most + 1));
    expect(error).toMatchObject({ code: "value-too-large", details: { maxTxnOps: MAX_DEPLOY_CHANGES } });
    expect(error?.message).toContain(`writes ${2 * (most + 1) + 2} values`);
    expect(error?.message).toContain(`at most ${MAX_DEPLOY_CHANGES} fit`);

    const { id } = world.call(many(most));
    expect(world.decisions.at(-1)!.changes.length).toBe(2 * most + 2);
    world.settle();
    expect(world.goal(id).state).toBe("reached");
  });

  test("an app larger than one value holds, with both numbers", () => {
    const half = appBackend({ userConfig: "x".repeat(MAX_VALUE_BYTES / 2) });
    const error = refusal(deploy("large", { a: half, b: half }));
    expect(error).toMatchObject({ code: "value-too-large", details: { maxValueBytes: MAX_VALUE_BYTES } });
    expect(error?.message).toMatch(/has 1000\d\d\d bytes; at most 1000000/);
  });

  test("a transaction of too many bytes, with both numbers", () => {
    const third = appBackend({ userConfig: "x".repeat(MAX_VALUE_BYTES / 4) });
    const error = refusal(deploy("large", { a: third, b: third, c: third }));
    expect(error).toMatchObject({ code: "value-too-large", details: { maxBytes: expect.any(Number) } });
  });
});
