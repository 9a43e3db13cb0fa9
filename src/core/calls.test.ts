/** What holds for every pair of calls: of one goal id, and of two that are about different things. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { CoreWorld } from "../../tests/harness/core-world.ts";
import { type AnyCall, APPS, busyWorld, call, newWorld } from "../../tests/harness/drawn-calls.ts";
import type { EndpointTag, GoalId } from "../model/ids.ts";

/** What a call is about, the backends of its endpoint as it is saved too: they cannot be deleted. */
const tagsOf = (world: CoreWorld, it: AnyCall): Set<string> => {
  if (it.kind === "deploy") return new Set(APPS[it.app]);
  const shares = "traffic" in it ? Object.keys(it.traffic) : [];
  const saved = world.view.endpoint(it.tag as EndpointTag);
  const named = [...Object.keys(saved?.traffic ?? {}), ...Object.keys(saved?.shadows ?? {})];
  return new Set([it.tag, ...shares, ...("backend" in it ? [it.backend] : []), ...named]);
};

/** All that is left of a history when it has come to rest. */
const outcomeOf = (world: CoreWorld) => {
  world.settle(60_000);
  const goals = Array.from(world.view.all("goal"), ({ id, subject, state, aliasOf }) => ({
    id,
    subject,
    state,
    aliasOf,
  }));
  const replicas = Array.from(world.view.all("backend"), ({ tag }) => [tag, world.replicas(tag).length] as const);
  return {
    wishes: world.wishes(),
    goals: goals.sort((a, b) => (a.id < b.id ? -1 : 1)),
    replicas: replicas.sort(([a], [b]) => (a < b ? -1 : 1)),
  };
};

describe("every call", () => {
  test("sent twice with one goal id is made once, whatever others changed in between", () => {
    const histories = fc.record({
      begin: fc.constantFrom(newWorld, busyWorld),
      calls: fc.array(call, { minLength: 1, maxLength: 12 }),
      first: fc.nat(),
      gap: fc.nat(),
      between: fc.constantFrom("nothing", "rest"),
      before: fc.constantFrom("nothing", "crash"),
    });
    fc.assert(
      fc.property(histories, ({ begin, calls, first, gap, between, before }) => {
        const run = (repeat: { readonly index: number; readonly after: number } | undefined) => {
          const world = begin();
          const accepted: number[] = [];
          for (const [index, it] of calls.entries()) {
            if (world.call(it, `c${index}` as GoalId).outcome.kind === "goal") accepted.push(index);
            if (between === "rest") world.settle();
            if (index !== repeat?.after) continue;
            if (before === "crash") world.crash();
            expect(world.call(calls[repeat.index]!, `c${repeat.index}` as GoalId).outcome.kind).toBe("goal");
          }
          return { accepted, ...outcomeOf(world) };
        };
        const once = run(undefined);
        // The id of a refused call is free, and by the time of a repetition it may be possible.
        const index = once.accepted[first % once.accepted.length];
        fc.pre(index !== undefined);
        expect(run({ index, after: index + (gap % (calls.length - index)) })).toEqual(once);
      }),
      { numRuns: 300 },
    );
  });

  test("commutes with every call that is about other things", () => {
    fc.assert(
      fc.property(fc.array(call, { maxLength: 10 }), call, call, (prefix, x, y) => {
        const run = (...order: readonly ("x" | "y")[]) => {
          const world = busyWorld();
          for (const it of prefix) world.call(it);
          world.settle();
          const [ofX, ofY] = [tagsOf(world, x), tagsOf(world, y)];
          fc.pre([...ofX].every((tag) => !ofY.has(tag)));
          for (const id of order) world.call(id === "x" ? x : y, id as GoalId);
          return outcomeOf(world);
        };
        expect(run("x", "y")).toEqual(run("y", "x"));
      }),
      { numRuns: 300 },
    );
  });
});
