/** Replicas that fail or fall silent beside others that do not: over real connections, with the time in the test's hand. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { ManualClock } from "../../tests/harness/manual-clock.ts";
import { backendOf, endpointOf, RouterLab } from "../../tests/harness/router-lab.ts";
import { waitFor } from "../../tests/harness/wait-for.ts";
import type { WireQuery, WireReplica } from "../../tests/harness/wire-replica.ts";
import { HEALTH_TICK_MS, SILENT_TICKS } from "../model/limits.ts";
import type { Random } from "../ports/random.ts";

const DEADLINE_MS = 5_000;
let clock: ManualClock;
let lab: RouterLab;
/** Which of the two replicas is drawn, by the number of the draw. */
let draws: (draw: number) => "first" | "second";

const inTurns = (draw: number) => (draw % 2 === 0 ? "first" : "second");

/** Chance in the test's hand: below a half it means the first of two replicas. */
const chance = (): Random => {
  let draw = 0;
  return { number: () => (draws(draw++) === "first" ? 0 : 0.5), id: () => `id-${draw}` };
};

beforeEach(() => {
  clock = new ManualClock();
  draws = inTurns;
  lab = new RouterLab({ clock, random: chance() });
});
afterEach(() => lab.close());

const answers = (query: WireQuery) => query.answer("well");
const fails = (query: WireQuery) => query.fail({ status: 500, code: "handler-failed", message: "no." });

const askMany = (count: number) => Promise.all(Array.from({ length: count }, () => lab.ask().outcome));
const askInTurn = async (count: number) => {
  for (let left = count; left > 0; left -= 1) await lab.ask().outcome;
};
const grownBy = async (replica: WireReplica, run: () => Promise<unknown>) => {
  const before = replica.queries.length;
  await run();
  return replica.queries.length - before;
};

const pair = async (one: (query: WireQuery) => void, other: (query: WireQuery) => void) => {
  const replicas = [await lab.replica({ onQuery: one }), await lab.replica({ onQuery: other })] as const;
  lab.publish(endpointOf({ b: backendOf(replicas) }));
  return replicas;
};

test("a replica that fails is left alone after a few, though it answers faster than the other", async () => {
  const [bad, good] = await pair(fails, answers);
  await askInTurn(60);
  expect(bad.queries.length).toBeLessThan(12);
  expect(good.queries.length).toBeGreaterThan(48);
});

test("replicas that all fail are all used on, also when chance sends the first queries to one of them alone", async () => {
  draws = (draw) => (draw < 8 ? "first" : inTurns(draw));
  const replicas = await pair(fails, fails);
  await askInTurn(80);
  for (const { queries } of replicas) expect(queries.length).toBeGreaterThan(20);
});

test("what the user refuses is no failure of the replica", async () => {
  const refuses = (query: WireQuery) => query.fail({ status: 422, code: "http-error", message: "no.", details: {} });
  const replicas = await pair(refuses, answers);
  await askInTurn(80);
  for (const { queries } of replicas) expect(queries.length).toBeGreaterThan(20);
});

test("a replica that falls silent gets nothing new, loses nothing that it has, and is used again when it is heard", async () => {
  const held: WireQuery[] = [];
  let isStopped = false;
  const stops = (query: WireQuery) => (isStopped ? void held.push(query) : query.answer("well"));
  const [stopped, other] = await pair(stops, answers);
  await waitFor(
    "both are used",
    async () => {
      await askMany(10);
      return stopped.lines.length + other.lines.length === 2;
    },
    DEADLINE_MS,
  );

  isStopped = true;
  stopped.lines[0]!.isDeaf = true;
  const asked = Array.from({ length: 20 }, () => lab.ask({ timeoutMs: 60_000 }));
  await waitFor("some came to it", () => held.length > 0, DEADLINE_MS);
  for (let tick = 0; tick < SILENT_TICKS + 2; tick += 1) clock.advance(HEALTH_TICK_MS);
  expect(await grownBy(stopped, () => askMany(30))).toBe(0);

  isStopped = false;
  stopped.lines[0]!.isDeaf = false;
  for (const query of held) query.answer("late");
  const outcomes = await Promise.all(asked.map(({ outcome }) => outcome));
  expect(outcomes.map(({ failure }) => failure)).toEqual(asked.map(() => undefined));
  clock.advance(HEALTH_TICK_MS);
  expect(await grownBy(stopped, () => askMany(30))).toBeGreaterThan(0);
});
