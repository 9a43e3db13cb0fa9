/** The accounting of chaos: what is called lost, run twice or unexplained. */
import { describe, expect, test } from "vitest";
import { accountOf, type End, type Evidence, type Kill, type Query, tableOf, verdictOf } from "./ledger.ts";

const query = (id: string, end: Partial<End> | undefined, about: Partial<Query> = {}): Query => ({
  ...{ id, door: "http", runs: "once", sentAt: 1_000 },
  end: end && { at: 1_050, kind: "answered", what: "200", ...end },
  ...about,
});
const kill = (about: Partial<Kill> = {}): Kill => ({ what: "replica", name: "w#1", at: 1_020, inFlight: 1, ...about });
const judge = (evidence: Partial<Evidence>) => {
  const account = accountOf({ queries: [], kills: [], noted: [], deadlineMs: 100, ...evidence });
  return { account, verdict: verdictOf(account) };
};

describe("chaos finds fault", () => {
  test("with a query that has no answer", () => {
    expect(judge({ queries: [query("a", undefined)] }).verdict).toEqual(["1 queries got no answer at all"]);
  });

  test("with one that ran twice and may not", () => {
    const queries = [query("a", {}), query("b", {}, { runs: "again" })];
    const { account, verdict } = judge({ queries, noted: ["a", "b", "a", "b", "b"] });
    expect([account.ranTwice, account.ranTwiceOnPurpose]).toEqual([1, 1]);
    expect(verdict).toEqual(["1 queries that may run once ran twice: a"]);
  });

  test("with a failure while nothing died, or while only something died that it was not on", () => {
    const failed = query("a", { kind: "failed", what: "502 replica-lost" });
    const far = [kill({ at: 5_000 }), kill({ what: "controller", inFlight: 9 }), kill({ what: "agent", inFlight: 9 })];
    expect(judge({ queries: [failed], kills: far }).account.unexplained).toEqual([failed]);
    const byHandle = query("h", { kind: "failed" }, { door: "handle" });
    expect(judge({ queries: [byHandle], kills: [kill({ what: "proxy" })] }).account.unexplained).toEqual([byHandle]);
    const reset = query("r", { kind: "reset", what: "ECONNRESET" });
    expect(judge({ queries: [reset], kills: [kill()] }).account.unexplained).toEqual([reset]);
  });

  test("with an answer that is another query's, whatever died", () => {
    expect(judge({ queries: [query("a", { kind: "wrong" })], kills: [kill()] }).verdict).toHaveLength(1);
  });

  test("with more failures than could have been in flight", () => {
    const queries = ["a", "b"].map((id) => query(id, { kind: "failed" }));
    expect(judge({ queries, kills: [kill()] }).verdict).toEqual([
      "2 failed or were reset, but only 1 could have been in flight on what was killed",
    ]);
  });
});

test("chaos is content with answers, refusals and explained failures, and counts what was late", () => {
  const queries = [
    query("a", {}),
    query("b", { kind: "refused", what: "503 queue-full" }),
    query("c", { kind: "failed", what: "502 replica-lost" }),
    query("d", { at: 1_200 }),
  ];
  const { account, verdict } = judge({ queries, kills: [kill()], noted: ["a", "c", "d"] });
  expect(verdict).toEqual([]);
  expect(account).toMatchObject({ sent: 4, answered: 2, refused: 1, failed: 1, late: 1, lost: 0 });
  expect(tableOf(account)).toMatch(/^sent +4\nanswered +2\n/);
});
