import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { backendOf, endpointOf, RouterLab } from "../../tests/harness/router-lab.ts";
import { waitFor } from "../../tests/harness/wait-for.ts";
import type { WireQuery, WireReplica } from "../../tests/harness/wire-replica.ts";

const DEADLINE_MS = 5_000;
const answer = (query: WireQuery) => query.answer("ok");

let lab: RouterLab;
beforeEach(() => {
  lab = new RouterLab();
});
afterEach(() => lab.close());

const idsOf = (replica: WireReplica) => replica.queries.map(({ head }) => head.requestId);

describe("a replica that is lost", () => {
  test("fails a query that had started there with 502, once, and does not run it again", async () => {
    const [dying, other] = [await lab.replica(), await lab.replica({ onQuery: answer })];
    lab.publish(endpointOf({ b: backendOf([dying]) }));
    const asked = lab.ask();
    await dying.received(1);
    lab.publish(endpointOf({ b: backendOf([dying, other]) }));
    await dying.die();
    const { failure } = await asked.outcome;
    expect(failure).toMatchObject({ status: 502, code: "replica-lost" });
    expect(failure?.message).toContain(dying.entry.replica);
    expect(failure?.message).toContain("mark the endpoint idempotent to have such queries run again");
    expect(other.queries).toEqual([]);
    expect(asked.soFar.ends).toBe(1);
  });

  test.each([
    ["of a safe method", { safeMethod: true }, {}],
    ["that the caller calls idempotent", { idempotent: true }, {}],
    ["to an idempotent endpoint", {}, { idempotent: true }],
  ])("a query %s is run again elsewhere", async (_what, query, spec) => {
    const [dying, other] = [await lab.replica(), await lab.replica({ onQuery: answer })];
    lab.publish(endpointOf({ b: backendOf([dying]) }, { spec }));
    const asked = lab.ask({ ...query, requestId: "again" });
    await dying.received(1);
    lab.publish(endpointOf({ b: backendOf([dying, other]) }, { spec }));
    await dying.die();
    expect((await asked.outcome).failure).toBeUndefined();
    expect(idsOf(other)).toEqual(["again"]);
    expect(lab.router.counts().retried).toBe(1);
  });

  test("fails a query that may run again at once when its endpoint is deleted: nothing can take it", async () => {
    const dying = await lab.replica();
    lab.publish(endpointOf({ b: backendOf([dying]) }));
    const asked = lab.ask({ safeMethod: true, timeoutMs: 600_000 });
    await dying.received(1);
    lab.publish();
    await dying.die();
    expect((await asked.outcome).failure).toMatchObject({ status: 502, code: "replica-lost" });
  });

  test("a caller's word beats the endpoint's", async () => {
    const [dying, other] = [await lab.replica(), await lab.replica({ onQuery: answer })];
    const spec = { idempotent: true };
    lab.publish(endpointOf({ b: backendOf([dying]) }, { spec }));
    const asked = lab.ask({ idempotent: false });
    await dying.received(1);
    lab.publish(endpointOf({ b: backendOf([dying, other]) }, { spec }));
    await dying.die();
    expect((await asked.outcome).failure?.code).toBe("replica-lost");
  });

  test("an answer that has begun is not begun again", async () => {
    const [dying, other] = [await lab.replica(), await lab.replica({ onQuery: answer })];
    lab.publish(endpointOf({ b: backendOf([dying]) }));
    const asked = lab.ask({ idempotent: true });
    const [query] = await dying.received(1);
    query!.reply({ kind: "items" }, undefined);
    await waitFor("the answer has begun", () => asked.soFar.head, DEADLINE_MS);
    lab.publish(endpointOf({ b: backendOf([dying, other]) }));
    await dying.die();
    expect((await asked.outcome).failure?.code).toBe("replica-lost");
    expect(other.queries).toEqual([]);
  });

  test.each([
    ["before the router has looked", () => new Promise<void>((resolve) => setImmediate(resolve))],
    ["when the router has just seen it", () => new Promise<void>((resolve) => setTimeout(resolve, 1))],
  ])("gets nothing that runs once only to lose it, when it ends %s", async (_when, turn) => {
    const [dying, other] = [await lab.replica({ onQuery: answer }), await lab.replica({ onQuery: answer })];
    lab.publish(endpointOf({ b: backendOf([dying]) }));
    await lab.ask().outcome;
    await turn();
    for (const line of dying.lines) line.destroy();
    const asked = [lab.ask({ requestId: "1" }), lab.ask({ requestId: "2" })];
    lab.publish(endpointOf({ b: backendOf([dying, other]) }));
    const outcomes = await Promise.all(asked.map(({ outcome }) => outcome));
    expect(outcomes.map(({ failure }) => failure)).toEqual([undefined, undefined]);
    expect([...idsOf(dying), ...idsOf(other)].sort()).toEqual(["1", "2", "r-1"]);
  });

  test("a query that ends the replicas that run it ends two of them, not the whole backend", async () => {
    const dying = await Promise.all([1, 2, 3, 4].map(() => lab.replica()));
    for (const replica of dying) replica.onQuery = (query) => query.line.destroy();
    lab.publish(endpointOf({ b: backendOf(dying) }));
    const { failure } = await lab.ask({ idempotent: true }).outcome;
    expect(failure?.code).toBe("replica-lost");
    expect(failure?.message).toContain("it was run 2 times; `maitred logs` says");
    expect(failure?.message).not.toContain("mark the endpoint");
    expect(dying.flatMap(({ queries }) => queries)).toHaveLength(2);
  });

  test("retries end with the budget, so that a dying backend does not get all its load again", async () => {
    const dying = await Promise.all([1, 2, 3, 4].map(() => lab.replica()));
    for (const replica of dying) replica.onQuery = (query) => setImmediate(() => query.line.destroy());
    lab.publish(endpointOf({ b: backendOf(dying) }));
    const asked = Array.from({ length: 400 }, () => lab.ask({ idempotent: true, timeoutMs: 8_000 }));
    const outcomes = await Promise.all(asked.map((one) => one.outcome));
    expect(outcomes.every(({ failure }) => failure?.code === "replica-lost")).toBe(true);
    expect(lab.router.counts().retried).toBeLessThan(200);
  });

  test("queries that never left go elsewhere, whatever they are", async () => {
    const [dead, other] = [await lab.replica(), await lab.replica({ onQuery: answer })];
    await dead.die();
    lab.publish(endpointOf({ b: backendOf([dead, other]) }));
    const outcomes = await Promise.all(Array.from({ length: 40 }, () => lab.ask().outcome));
    expect(outcomes.filter(({ failure }) => failure !== undefined)).toEqual([]);
    expect(other.queries).toHaveLength(40);
    expect(lab.router.counts().retried).toBe(0);
  });

  test("while the only replica is unreachable queries wait, and go to the one that takes its place", async () => {
    const dead = await lab.replica();
    await dead.die();
    lab.publish(endpointOf({ b: backendOf([dead]) }));
    const asked = lab.ask();
    const young = await lab.replica({ onQuery: answer, ordinal: 1, incarnation: 2 });
    lab.publish(endpointOf({ b: backendOf([young]) }));
    expect((await asked.outcome).failure).toBeUndefined();
  });
});

describe("a replica that says goodbye", () => {
  test("keeps the queries that it has, and the others run elsewhere exactly once", async () => {
    const [leaving, other] = [await lab.replica(), await lab.replica({ onQuery: answer })];
    lab.publish(endpointOf({ b: backendOf([leaving]) }));
    const asked = Array.from({ length: 10 }, (_, index) => lab.ask({ requestId: `q${index + 1}` }));
    const queries = await leaving.received(10);
    lab.publish(endpointOf({ b: backendOf([leaving, other]) }));
    leaving.lines[0]!.goAway(6);
    await other.received(4);
    expect(idsOf(other).sort()).toEqual(["q10", "q7", "q8", "q9"]);
    const later = lab.ask({ requestId: "later" });
    expect((await later.outcome).failure).toBeUndefined();
    expect(leaving.queries).toHaveLength(10);
    expect(leaving.open).toHaveLength(1);
    for (const query of queries.slice(0, 6)) query.answer("kept");
    const outcomes = await Promise.all(asked.map((one) => one.outcome));
    expect(outcomes.map(({ failure }) => failure)).toEqual(new Array(10).fill(undefined));
    expect(asked.map((one) => one.soFar.ends)).toEqual(new Array(10).fill(1));
    expect(other.queries).toHaveLength(5);
    await waitFor("the router has closed", () => leaving.open.length === 0, DEADLINE_MS);
  });

  test("answers of replayed queries that come after all are not heard twice", async () => {
    const [leaving, other] = [await lab.replica(), await lab.replica()];
    lab.publish(endpointOf({ b: backendOf([leaving]) }));
    const [kept, replayed] = [lab.ask(), lab.ask()];
    const queries = await leaving.received(2);
    lab.publish(endpointOf({ b: backendOf([leaving, other]) }));
    leaving.lines[0]!.goAway(1);
    const [again] = await other.received(1);
    queries[1]!.answer("wrong");
    queries[0]!.answer("right");
    await kept.outcome;
    again!.answer("right");
    await replayed.outcome;
    expect([kept.soFar.ends, replayed.soFar.ends]).toEqual([1, 1]);
  });

  test("a query refused because of the drain runs elsewhere", async () => {
    const [draining, other] = [await lab.replica(), await lab.replica({ onQuery: answer })];
    draining.onQuery = (query) => query.refuse("draining");
    lab.publish(endpointOf({ b: backendOf([draining]) }));
    const asked = lab.ask();
    await draining.received(1);
    lab.publish(endpointOf({ b: backendOf([draining, other]) }));
    expect((await asked.outcome).failure).toBeUndefined();
    expect([draining.queries.length, other.queries.length]).toEqual([1, 1]);
  });
});
