/** The life of backends through the one door, `decide`, with an agent that does as it is told. */
import { beforeEach, describe, expect, test } from "vitest";
import { createBackend, createEndpoint, deleteBackend, update } from "../../tests/harness/calls.ts";
import { CoreWorld } from "../../tests/harness/core-world.ts";
import type { BackendTag } from "../model/ids.ts";
import type { Json } from "../model/json.ts";

const BOOM = { code: "start-failed", message: "no weights" };

let world: CoreWorld;
beforeEach(() => {
  world = new CoreWorld();
});

const names = (backend: string) => world.replicas(backend).map((replica) => replica.actor);
const running = (backend: string) => world.replicas(backend).filter((replica) => replica.phase === "ready").length;
const errorOf = (outcome: { readonly kind: string }) =>
  (outcome as { readonly error?: { readonly code: string; readonly message: string } }).error;

describe("creating a backend", () => {
  test("starts the wanted replicas, and is reached when all of them run", () => {
    const { id } = world.call(createBackend("b", { numReplicas: 3 }));
    expect(names("b")).toHaveLength(3);
    expect(world.goal(id)).toMatchObject({ state: "pending", progress: { done: 0, total: 3 } });
    world.actAgent(world.replicas("b")[0]!.actor);
    world.decideAll();
    expect(world.goal(id)).toMatchObject({ state: "pending", progress: { done: 1, total: 3 } });
    world.settle();
    expect(world.goal(id)).toEqual({ id, state: "reached" });
  });

  test("a start that fails to its last attempt fails the goal with the user's error, and is not tried for ever (defect 7 of the ancestor)", () => {
    world.fateOf = () => ({ fails: BOOM });
    const { id } = world.call(createBackend("b"));
    world.settle();
    const goal = world.goal(id);
    expect(goal.state).toBe("failed");
    expect(goal.error?.code).toBe("start-failed");
    expect(goal.error?.message).toContain("no weights");
    expect(goal.error?.message).toContain("b#");
    expect(names("b")).toHaveLength(1);
  });

  test("the next change replaces what could not start", () => {
    world.fateOf = () => ({ fails: BOOM });
    const first = world.call(createBackend("b", { userConfig: "bad" }));
    world.settle();
    const [failed] = names("b");
    world.fateOf = () => "ready";
    const second = world.call(update("b", { userConfig: "good" }));
    world.settle();
    expect(world.goal(first.id).state).toBe("failed");
    expect(world.goal(second.id).state).toBe("reached");
    expect(names("b")).toHaveLength(1);
    expect(names("b")).not.toContain(failed);
  });

  test("a start that failed with the configuration before a change does not fail the change, though the last attempt is told of only then", () => {
    world.call(createBackend("b", { userConfig: "bad" }));
    const [first] = names("b");
    world.report(first!, { failedStarts: 2, startedRevision: 1, error: BOOM });
    const change = world.call(update("b", { userConfig: "good" }));
    world.decideAll();
    expect(world.view.assignment(first!)).toMatchObject({ configRevision: 2 });
    world.report(first!, { state: "exited", failedStarts: 3, startedRevision: 1, error: BOOM });
    world.decideAll();
    expect(world.goal(change.id).state).toBe("pending");
    world.settle();
    expect(world.goal(change.id).state).toBe("reached");
    expect(names("b")).toEqual([first]);
  });

  test("the same value under a new id shares a goal that is pending or reached, and tries again one that failed", () => {
    const first = world.call(createBackend("b"));
    const pending = world.call(createBackend("b", { numReplicas: 1 }));
    world.settle();
    const reached = world.call(createBackend("b"));
    for (const { id } of [first, pending, reached]) expect(world.goal(id).state).toBe("reached");
    expect(names("b")).toEqual(["b#1"]);

    world.fateOf = () => ({ fails: BOOM });
    const broken = world.call(createBackend("c"));
    world.settle();
    world.fateOf = () => "ready";
    const again = world.call(createBackend("c"));
    world.settle();
    expect(world.goal(broken.id).state).toBe("failed");
    expect(world.goal(again.id).state).toBe("reached");
    expect(running("c")).toBe(1);
  });

  test("another value is refused, and the message names the difference", () => {
    world.call(createBackend("b"));
    const config = world.call(createBackend("b", { numReplicas: 2, userConfig: 1 })).outcome;
    expect(errorOf(config)).toMatchObject({
      code: "backend-exists",
      message: expect.stringContaining("numReplicas, userConfig"),
    });
    const code = { kind: "export", module: "file:///app/other.ts", export: "Iris", args: [] } as const;
    expect(errorOf(world.call(createBackend("b", {}, code)).outcome)?.message).toContain("file:///app/iris.ts#Iris");
  });

  test("a creation that failed can be made again with another value, which is a new attempt", () => {
    world.fateOf = ({ spec }) =>
      spec.kind === "replica" && spec.config.userConfig === "good" ? "ready" : { fails: BOOM };
    const first = world.call(createBackend("b", { userConfig: "bad" }));
    expect(errorOf(world.call(createBackend("b", { userConfig: "good" })).outcome)?.code).toBe("backend-exists");
    world.settle();
    expect(world.goal(first.id).error?.message).toMatch(/create it again, or delete it\.$/);
    const second = world.call(createBackend("b", { userConfig: "worse" }));
    world.settle();
    expect(world.goal(second.id)).toMatchObject({ state: "failed", error: { code: "start-failed" } });
    const third = world.call(createBackend("b", { userConfig: "good" }));
    world.settle();
    expect(world.goal(third.id).state).toBe("reached");
    expect(names("b")).toEqual(["b#3"]);
    expect(world.view.backend("b" as BackendTag)?.config).toEqual({ userConfig: "good" });

    // A late retry of the first call is that call, and undoes nothing.
    world.call(createBackend("b", { userConfig: "bad" }), first.id);
    world.settle();
    expect(running("b")).toBe(1);
    expect(world.view.backend("b" as BackendTag)?.config).toEqual({ userConfig: "good" });
  });

  test("what has run once is not created as something else, even when it fails later", () => {
    world.call(createBackend("b"));
    world.settle();
    world.fateOf = () => ({ fails: BOOM });
    const changed = world.call(update("b", { env: { A: "1" } }));
    world.settle();
    expect(world.goal(changed.id)).toMatchObject({
      state: "failed",
      error: { message: expect.stringMatching(/make the change again\.$/) },
    });
    expect(errorOf(world.call(createBackend("b", { userConfig: 1 })).outcome)?.code).toBe("backend-exists");
    const again = world.call(createBackend("b", { env: { A: "1" } }));
    world.settle();
    expect(world.goal(again.id).state).toBe("failed");
    expect(errorOf(world.call(createBackend("b", { userConfig: 1 })).outcome)?.code).toBe("backend-exists");
    expect(running("b")).toBe(1);
  });

  test("a failed creation is tried again also when its goal is forgotten, by a controller that never saw it", () => {
    world.fateOf = () => ({ fails: BOOM });
    const first = world.call(createBackend("b"));
    world.settle();
    world.saved.delete(world.keys.goal(first.id));
    world.crash();
    world.fateOf = () => "ready";
    const again = world.call(createBackend("b"));
    world.settle();
    expect(world.goal(again.id).state).toBe("reached");
    expect(running("b")).toBe(1);
  });

  test("bad input changes nothing", () => {
    const before = world.saved.size;
    expect(errorOf(world.call(createBackend("a/b")).outcome)?.code).toBe("tag-invalid");
    expect(errorOf(world.call(createBackend("b", { numReplicas: -1 })).outcome)?.code).toBe("config-invalid");
    const huge = { userConfig: "x".repeat(1_000_000) };
    expect(errorOf(world.call(createBackend("b", huge)).outcome)?.code).toBe("value-too-large");
    expect(world.saved.size).toBe(before);
  });

  test("hundreds of replicas come in steps that each fit a transaction", () => {
    const { id } = world.call(createBackend("b", { numReplicas: 500 }));
    world.settle();
    expect(running("b")).toBe(500);
    expect(new Set(names("b")).size).toBe(500);
    expect(world.goal(id).state).toBe("reached");
    expect(Math.max(...world.decisions.map((decision) => decision.changes.length))).toBeLessThanOrEqual(120);
  });

  test("a configuration that leaves no room for its row in the same transaction is weighed a few times, not in a loop", () => {
    world.call(createBackend("b"));
    world.settle();
    let weighed = 0;
    const userConfig = {
      toJSON: () => {
        weighed += 1;
        return "x".repeat(900_000);
      },
    } as unknown as Json;
    const { id } = world.call(update("b", { userConfig }));
    world.settle();
    expect(world.goal(id).state).toBe("reached");
    expect(weighed).toBeLessThan(12);
  });

  test("rows with large configurations come in transactions that the store takes", () => {
    world.call(createBackend("b", { numReplicas: 6, userConfig: "x".repeat(400_000) }));
    world.settle();
    expect(running("b")).toBe(6);
    const bytes = (decision: (typeof world.decisions)[number]) =>
      decision.changes.reduce((sum, change) => sum + (change.text?.length ?? 0), 0);
    expect(Math.max(...world.decisions.map(bytes))).toBeLessThan(1_500_000);
  });

  test("without a registered node replicas wait, and are placed when one comes", () => {
    world.loseNode();
    world.decideAll();
    const { id } = world.call(createBackend("b"));
    expect(names("b")).toHaveLength(0);
    expect(world.decisions.at(-1)?.reasons.get("backend/b")).toContain("no node is registered");
    world.setNode(2);
    world.settle();
    expect(world.goal(id).state).toBe("reached");
  });
});

describe("updating a backend", () => {
  beforeEach(() => {
    world.call(createBackend("b", { numReplicas: 3 }));
    world.settle();
  });

  test("a live field reaches the running replicas and is reached when each has applied it", () => {
    const before = names("b");
    const { id } = world.call(update("b", { userConfig: { threshold: 2 } }));
    world.actAgent(before[0]!);
    world.decideAll();
    expect(world.goal(id)).toMatchObject({ state: "pending", progress: { done: 1, total: 3 } });
    expect(world.goal(id).laggards).toEqual(before.slice(1));
    world.settle();
    expect(world.goal(id).state).toBe("reached");
    expect(names("b")).toEqual(before);
  });

  test("a reconfigure that throws fails the goal and leaves the replica alone", () => {
    const [first] = names("b");
    const { id } = world.call(update("b", { userConfig: "bad" }));
    const { configRevision } = world.view.assignment(first!)!;
    const error = { code: "reconfigure-failed", message: "no such threshold", details: { configRevision } };
    world.report(first!, { error });
    world.decideAll();
    expect(world.goal(id)).toMatchObject({ state: "failed", error: { code: "reconfigure-failed" } });
    expect(running("b")).toBe(3);
    // The refusal of an older revision says nothing about a newer one.
    const next = world.call(update("b", { userConfig: "good" }));
    world.decideAll();
    expect(world.goal(next.id).state).toBe("pending");
    world.settle();
    expect(world.goal(next.id).state).toBe("reached");
  });

  test("a replica whose code turns out not to offer what the configuration needs fails the goal, and is left alone", () => {
    const [first] = names("b");
    const { id } = world.call(update("b", { maxBatchSize: 4 }));
    const { configRevision } = world.view.assignment(first!)!;
    const error = { code: "config-invalid", message: "it declares no batch().", details: { configRevision } };
    world.report(first!, { error });
    world.decideAll();
    const message = `backend "b": replica ${first} refused it: it declares no batch(). It goes on serving with its last configuration; correct it and update again.`;
    expect(world.goal(id)).toMatchObject({ state: "failed", error: { code: "config-invalid", message } });
    expect(running("b")).toBe(3);
  });

  test("a scale changes the number of replicas and touches no other", () => {
    const before = names("b");
    const { id } = world.call(update("b", { numReplicas: 5 }));
    world.settle();
    expect(names("b").slice(0, 3)).toEqual(before);
    expect(running("b")).toBe(5);
    expect(world.goal(id).state).toBe("reached");
  });

  test("scaling down takes exactly as many as are too many: not-ready ones first, then the youngest", () => {
    world.call(update("b", { numReplicas: 6 }));
    world.settle();
    const before = names("b");
    world.report(before[1]!, { state: "starting", address: undefined });
    world.decideAll();
    const { id } = world.call(update("b", { numReplicas: 4 }));
    world.decideAll();
    const going = world.assignments().filter((assignment) => assignment.intent.kind !== "run");
    expect(going.map((assignment) => assignment.actor).sort()).toEqual([before[1], before[5]].sort());
    world.settle();
    expect(names("b")).toEqual([before[0], before[2], before[3], before[4]]);
    expect(world.goal(id).state).toBe("reached");
  });

  test("a newer change supersedes the goal of an older one that is pending", () => {
    const older = world.call(update("b", { numReplicas: 4 }));
    const newer = world.call(update("b", { numReplicas: 5 }));
    expect(world.goal(older.id)).toMatchObject({ state: "superseded", supersededBy: newer.id });
    world.settle();
    expect(world.goal(newer.id).state).toBe("reached");
  });

  test("an unknown backend is refused with its tag", () => {
    expect(errorOf(world.call(update("nobody", {})).outcome)).toMatchObject({
      code: "backend-unknown",
      message: expect.stringContaining('"nobody"'),
    });
  });

  test("ids that share a goal share how it ends", () => {
    const first = world.call(update("b", { numReplicas: 4 }));
    const second = world.call(update("b", { numReplicas: 4 }));
    const third = world.call(update("b", { numReplicas: 5 }));
    world.settle();
    expect(world.goal(second.id)).toMatchObject({ state: "superseded", supersededBy: third.id });
    expect(world.view.goal(first.id)?.state).toBe("superseded");
    expect(world.view.goal(second.id)?.state).toBe("superseded");
  });
});

describe("deleting a backend", () => {
  beforeEach(() => {
    world.call(createBackend("b", { numReplicas: 2 }));
    world.settle();
  });

  test("drains its replicas and is reached when the last process is gone", () => {
    const { id } = world.call(deleteBackend("b"));
    world.decideAll();
    expect(world.assignments().map((assignment) => assignment.intent.kind)).toEqual(["drain", "drain"]);
    expect(world.reason("b")).toBe("it is being deleted: 2 replicas finish what they have begun, for at most 20 s.");
    world.actAgent(names("b")[0]!);
    world.decideAll();
    expect(world.goal(id).state).toBe("pending");
    expect(world.reason("b")).toBe("it is being deleted: 1 replica finishes what it has begun, for at most 20 s.");
    world.settle();
    expect(world.goal(id).state).toBe("reached");
    expect(world.reason("b")).toBeUndefined();
    expect(world.view.count("backend")).toBe(0);
    expect(world.view.count("assignment")).toBe(0);
  });

  test("is refused while an endpoint names it, a weight of 0 and a shadow included", () => {
    world.call(createBackend("c"));
    world.call(createEndpoint("e", { c: 1, b: 0 }));
    world.call(createEndpoint("f", { c: 1 }, { shadows: { b: 0.1 } }));
    const error = errorOf(world.call(deleteBackend("b", true)).outcome);
    expect(error?.code).toBe("backend-in-use");
    expect(error?.message).toContain('"e" and "f"');
  });

  test("by force kills at once, also what drains already", () => {
    world.call(deleteBackend("b"));
    world.decideAll();
    const { id } = world.call(deleteBackend("b", true));
    expect(world.assignments().map((assignment) => assignment.intent.kind)).toEqual(["kill", "kill"]);
    expect(world.reason("b")).toBe("it is being deleted: 2 replicas are killed.");
    world.settle();
    expect(world.goal(id).state).toBe("reached");
  });

  test("of a backend that still starts ends it (defect 19 of the ancestor)", () => {
    const other = world.call(createBackend("d"));
    world.call(createBackend("c", { numReplicas: 4 }));
    world.decideAll();
    // One runs, one starts, one has failed to, of one its agent has not heard.
    const [ready, starting, failed] = names("c");
    world.actAgent(ready!);
    world.report(starting!, { state: "starting" });
    world.report(failed!, { state: "exited", failedStarts: 3, startedRevision: 1, error: BOOM });
    world.decideAll();
    const { id } = world.call(deleteBackend("c"));
    world.settle();
    expect(world.goal(id).state).toBe("reached");
    expect(world.replicas("c")).toEqual([]);
    expect(world.decisions.flatMap(({ faults }) => faults)).toEqual([]);
    expect(world.goal(other.id).state).toBe("reached");
  });

  test("of an absent one is reached, and its late repetition does not delete what was created since", () => {
    const { id } = world.call(deleteBackend("c"));
    expect(world.goal(id).state).toBe("reached");
    world.call(createBackend("c"));
    world.settle();
    world.call(deleteBackend("c"), id);
    world.settle();
    expect(running("c")).toBe(1);
  });

  test("while it is under way the tag cannot be used", () => {
    const { id } = world.call(deleteBackend("b"));
    expect(errorOf(world.call(createBackend("b", { numReplicas: 2 })).outcome)).toMatchObject({
      code: "backend-deleting",
      message: expect.stringContaining(id),
    });
    expect(errorOf(world.call(createEndpoint("e", { b: 1 })).outcome)?.code).toBe("backend-deleting");
  });
});
