/** A backend whose newest roll-out has failed stays at full strength with the version that ran before, whatever becomes of its replicas. */
import { beforeEach, describe, expect, test } from "vitest";
import {
  appBackend,
  createBackend,
  createEndpoint,
  deleteBackend,
  deleteEndpoint,
  deploy,
  restart,
  update,
} from "../../tests/harness/calls.ts";
import { CoreWorld } from "../../tests/harness/core-world.ts";
import type { Assignment } from "../model/actor.ts";
import type { BackendConfigInput } from "../model/backend-config.ts";
import type { BackendTag, NodeName } from "../model/ids.ts";

const BOOM = { code: "start-failed", message: "no weights" };
const BAD = { env: { MODEL: "missing" } };

let world: CoreWorld;
beforeEach(() => {
  world = new CoreWorld();
  world.fateOf = (assignment) => (modelOf(assignment) === "missing" ? { fails: BOOM } : "ready");
});

const modelOf = ({ spec }: Assignment) => (spec.kind === "replica" ? spec.config.env["MODEL"] : undefined);
const record = () => world.view.backend("b" as BackendTag)!;
/** The models of the replicas that are ready. */
const served = () =>
  world
    .replicas("b")
    .filter((replica) => replica.phase === "ready")
    .map(({ assignment }) => modelOf(assignment));

const start = (config: BackendConfigInput = {}) => {
  world.call(createBackend("b", { numReplicas: 2, env: { MODEL: "one" }, ...config }));
  world.call(createEndpoint("e", { b: 1 }));
  world.settle();
};
const failing = (config: BackendConfigInput = BAD) => {
  const { id } = world.call(update("b", config));
  world.settle();
  expect(world.goal(id).state).toBe("failed");
};
/** Of a stopped instance no replica is left; a start makes a new life of what is saved. */
const stopAndStart = () => {
  world.call({ kind: "stop" });
  world.settle();
  expect(world.assignments()).toEqual([]);
  world.crash();
  world.settle();
};

describe("after a failed roll-out", () => {
  test("a stop and a start bring back the version that ran, at full strength, and do not try the failed one", () => {
    start();
    failing();
    const tried = world.actions.length;
    stopAndStart();
    expect(served()).toEqual(["one", "one"]);
    expect(world.replicas("b")).toHaveLength(2);
    expect(world.actions.slice(tried).filter(({ action }) => action === "start replica")).toHaveLength(2);
    expect(world.actions.findLast(({ action }) => action === "start replica")?.reason).toBe(
      "the newest roll-out has failed: the version before it (configuration 1) takes its place",
    );
    expect(world.reason("b")).toMatch(
      /roll-out stopped: replica b#\d+ failed to start 3 times: no weights\. 2 of 2 replicas run the version before it \(configuration 1\)\. Change/,
    );
    const kept = world.replicas("b").map(({ actor }) => actor);
    world.crash();
    world.settle();
    expect(world.replicas("b").map(({ actor }) => actor)).toEqual(kept);
  });

  test("an old replica that its agent has given up is replaced by one of its version, with growing pauses while that fails too", () => {
    start();
    failing();
    const [first] = world.replicas("b");
    world.fateOf = () => ({ fails: BOOM });
    world.report(first!.actor, { state: "exited", failedStarts: 3, error: BOOM, address: undefined });
    world.settle(60_000);
    expect(served()).toEqual(["one"]);
    expect(record().recovery!.count).toBeGreaterThan(3);
    expect(record().recovery!.count).toBeLessThan(10);
    expect(world.reason("b")).toContain("in a row have not helped");

    world.fateOf = (assignment) => (modelOf(assignment) === "missing" ? { fails: BOOM } : "ready");
    world.settle(120_000);
    expect(served()).toEqual(["one", "one"]);
  });

  test("what a lost node took with it is started of the version that ran", () => {
    for (const node of ["second", "third"]) world.setNode(1, { node: node as NodeName });
    start({ numReplicas: 3 });
    failing();
    const lost = world.replicas("b").find(({ assignment }) => assignment.node === "second");
    expect(lost).toBeDefined();
    world.loseNode("second" as NodeName);
    world.settle(60_000);
    expect(served()).toEqual(["one", "one", "one"]);
    expect(world.assignments().filter(({ node }) => node === "second")).toEqual([]);
  });

  test("without surge the version that ran takes the place of the one that failed", () => {
    start({ numReplicas: 1, maxSurge: 0, maxUnavailable: 1 });
    failing();
    expect(served()).toEqual(["one"]);
  });

  test("a new replica that is unhealthy goes when it takes the only place", () => {
    world.fateOf = (assignment) => (modelOf(assignment) === "missing" ? { ill: "no weights" } : "ready");
    start({ numReplicas: 1, maxSurge: 0, maxUnavailable: 1 });
    const { id } = world.call(update("b", BAD));
    world.settle(60_000);
    expect(world.goal(id).state).toBe("failed");
    expect(served()).toEqual(["one"]);
    expect(world.reason("b")).toContain("no weights");
  });

  test("where its node has room for one alone, the record of the failed replica makes room", () => {
    world.setNode(1, { cpus: 1 });
    start({ numReplicas: 1, maxSurge: 0, maxUnavailable: 1, resources: { cpu: 1 } });
    failing();
    expect(served()).toEqual(["one"]);
  });

  test("fewer replicas of the version that ran go on when fewer are wanted, and the change tries the new version again", () => {
    start({ numReplicas: 3 });
    failing();
    const { id } = world.call(update("b", { numReplicas: 1 }));
    world.settle();
    expect(world.goal(id).state).toBe("failed");
    expect(served()).toEqual(["one"]);
    stopAndStart();
    expect(served()).toEqual(["one"]);
  });

  test("a restart, the same call again and another change each try again; the version that ran stays until one has run", () => {
    start();
    failing();
    for (const again of [restart("b"), update("b", BAD), update("b", { ...BAD, maxConcurrentQueries: 3 })]) {
      stopAndStart();
      const { id } = world.call(again);
      world.settle();
      expect(world.goal(id).state).toBe("failed");
      expect(record().proven).toMatchObject({ rollout: 1, config: { env: { MODEL: "one" } } });
      expect(served()).toEqual(["one", "one"]);
    }
    const { id } = world.call(update("b", { env: { MODEL: "two" } }));
    world.settle();
    expect(world.goal(id).state).toBe("reached");
    expect(served()).toEqual(["two", "two"]);
    expect([record().proven, record().stopped]).toEqual([undefined, undefined]);
    failing();
    stopAndStart();
    expect(served()).toEqual(["two", "two"]);
  });

  test("a configuration that running replicas refused is not taken for one that ran", () => {
    start();
    const [first] = world.replicas("b");
    world.call(update("b", { userConfig: "refused" }));
    world.decideAll();
    const details = { configRevision: record().configRevision };
    world.report(first!.actor, { error: { code: "reconfigure-failed", message: "no", details } });
    world.decideAll();
    failing();
    expect(record().proven?.configRevision).toBe(1);
    stopAndStart();
    const specs = world.replicas("b").map(({ assignment }) => assignment.spec);
    expect(specs.map((spec) => spec.kind === "replica" && spec.config.userConfig)).toEqual([undefined, undefined]);
  });

  test("what a plan says of a retry is what then happens", () => {
    start();
    failing();
    stopAndStart();
    const words = (actions: readonly { readonly action: string; readonly target: string }[]) =>
      actions.map(({ action, target }) => `${action} ${target}`);
    const plan = world.plan(update("b", { env: { MODEL: "two" } }));
    const planned = words(plan.kind === "actions" ? plan.actions : []);
    expect(planned.filter((it) => it.startsWith("start "))).toHaveLength(2);
    const before = world.actions.length;
    world.call(update("b", { env: { MODEL: "two" } }));
    world.settle();
    const done = words(world.actions.slice(before));
    expect(planned.filter((it) => /^(start|drain) /.test(it)).sort()).toEqual(
      done.filter((it) => /^(start|drain) /.test(it)).sort(),
    );
  });

  test("a deletion ends the replicas of both versions; a backend that never ran has nothing to go back to", () => {
    start();
    failing();
    world.call(deleteEndpoint("e"));
    const { id } = world.call(deleteBackend("b"));
    world.settle();
    expect(world.goal(id).state).toBe("reached");
    expect(world.replicas("b")).toEqual([]);

    world.call(createBackend("b", BAD));
    world.settle();
    stopAndStart();
    expect(served()).toEqual([]);
    expect([record().proven, record().stopped]).toEqual([undefined, undefined]);
  });
});

describe("after a userConfig that its replicas refused", () => {
  const NO = { code: "reconfigure-failed", message: "no such threshold" };
  const userConfigs = () =>
    world
      .replicas("b")
      .filter(({ phase }) => phase === "ready")
      .map(({ assignment: { spec } }) => spec.kind === "replica" && spec.config.userConfig);
  const refused = (config: BackendConfigInput = {}) => {
    world.fateOf = ({ spec }) =>
      spec.kind === "replica" && spec.config.userConfig === "bad" ? { refuses: NO } : "ready";
    start({ userConfig: "good", ...config });
    const { id } = world.call(update("b", { userConfig: "bad" }));
    world.settle();
    expect(world.goal(id)).toMatchObject({ state: "failed", error: { code: "reconfigure-failed" } });
  };
  const give = (actor: Assignment["actor"]) => {
    const { configRevision } = world.view.assignment(actor)!;
    const failure = { failedStarts: 3, startedRevision: configRevision, error: NO };
    world.report(actor, { state: "exited", address: undefined, ...failure });
    world.settle(120_000);
  };

  test("who runs goes on, and a stop and a start bring back the one that ran, at full strength", () => {
    refused();
    const before = world.replicas("b").map(({ actor }) => actor);
    world.settle(120_000);
    expect(world.replicas("b").map(({ actor, phase }) => [actor, phase])).toEqual(before.map((it) => [it, "ready"]));
    expect(world.reason("b")).toMatch(
      /not taken: reconfigure\(\) of replica b#\d+ threw: no such threshold\. 2 of 2 replicas run with the one before it \(configuration 1\)\. Change/,
    );
    stopAndStart();
    expect(userConfigs()).toEqual(["good", "good"]);
    world.settle(120_000);
    expect(userConfigs()).toEqual(["good", "good"]);
    expect(record().config.userConfig).toBe("bad");
  });

  test("of those that took it the reason says so, until they end", () => {
    start({ userConfig: "good", numReplicas: 3 });
    const [first] = world.replicas("b");
    world.fateOf = ({ actor, spec }) =>
      actor === first?.actor && spec.kind === "replica" && spec.config.userConfig === "bad" ? { refuses: NO } : "ready";
    world.call(update("b", { userConfig: "bad" }));
    world.settle(120_000);
    expect(world.reason("b")).toMatch(
      /\. 1 of 3 replicas run with the one before it \(configuration 1\), 2 with the new one\. Change/,
    );
  });

  test("who runs is started with the one that ran when it ends, the first time already", () => {
    refused();
    const specs = world.replicas("b").map(({ assignment }) => assignment);
    expect(specs.map(({ configRevision }) => configRevision)).toEqual([1, 1]);
    expect(specs.map(({ spec }) => spec.kind === "replica" && spec.config.userConfig)).toEqual(["good", "good"]);
    expect(world.actions.at(-1)).toMatchObject({
      action: "configure replica",
      reason: "configuration 2 was refused: its next start gets configuration 1 again",
    });
  });

  test("who can start no more is replaced by one with the configuration that ran, and so is the next", () => {
    refused();
    for (const lost of world.replicas("b").map(({ actor }) => actor)) give(lost);
    expect(userConfigs()).toEqual(["good", "good"]);
    const [standIn] = world.replicas("b").filter(({ phase }) => phase === "ready");
    give(standIn!.actor);
    expect(userConfigs()).toEqual(["good", "good"]);
    expect(world.replicas("b").some(({ actor }) => actor === standIn!.actor)).toBe(false);
  });

  test("another userConfig is told to all of them, and then nothing is kept", () => {
    refused();
    give(world.replicas("b")[0]!.actor);
    const { id } = world.call(update("b", { userConfig: "better" }));
    world.settle(120_000);
    expect(world.goal(id).state).toBe("reached");
    expect(userConfigs()).toEqual(["better", "better"]);
    expect(world.replicas("b")).toHaveLength(2);
    expect([record().proven, record().stopped, world.reason("b")]).toEqual([undefined, undefined, undefined]);
  });

  test("a scale tries the refused one again, fails, and gets its replicas with the one that ran", () => {
    refused();
    const { id } = world.call(update("b", { numReplicas: 3 }));
    world.settle(120_000);
    expect(world.goal(id).state).toBe("failed");
    expect(world.replicas("b").filter(({ phase }) => phase === "ready")).toHaveLength(3);
    stopAndStart();
    expect(userConfigs()).toEqual(["good", "good", "good"]);
  });
});

test("a deploy that brings a failed backend back while it is being deleted tries it again, and its goal settles", () => {
  const file = (model: string) => deploy("app", { b: appBackend({ env: { MODEL: model } }) });
  world.call(file("one"));
  world.settle();
  for (const again of ["before", "after"]) {
    if (again === "after") world.call(deleteBackend("b"));
    const { id } = world.call(file("missing"));
    world.settle();
    expect(world.goal(id).state).toBe("failed");
    expect(served()).toEqual(["one"]);
  }
  const repaired = world.call(file("one"));
  world.settle();
  expect(world.goal(repaired.id).state).toBe("reached");
  expect(record().stopped).toBeUndefined();
});

test("a version that is too large to be kept twice is not, and its replicas go on as long as they live", () => {
  start({ userConfig: "x".repeat(20_000) });
  failing();
  expect(served()).toEqual(["one", "one"]);
  expect([record().proven, record().stopped]).toEqual([undefined, undefined]);
});
