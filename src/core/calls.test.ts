/** What holds for every pair of calls: of one goal id, and of two that are about different things. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  appBackend,
  appEndpoint,
  createBackend,
  createEndpoint,
  deleteBackend,
  deleteEndpoint,
  deploy,
  restart,
  setTraffic,
  shadowTraffic,
  update,
} from "../../tests/harness/calls.ts";
import type { CoreWorld } from "../../tests/harness/core-world.ts";
import { type AnyCall, APPS, busyWorld, call, newWorld, type Step, step } from "../../tests/harness/drawn-calls.ts";
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
    phase: world.view.instance()?.phase,
    wishes: world.wishes(),
    goals: goals.sort((a, b) => (a.id < b.id ? -1 : 1)),
    replicas: replicas.sort(([a], [b]) => (a < b ? -1 : 1)),
  };
};

/** Takes the next step of a history; answers whether it was a call, and accepted. */
const take = (world: CoreWorld, it: Step, id?: GoalId): boolean => {
  if (it.kind !== "start") return world.call(it, id).outcome.kind === "goal";
  world.crash("resume");
  return false;
};

const isApart = (world: CoreWorld, x: AnyCall, y: AnyCall): boolean =>
  tagsOf(world, x).isDisjointFrom(tagsOf(world, y));

/** Of both orders; undefined: in this world they are about one thing. */
const outcomesOf = (begin: () => CoreWorld, x: AnyCall, y: AnyCall) => {
  const run = (...order: readonly ("x" | "y")[]) => {
    const world = begin();
    if (!isApart(world, x, y)) return undefined;
    for (const id of order) world.call(id === "x" ? x : y, id as GoalId);
    return outcomeOf(world);
  };
  const [first, second] = [run("x", "y"), run("y", "x")];
  return first && second && { first, second };
};

describe("every call", () => {
  test("sent twice with one goal id is made once, whatever others changed in between, a stop and a start among it", () => {
    const histories = fc.record({
      begin: fc.constantFrom(newWorld, busyWorld),
      steps: fc.array(step, { minLength: 1, maxLength: 12 }),
      first: fc.nat(),
      gap: fc.nat(),
      between: fc.constantFrom("nothing", "rest"),
      before: fc.constantFrom("nothing", "crash"),
    });
    fc.assert(
      fc.property(histories, ({ begin, steps, first, gap, between, before }) => {
        const run = (repeat: { readonly index: number; readonly after: number } | undefined) => {
          const world = begin();
          const accepted: number[] = [];
          for (const [index, it] of steps.entries()) {
            if (take(world, it, `c${index}` as GoalId)) accepted.push(index);
            if (between === "rest") world.settle();
            if (index !== repeat?.after) continue;
            if (before === "crash") world.crash("keep");
            expect(take(world, steps[repeat.index]!, `c${repeat.index}` as GoalId)).toBe(true);
          }
          return { accepted, ...outcomeOf(world) };
        };
        const once = run(undefined);
        // The id of a refused call is free, and by the time of a repetition it may be possible.
        const index = once.accepted[first % once.accepted.length];
        fc.pre(index !== undefined);
        expect(run({ index, after: index + (gap % (steps.length - index)) })).toEqual(once);
      }),
      { numRuns: 400 },
    );
  });

  /** But `stop` and `shutdown`: what comes after them is refused, so they commute with no call that changes something, by design. */
  test("commutes with every call that is about other things, also after a stop and a start", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 10 }), call, call, (prefix, x, y) => {
        fc.pre(prefix.every(({ kind }) => kind !== "shutdown"));
        const begin = () => {
          const world = busyWorld();
          world.call(createBackend("c", { numReplicas: 2 }));
          for (const it of prefix) take(world, it);
          if (world.view.instance()?.phase !== "running") world.crash("resume");
          world.settle();
          return world;
        };
        const outcomes = outcomesOf(begin, x, y);
        fc.pre(outcomes !== undefined);
        expect(outcomes?.first).toEqual(outcomes?.second);
      }),
      { numRuns: 300 },
    );
  });

  const others: readonly AnyCall[] = [
    createBackend("d"),
    update("b", { numReplicas: 1, env: { A: "1" } }),
    restart("a"),
    deleteBackend("b2", true),
    createEndpoint("g", { a: 1 }),
    deleteEndpoint("f"),
    setTraffic("e", { b: 1 }),
    shadowTraffic("f", "a", 0.5),
    deploy("app", { p: appBackend({ numReplicas: 2 }) }, { g: appEndpoint({ p: 1 }) }),
  ];
  test.each(others)("commutes with the deletion of a backend that it does not name, forced or not ($kind)", (other) => {
    for (const force of [false, true]) {
      const begin = () => {
        const world = busyWorld();
        world.call(createBackend("c", { numReplicas: 2 }));
        world.call(createBackend("b2"));
        world.settle();
        return world;
      };
      const outcomes = outcomesOf(begin, deleteBackend("c", force), other);
      expect(outcomes?.first).toEqual(outcomes?.second);
      expect(outcomes?.first.goals).toContainEqual(expect.objectContaining({ id: "x", state: "reached" }));
      expect(outcomes?.first.goals).toContainEqual(expect.objectContaining({ id: "y", state: "reached" }));
      expect(outcomes?.first.replicas.map(([tag]) => tag)).not.toContain("c");
    }
  });
});
