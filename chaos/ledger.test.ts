/** The accounting of chaos: what is called lost, run twice or unexplained. */
import { describe, expect, test } from "vitest";
import { accountOf, type End, type Evidence, type Kill, lineOf, type Query, tableOf, verdictOf } from "./ledger.ts";

const query = (id: string, end: Partial<End> | undefined, about: Partial<Query> = {}): Query => ({
  ...{ id, door: "http", runs: "once", sentAt: 1_000 },
  end: end && { at: 1_050, kind: "answered", what: "200", ...end },
  ...about,
});
const WORK = 11;
const kill = (about: Partial<Kill> = {}): Kill => ({
  ...{ what: "replica", name: "work:v1#1", pid: WORK, at: 1_020, goneAt: 1_025 },
  ...about,
});
const noted = (...ids: readonly string[]) => ids.map((id) => ({ id, pid: WORK }));
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
    const { account, verdict } = judge({ queries, noted: noted("a", "b", "a", "b", "b") });
    expect([account.ranTwice, account.ranTwiceOnPurpose]).toEqual([1, 1]);
    expect(verdict).toEqual(["1 queries that may run once ran twice: a"]);
  });

  test("with a failure while nothing died, or while only something died that it was not on", () => {
    const unexplained = (one: Query, ...kills: readonly Kill[]) =>
      judge({ queries: [one], kills, noted: [{ id: "n", pid: 12 }] }).account.unexplained.map(
        ({ query: { id } }) => id,
      );
    const failed = query("a", { kind: "failed", what: "502 replica-lost" });
    const far = [kill({ at: 5_000, goneAt: 5_001 }), kill({ what: "controller" }), kill({ what: "agent" })];
    expect(unexplained(failed, ...far)).toEqual(["a"]);
    expect(unexplained(query("h", { kind: "failed" }, { door: "handle" }), kill({ what: "proxy" }))).toEqual(["h"]);
    expect(unexplained(query("r", { kind: "reset", what: "ECONNRESET" }), kill())).toEqual(["r"]);
    expect(unexplained(query("d", { kind: "failed" }), kill({ name: "relay:v1#1" }))).toEqual(["d"]);
    const elsewhere = query("n", { kind: "failed", what: "502 replica-lost" });
    expect(unexplained(elsewhere, kill())).toEqual(["n"]);
    expect(unexplained(elsewhere, kill({ pid: 12 }))).toEqual([]);
  });

  test("with a failure of what was sent when everybody knew of the death, or had ended before it", () => {
    const sentAt = (at: number) => query(`q${at}`, { kind: "failed", at: at + 5 }, { sentAt: at });
    const queries = [1_014, 1_016, 1_090, 1_400].map(sentAt);
    const { account, verdict } = judge({ queries, kills: [kill({ at: 1_020, goneAt: 1_100 })] });
    expect(account.mayFail).toBe(2);
    expect(verdict).toEqual([
      "2 failed though nothing that they were on was killed: q1014 by http (200), q1400 by http (200)",
    ]);
    expect(account.broken.map(lineOf)[3]).toBe("q1400 http once sent 1400.0 failed 5.0 200; ran on nobody; no kill");
  });

  test("with a failure of what may run again, after one death", () => {
    const again = (id: string, door: Query["door"]) =>
      query(id, { kind: "failed", what: "502" }, { door, runs: "again" });
    const queries = [again("a", "http"), again("s", "stream"), again("r", "relay")];
    expect(judge({ queries, kills: [kill()] }).verdict).toEqual([
      "1 that may run again failed before their tries were used up: a by http (502)",
    ]);
    const kills = [11, 12, 13, 14].map((pid) => kill({ pid }));
    expect(judge({ queries, kills }).verdict).toEqual([]);
  });

  test("with an answer that is another query's, whatever died", () => {
    expect(judge({ queries: [query("a", { kind: "wrong" })], kills: [kill()] }).verdict).toHaveLength(1);
  });
});

test("chaos is content with answers, refusals and explained failures, and counts what was late", () => {
  const queries = [
    query("a", {}),
    query("b", { kind: "refused", what: "503 queue-full" }),
    query("c", { kind: "failed", what: "502 replica-lost" }),
    query("d", { at: 1_200 }),
  ];
  const { account, verdict } = judge({ queries, kills: [kill()], noted: noted("a", "c", "d") });
  expect(verdict).toEqual([]);
  expect(account).toMatchObject({ sent: 4, answered: 2, refused: 1, failed: 1, late: 1, lost: 0 });
  expect(tableOf(account)).toMatch(/^sent +4\nanswered +2\n/);
});
