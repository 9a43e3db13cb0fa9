/** Replicas that cannot do their work: how they are replaced, how often, and when they are not. */
import { beforeEach, describe, expect, test } from "vitest";
import { createBackend, createEndpoint, restart, update } from "../../tests/harness/calls.ts";
import { CoreWorld } from "../../tests/harness/core-world.ts";
import type { ActorName, BackendTag } from "../model/ids.ts";
import { REPLACE_BACKOFF_MAX_MS, REPLACE_BACKOFF_RESET_MS } from "../model/limits.ts";

const BOOM = { code: "start-failed", message: "no database" };

let world: CoreWorld;
beforeEach(() => {
  world = new CoreWorld();
});

const names = (backend = "b") => world.replicas(backend).map((replica) => replica.actor);
const ready = (backend = "b") => world.replicas(backend).filter((replica) => replica.phase === "ready").length;
const intentOf = (actor: ActorName) => world.view.assignment(actor)?.intent.kind;
const fallIll = (actor: ActorName, why = "checkHealth() threw: no GPU") =>
  world.report(actor, { health: "unhealthy", healthReason: why });
const stall = (actor: ActorName) => world.report(actor, { health: "stalled", healthReason: "it has not answered" });
const recover = (actor: ActorName) => world.report(actor, { health: "healthy", healthReason: undefined });
/** One step of every agent and router. */
const step = () => {
  world.decideAll();
  for (const { actor } of world.assignments()) world.actAgent(actor);
  world.applyEverywhere();
  world.decideAll();
};
const serve = (config: Parameters<typeof createBackend>[1]) => {
  world.call(createBackend("b", config));
  world.call(createEndpoint("e", { b: 1 }));
  world.settle();
  world.clients = [{ name: "program 1", kind: "program", applied: world.counter }];
  return names();
};

describe("an unhealthy replica", () => {
  test("that is the only one serves until its replacement, of another name, is ready; then it is withdrawn and drained", () => {
    const [ill] = serve({});
    fallIll(ill!);
    world.decideAll();
    const [, replacement] = names();
    expect(replacement).not.toBe(ill);
    expect(world.published("e", "b")).toEqual([ill]);
    expect(world.reason("b")).toContain(
      "replica b#1 is unhealthy: checkHealth() threw: no GPU. It goes when its replacement is ready.",
    );
    world.actAgent(replacement!);
    world.decideAll();
    expect(world.published("e", "b")).toEqual([replacement]);
    expect(intentOf(ill!)).toBe("run");
    world.applyEverywhere();
    world.decideAll();
    expect(intentOf(ill!)).toBe("drain");
    world.settle();
    expect(names()).toEqual([replacement]);
    expect(world.reason("b")).toBeUndefined();
  });

  test("with healthy siblings gets no queries from the start, and stays until its replacement is ready", () => {
    const [first, ill, third] = serve({ numReplicas: 3 });
    fallIll(ill!);
    world.decideAll();
    expect(world.published("e", "b")).toEqual([first, third]);
    step();
    expect(world.published("e", "b")).toHaveLength(3);
    world.settle();
    expect(names()).not.toContain(ill);
    expect(ready()).toBe(3);
  });

  test("among many serves on: no more are withdrawn than leave half of the wanted ones", () => {
    const all = serve({ numReplicas: 4 });
    for (const actor of all.slice(0, 3)) fallIll(actor);
    world.decideAll();
    expect(world.published("e", "b")).toEqual(all);
  });

  test("that recovers before its replacement is ready stays, and the replacement goes", () => {
    const [ill] = serve({});
    fallIll(ill!);
    world.decideAll();
    expect(names()).toHaveLength(2);
    recover(ill!);
    world.settle();
    expect(names()).toEqual([ill]);
    expect(world.published("e", "b")).toEqual([ill]);
  });

  test("is not replaced beyond maxSurge, and goes first where there is no surge but one may be missing", () => {
    serve({ numReplicas: 3, maxSurge: 0, maxUnavailable: 1 });
    const [, ill, other] = names();
    fallIll(ill!);
    fallIll(other!);
    for (let steps = 0; steps < 50; steps += 1) {
      step();
      expect(world.processes("b")).toBeLessThanOrEqual(3);
      expect(
        world.replicas("b").filter((it) => it.serving && it.assignment.intent.kind === "run").length,
      ).toBeGreaterThanOrEqual(2);
      world.now += 500;
    }
    expect(names()).toHaveLength(3);
    expect(names()).not.toContain(ill);
    expect(names()).not.toContain(other);
  });

  test("goes first when fewer are wanted, before any healthy one", () => {
    const [first, ill, third] = serve({ numReplicas: 3 });
    fallIll(ill!);
    world.call(update("b", { numReplicas: 2 }));
    world.settle();
    expect(names()).toEqual([first, third]);
  });
});

describe("a checkHealth() that always fails", () => {
  test("costs no more than one replacement a minute in the long run, also across crashes of the controller", () => {
    serve({});
    world.fateOf = () => ({ ill: "checkHealth() threw: always" });
    fallIll(names()[0]!);
    const ordinals: { at: number; newest: string }[] = [];
    const until = world.now + 30 * REPLACE_BACKOFF_MAX_MS;
    for (let steps = 0; world.now < until; steps += 1) {
      step();
      if (steps % 97 === 0) world.crash();
      const newest = names().at(-1)!;
      if (newest !== ordinals.at(-1)?.newest) ordinals.push({ at: world.now, newest });
      expect(world.published("e", "b").length).toBeGreaterThanOrEqual(1);
      world.now += 1_000;
    }
    const pauses = ordinals.slice(1).map(({ at }, index) => at - ordinals[index]!.at);
    expect(pauses.slice(0, 5)).toEqual([1_000, 2_000, 4_000, 8_000, 16_000].map((ms) => expect.closeTo(ms, -3.5)));
    expect(Math.min(...pauses.slice(7))).toBeGreaterThanOrEqual(REPLACE_BACKOFF_MAX_MS - 1_000);
    expect(world.reason("b")).toContain("It is replaced 60 s after the replacement before it");
  });

  test("begins with short pauses again after a while without a replacement", () => {
    const [first] = serve({});
    fallIll(first!);
    world.settle();
    world.now += REPLACE_BACKOFF_RESET_MS;
    const [second] = names();
    fallIll(second!);
    world.settle();
    expect(world.view.backend("b" as BackendTag)?.recovery?.count).toBe(1);
  });

  test("of a new version stops its roll-out: the old ones serve on, and the goal fails with the user's words", () => {
    const before = serve({ numReplicas: 3 });
    world.fateOf = ({ rollout }) => (rollout === 1 ? "ready" : { ill: "checkHealth() threw: weights do not fit" });
    const { id } = world.call(update("b", { env: { MODEL: "2" } }));
    world.settle(200_000);
    expect(world.goal(id)).toMatchObject({
      state: "failed",
      error: { code: "replica-unhealthy", message: expect.stringContaining("weights do not fit") },
    });
    expect(world.published("e", "b")).toEqual(before);
    expect(names().slice(0, 3)).toEqual(before);
    expect(world.reason("b")).toContain("the roll-out stopped");
    const last = names();
    world.now += 10 * REPLACE_BACKOFF_MAX_MS;
    world.settle();
    expect(names()).toEqual(last);
    world.fateOf = () => "ready";
    const cure = world.call(restart("b"));
    world.settle(60_000);
    expect(world.goal(cure.id).state).toBe("reached");
    expect(names()).toHaveLength(3);
  });

  test("since a live change of userConfig fails that change, and the one that ran before stands in", () => {
    serve({});
    world.fateOf = ({ configRevision }) =>
      configRevision === 2 ? { ill: "checkHealth() threw: too strict" } : "ready";
    const { id } = world.call(update("b", { userConfig: "strict" }));
    world.decideAll();
    world.actAgent(names()[0]!);
    fallIll(names()[0]!, "checkHealth() threw: too strict");
    world.settle(30_000);
    expect(world.goal(id)).toMatchObject({ state: "failed", error: { code: "replica-unhealthy" } });
    world.settle(2 * REPLACE_BACKOFF_MAX_MS);
    const healthy = world.replicas("b").filter(({ phase, health }) => phase === "ready" && health === "healthy");
    expect(healthy.map(({ assignment }) => assignment.configRevision)).toEqual([1]);
    const cure = world.call(update("b", { userConfig: "mild" }));
    world.settle(30_000);
    expect(world.goal(cure.id).state).toBe("reached");
  });

  test("of a backend that is being created fails the creation", () => {
    world.fateOf = () => ({ ill: "checkHealth() threw: never" });
    const { id } = world.call(createBackend("b"));
    world.settle(200_000);
    expect(world.goal(id)).toMatchObject({ state: "failed", error: { code: "replica-unhealthy" } });
    expect(names()).toHaveLength(1);
    // The same call again is a new attempt.
    world.fateOf = () => "ready";
    const again = world.call(createBackend("b"));
    world.settle(60_000);
    expect(world.goal(again.id).state).toBe("reached");
  });
});

describe("a stalled replica", () => {
  test("is withdrawn at once, also the last one, killed when routers know it, and replaced", () => {
    const [stuck] = serve({});
    stall(stuck!);
    world.decideAll();
    expect(world.published("e", "b")).toEqual([]);
    expect(intentOf(stuck!)).toBe("run");
    world.applyEverywhere();
    world.decideAll();
    expect(intentOf(stuck!)).toBe("kill");
    world.settle();
    expect(names()).toHaveLength(1);
    expect(names()).not.toContain(stuck);
    expect(world.published("e", "b")).toEqual(names());
  });

  test("that answers again before it is killed serves on", () => {
    const [stuck, other] = serve({ numReplicas: 2 });
    stall(stuck!);
    world.decideAll();
    expect(world.published("e", "b")).toEqual([other]);
    recover(stuck!);
    world.settle();
    expect(names()).toEqual([stuck, other]);
    expect(world.published("e", "b")).toEqual([stuck, other]);
  });

  test("of an older roll-out is not waited for", () => {
    serve({ numReplicas: 2 });
    const [stuck] = names();
    stall(stuck!);
    const { id } = world.call(restart("b"));
    world.settle();
    expect(world.goal(id).state).toBe("reached");
    expect(names()).toHaveLength(2);
  });
});

describe("a replica that could not start again", () => {
  const giveUp = (actor: ActorName) =>
    world.report(actor, { state: "exited", address: undefined, pid: undefined, failedStarts: 3, error: BOOM });

  test("of a backend that once ran is replaced, again and again with growing pauses, until one starts", () => {
    const [first, second] = serve({ numReplicas: 2 });
    world.fateOf = () => ({ fails: BOOM });
    giveUp(first!);
    world.settle(10_000);
    expect(ready()).toBe(1);
    expect(world.reason("b")).toContain("no database");
    const tried = names().at(-1);
    expect([first, second]).not.toContain(tried);
    world.fateOf = () => "ready";
    world.settle(REPLACE_BACKOFF_MAX_MS);
    expect(ready()).toBe(2);
    expect(names()).toContain(second);
    expect(world.reason("b")).toBeUndefined();
  });

  test("fails a scale that waits for it, and is replaced all the same", () => {
    const [first] = serve({});
    world.fateOf = ({ actor }) => (actor === first ? "ready" : { fails: BOOM });
    const { id } = world.call(update("b", { numReplicas: 2 }));
    world.settle(0);
    expect(world.goal(id)).toMatchObject({
      state: "failed",
      error: { message: expect.stringContaining("no database") },
    });
    world.fateOf = () => "ready";
    world.settle(REPLACE_BACKOFF_MAX_MS);
    expect(ready()).toBe(2);
  });

  test("of a roll-out that was never complete stays as it is", () => {
    serve({ numReplicas: 2 });
    world.fateOf = ({ rollout }) => (rollout === 1 ? "ready" : { fails: BOOM });
    world.call(update("b", { env: { A: "1" } }));
    world.settle();
    const before = names();
    expect(before).toHaveLength(3);
    world.settle(10 * REPLACE_BACKOFF_MAX_MS);
    expect(names()).toEqual(before);
  });

  test("when all of them could not, all are tried again together", () => {
    const all = serve({ numReplicas: 5 });
    for (const actor of all) giveUp(actor);
    world.settle(0);
    expect(ready()).toBe(5);
    expect(names().filter((name) => all.includes(name))).toEqual([]);
  });
});
