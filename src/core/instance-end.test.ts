/** stop, start again, shutdown; and the proxies, which come with the instance and go first. */
import { describe, expect, test } from "vitest";
import { createBackend, createEndpoint, shutdown, stop } from "../../tests/harness/calls.ts";
import { CoreWorld } from "../../tests/harness/core-world.ts";

const withProxy = () => {
  const world = new CoreWorld({ location: "head", proxiesPerNode: 2 });
  world.call(createBackend("b", { numReplicas: 2 }));
  world.call(createEndpoint("e", { b: 1 }));
  world.settle(1_000);
  return world;
};
const kinds = (world: CoreWorld) =>
  world
    .assignments()
    .map(({ spec, intent }) => `${spec.kind} ${intent.kind}`)
    .sort();
const errorOf = (outcome: { readonly kind: string }) =>
  (outcome as { readonly error?: { readonly code: string; readonly message: string } }).error;

describe("proxies", () => {
  test("as many as wanted run on the head node, with ordinals from the one counter", () => {
    const world = withProxy();
    expect(kinds(world)).toEqual(["proxy run", "proxy run", "replica run", "replica run"]);
    expect(new Set(world.assignments().map(({ actor }) => actor.split("#")[1])).size).toBe(4);
  });

  test("none run where none are wanted", () => {
    expect(new CoreWorld({ location: "none" }).assignments()).toEqual([]);
  });

  test("of a silent node are kept", () => {
    const world = withProxy();
    world.loseNode();
    world.settle(1_000);
    expect(kinds(world).filter((it) => it === "proxy run")).toHaveLength(2);
  });
});

describe("stop", () => {
  test("drains the proxies first, then the replicas, and keeps what was asked for", () => {
    const world = withProxy();
    const wishes = world.wishes();
    const { id } = world.call(stop());
    world.decideAll();
    expect(kinds(world)).toEqual(["proxy drain", "proxy drain", "replica run", "replica run"]);
    for (const { actor, spec } of world.assignments()) if (spec.kind === "proxy") world.actAgent(actor);
    world.decideAll();
    world.now += 1_000;
    world.decideAll();
    expect(kinds(world)).toEqual(["replica drain", "replica drain"]);
    world.settle();
    expect(world.goal(id).state).toBe("reached");
    expect(world.view.instance()?.phase).toBe("stopped");
    expect(world.assignments()).toEqual([]);
    expect(world.wishes()).toEqual(wishes);
  });

  test("is undone by the next start, which gives every actor a new ordinal", () => {
    const world = withProxy();
    world.call(stop());
    world.settle();
    const next = world.view.instance()!.nextOrdinal;
    // The harness resumes with each new life, as `start` does.
    world.crash();
    world.settle();
    expect(world.view.instance()?.phase).toBe("running");
    expect(kinds(world)).toEqual(["proxy run", "proxy run", "replica run", "replica run"]);
    for (const { actor } of world.assignments()) expect(Number(actor.split("#")[1])).toBeGreaterThanOrEqual(next);
  });

  test("refuses changes with what to do, and takes a second stop for the same", () => {
    const world = withProxy();
    const first = world.call(stop());
    const error = errorOf(world.call(createBackend("c")).outcome);
    expect(error).toMatchObject({ code: "instance-stopping", message: expect.stringContaining("start it again") });
    const second = world.call(stop());
    world.settle();
    expect([world.goal(first.id).state, world.goal(second.id).state]).toEqual(["reached", "reached"]);
    expect(world.goal(world.call(stop()).id).state).toBe("reached");
  });
});

describe("shutdown", () => {
  test("saves its tombstone before anything ends, and erases when the last process is gone", () => {
    const world = withProxy();
    world.call(shutdown());
    const [first] = world.decisions.filter((decision) => decision.replies.length > 0).slice(-1);
    expect(first?.changes.some(({ fact }) => fact.kind === "instance" && fact.after?.phase === "erasing")).toBe(true);
    expect(world.decisions.some((decision) => decision.erase)).toBe(false);
    world.settle();
    expect(world.assignments()).toEqual([]);
    expect(world.decisions.some((decision) => decision.erase)).toBe(true);
  });

  test("is finished by whatever life finds it, and never resumed", () => {
    const world = withProxy();
    world.call(shutdown());
    world.crash();
    expect(world.view.instance()?.phase).toBe("erasing");
    world.settle();
    expect(world.decisions.some((decision) => decision.erase)).toBe(true);
  });

  test("gives running queries five seconds at most", () => {
    const world = withProxy();
    world.call(shutdown());
    world.decideAll();
    const drains = world.assignments().flatMap(({ intent }) => (intent.kind === "drain" ? [intent.timeoutMs] : []));
    expect(drains).toEqual([5_000, 5_000]);
  });

  test("of a stopped instance erases it too", () => {
    const world = withProxy();
    world.call(stop());
    world.settle();
    world.call(shutdown());
    world.settle();
    expect(world.decisions.some((decision) => decision.erase)).toBe(true);
  });
});
