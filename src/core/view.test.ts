/** The view's indexes after any facts in any order, against a view that has only heard what is true in the end. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ActorStatus, Assignment } from "../model/actor.ts";
import type { BackendTag, EndpointTag, GoalId, NodeName } from "../model/ids.ts";
import type { EndpointRecord, GoalRecord } from "../model/records.ts";
import type { Fact } from "./facts.ts";
import { View } from "./view.ts";

const IDS = ["a", "b", "c"] as const;
const NODES = ["near", "far"] as const;

const id = fc.constantFrom(...IDS);
const node = fc.constantFrom(...NODES);
const weights = fc.dictionary(id, fc.constant(1), { maxKeys: 3 });

/** Each endpoint has routes of its own: two never have one shape at the same time. */
const endpoint = fc
  .record({ id, traffic: weights, shadows: weights, path: fc.constantFrom("x", ":p/x", undefined) })
  .map(({ id: tag, path, ...rest }): Fact => {
    const spec = { route: path === undefined ? undefined : `/${tag}/${path}` };
    return { kind: "endpoint", id: tag, after: { tag, spec, ...rest } as unknown as EndpointRecord };
  });

const goal = fc
  .record({
    id,
    state: fc.constantFrom("pending", "reached", "failed"),
    aliasOf: fc.constantFrom("a", undefined),
    subject: id.map((tag) => ({ kind: "endpoint", tag })),
  })
  .map((after): Fact => ({ kind: "goal", id: after.id, after: after as unknown as GoalRecord }));

const assignment = fc
  .record({ actor: id, node, backend: fc.option(id, { nil: undefined }), cpu: fc.constantFrom(0.5, 1) })
  .map(({ actor, node: at, backend, cpu }): Fact => {
    const spec =
      backend === undefined
        ? { kind: "proxy" }
        : { kind: "replica", backend, config: { resources: { cpu, memoryBytes: 10 * cpu } } };
    return { kind: "assignment", id: actor, after: { actor, node: at, spec } as unknown as Assignment };
  });

const status = fc
  .record({ actor: id, node })
  .map((after): Fact => ({ kind: "status", id: after.actor, after: after as unknown as ActorStatus }));

const gone = fc
  .record({ kind: fc.constantFrom("endpoint", "goal", "assignment", "status"), id })
  .map((thing): Fact => ({ ...thing, after: undefined }) as Fact);

const facts = fc.array(fc.oneof(endpoint, goal, assignment, status, gone), { maxLength: 40 });

const sorted = (set: Iterable<string>): readonly string[] => [...set].sort();

/** Everything that indexes answer. */
const answersOf = (view: View) => ({
  proxies: sorted(view.proxies()),
  nodesWithActors: sorted(view.nodesWithActors()),
  nodesWithStatuses: sorted(view.nodesWithStatuses()),
  settled: sorted(view.settledGoals()),
  nodes: NODES.map((name) => [sorted(view.actorsOn(name as NodeName)), view.usedOn(name as NodeName)]),
  of: IDS.map((tag) => ({
    replicas: sorted(view.replicasOf(tag as BackendTag)),
    endpoints: sorted(view.endpointsOf(tag as BackendTag)),
    pending: sorted(view.pendingGoalsOf(`endpoint/${tag}` as `endpoint/${EndpointTag}`)),
    aliases: sorted(view.pendingAliasesOf(tag as GoalId)),
    routes: [view.endpointOfRoute(`/${tag}/x`), view.endpointOfRoute(`/${tag}/:/x`)],
  })),
});

describe("a view", () => {
  test("answers by what is true now, whatever was true before", () => {
    fc.assert(
      fc.property(facts, (told) => {
        const view = new View();
        const last = new Map<string, Fact>();
        for (const fact of told) {
          view.apply(fact, 1);
          last.set(`${fact.kind}/${fact.id}`, fact);
        }
        const fresh = new View();
        for (const fact of last.values()) fresh.apply(fact, 1);
        expect(answersOf(view)).toEqual(answersOf(fresh));
      }),
      { numRuns: 500 },
    );
  });

  test("is what it was when a change is taken back", () => {
    fc.assert(
      fc.property(facts, facts, (told, tried) => {
        const view = new View();
        for (const fact of told) view.apply(fact, 1);
        const before = answersOf(view);
        const undo = tried.map((fact) => ({ ...fact, after: view.apply(fact, 2)?.value }) as Fact);
        for (const fact of undo.reverse()) view.apply(fact, 1);
        expect(answersOf(view)).toEqual(before);
      }),
      { numRuns: 500 },
    );
  });

  test("keeps settled goals in the order of their settling", () => {
    const view = new View();
    const tell = (name: string, state: string): void =>
      void view.apply(
        { kind: "goal", id: name, after: { id: name, state, subject: { kind: "instance" } } as unknown as GoalRecord },
        1,
      );
    for (const name of ["b", "a", "c"]) tell(name, "reached");
    tell("b", "failed");
    expect([...view.settledGoals()]).toEqual(["b", "a", "c"]);
  });

  test("gives two endpoints that change places each the other's route", () => {
    const view = new View();
    const tell = (tag: string, route: string): void =>
      void view.apply(
        {
          kind: "endpoint",
          id: tag,
          after: { tag, spec: { route }, traffic: {}, shadows: {} } as unknown as EndpointRecord,
        },
        1,
      );
    tell("a", "/x");
    tell("b", "/y");
    tell("a", "/y");
    tell("b", "/x");
    expect([view.endpointOfRoute("/x"), view.endpointOfRoute("/y")]).toEqual(["b", "a"]);
  });
});
