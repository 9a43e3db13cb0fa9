/** Goal ids as idempotency keys, and how long goals are kept. */
import { beforeEach, describe, expect, test } from "vitest";
import {
  appBackend,
  createBackend,
  createEndpoint,
  deleteBackend,
  deploy,
  setTraffic,
  update,
} from "../../tests/harness/calls.ts";
import { CoreWorld } from "../../tests/harness/core-world.ts";
import type { GoalId } from "../model/ids.ts";
import { GOAL_KEEP_MS, GOAL_RESEND_MS, MAX_GOALS } from "../model/limits.ts";

let world: CoreWorld;
beforeEach(() => {
  world = new CoreWorld();
});

const errorOf = (outcome: { readonly kind: string }) =>
  (outcome as { readonly error?: { readonly code: string; readonly message: string } }).error;

describe("a goal id", () => {
  test("is the same goal however often it comes, and a late repetition undoes nobody's newer change", () => {
    world.call(createBackend("a"));
    world.call(createBackend("b"));
    world.call(createEndpoint("e", { a: 1 }));
    const mine = world.call(setTraffic("e", { b: 1 }));
    world.settle();
    const theirs = world.call(setTraffic("e", { a: 0.5, b: 0.5 }));
    world.settle();
    world.call(setTraffic("e", { b: 1 }), mine.id);
    world.settle();
    expect(world.goal(mine.id).state).toBe("reached");
    expect(world.goal(theirs.id).state).toBe("reached");
    expect(world.closure("e")?.traffic).toEqual({ a: 0.5, b: 0.5 });
  });

  test("survives a crash between the save and the answer (defect 4 of the ancestor)", () => {
    const names = () => world.assignments().map(({ actor }) => actor);
    const { id } = world.call(createBackend("a", { numReplicas: 3 }));
    world.decideAll();
    // One runs, one starts, of one its agent has not heard.
    world.actAgent(names()[0]!);
    world.report(names()[1]!, { state: "starting" });
    world.crash();
    world.call(createBackend("a", { numReplicas: 3 }), id);
    world.decideAll();
    expect(names()).toEqual(["a#1", "a#2", "a#3"]);
    world.settle();
    expect(world.goal(id).state).toBe("reached");
    expect(names()).toEqual(["a#1", "a#2", "a#3"]);
  });

  test("of one call cannot name another", () => {
    const { id } = world.call(createBackend("a"));
    const error = errorOf(world.call(deleteBackend("a"), id).outcome);
    expect(error?.code).toBe("goal-id-reused");
    expect(error?.message).toContain('createBackend of "a"');
  });

  test("tells long calls apart too, without keeping them", () => {
    const large = (last: string) => createBackend("a", { userConfig: "x".repeat(10_000) + last });
    const { id } = world.call(large("1"));
    expect(world.call(large("1"), id).outcome.kind).toBe("goal");
    expect(errorOf(world.call(large("2"), id).outcome)?.code).toBe("goal-id-reused");
    expect(JSON.stringify(world.view.goal(id)).length).toBeLessThan(1_000);
  });

  test("of a refused call is free", () => {
    const id = world.drawId();
    world.call(setTraffic("e", { a: 1 }), id);
    expect(world.call(createBackend("a"), id).outcome.kind).toBe("goal");
  });
});

describe("settled goals", () => {
  test("are kept for an hour, then forgotten", () => {
    const { id } = world.call(createBackend("a"));
    world.settle();
    world.now += GOAL_KEEP_MS - 1;
    world.decideAll();
    expect(world.view.goal(id)).toBeDefined();
    world.now += 60_000;
    world.decideAll();
    expect(world.view.goal(id)).toBeUndefined();
    expect(world.view.count("goal")).toBe(0);
  });

  test("above the bound the oldest go first, but none that may still be sent again", () => {
    world.call(createBackend("a"));
    world.settle();
    const extra = 150;
    const ids: GoalId[] = [];
    for (let index = 0; index < MAX_GOALS + extra; index += 1) ids.push(world.call(createBackend("a")).id);
    world.settle(0);
    expect(world.view.count("goal")).toBe(MAX_GOALS + extra + 1);
    world.now += GOAL_RESEND_MS + 1_000;
    world.decideAll();
    expect(world.view.count("goal")).toBe(MAX_GOALS);
    expect(world.view.goal(ids[extra - 1]!)).toBeUndefined();
    expect(world.view.goal(ids.at(-1)!)).toBeDefined();
  });

  test("a value whose goal is forgotten can be asked for again, and is reached", () => {
    world.call(createBackend("a"));
    world.settle();
    world.now += 2 * GOAL_KEEP_MS;
    world.decideAll();
    const again = world.call(createBackend("a"));
    world.settle();
    expect(world.goal(again.id).state).toBe("reached");
    expect(world.replicas("a").map((replica) => replica.actor)).toEqual(["a#1"]);
  });

  test("many ids that share one goal are settled in steps", () => {
    const first = world.call(createBackend("a"));
    const ids = Array.from({ length: 300 }, () => world.call(createBackend("a")).id);
    world.settle();
    for (const id of [first.id, ...ids]) expect(world.view.goal(id)?.state).toBe("reached");
  });
});

test("an error too long for the store is cut", () => {
  world.fateOf = () => ({ fails: { code: "start-failed", message: "x".repeat(1_500_000) } });
  const { id } = world.call(createBackend("a"));
  world.settle();
  expect(world.goal(id).error?.message.length).toBeLessThan(5_000);
  world.fateOf = () => "ready";
  world.call(update("a", { userConfig: 1 }));
  world.settle();
  expect(world.replicas("a")).toHaveLength(1);
});

test("a goal keeps what tells one value of env from another, and no value", () => {
  const secret = "hunter2";
  const created = world.call(createBackend("a", { env: { TOKEN: secret } }));
  const updated = world.call(update("a", { env: { TOKEN: `${secret}!` } }));
  const deployed = world.call(deploy("app", { b: appBackend({ env: { TOKEN: secret } }) }, {}));
  for (const { id } of [created, updated, deployed]) {
    const { text } = world.saved.get(world.keys.goal(id))!;
    expect(text).toContain("TOKEN");
    expect(text).not.toContain(secret);
  }
  const again = world.call(createBackend("a", { env: { TOKEN: secret } }), created.id).outcome;
  expect(again.kind).toBe("goal");
  const other = world.call(createBackend("a", { env: { TOKEN: "other" } }), created.id).outcome;
  expect(other).toMatchObject({ kind: "refused", error: { code: "goal-id-reused" } });
});
