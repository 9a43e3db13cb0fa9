import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Candidate, chooseReplica } from "./replica-choice.ts";

/** A small generator with a seed, so that a failure can be repeated. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    return (state >>> 0) / 2 ** 32;
  };
}

const ready = (inFlight = 0) => ({ inFlight, readiness: "ready" as Candidate["readiness"] });
const candidates = fc.array(
  fc.record({
    inFlight: fc.nat(5),
    readiness: fc.constantFrom<Candidate["readiness"]>("ready", "suspect", "unready"),
  }),
  { maxLength: 8 },
);

describe("the choice of a replica", () => {
  test("of two replicas the one with fewer queries in flight is chosen", () => {
    const [idle, busy] = [ready(1), ready(3)];
    for (const number of [0, 0.3, 0.5, 0.99]) expect(chooseReplica([idle, busy], () => number)).toBe(idle);
  });

  test("an unready replica is never chosen, a suspect one only without a ready one, and some one whenever there is one", () => {
    fc.assert(
      fc.property(candidates, fc.nat(), (replicas, seed) => {
        const chosen = chooseReplica(replicas, seeded(seed));
        const has = (readiness: Candidate["readiness"]) => replicas.some((one) => one.readiness === readiness);
        expect(chosen?.readiness).toBe(has("ready") ? "ready" : has("suspect") ? "suspect" : undefined);
      }),
      { numRuns: 2_000 },
    );
  });

  test("every pair is drawn, and equal replicas get equal shares", () => {
    const replicas = [ready(), ready(), ready(), ready(), ready()];
    const random = seeded(7);
    const counts = new Map<unknown, number>();
    for (let draw = 0; draw < 50_000; draw += 1) {
      const chosen = chooseReplica(replicas, random);
      counts.set(chosen, (counts.get(chosen) ?? 0) + 1);
    }
    for (const replica of replicas) expect(Math.abs((counts.get(replica) ?? 0) / 10_000 - 1)).toBeLessThan(0.06);
  });

  test("queries that stay spread far more evenly than by one choice", () => {
    const random = seeded(11);
    const byTwo = Array.from({ length: 50 }, () => ready());
    const byOne = Array.from({ length: 50 }, () => 0);
    for (let query = 0; query < 5_000; query += 1) {
      chooseReplica(byTwo, random)!.inFlight += 1;
      byOne[Math.floor(random() * 50)]! += 1;
    }
    expect(Math.max(...byTwo.map((one) => one.inFlight)) - 100).toBeLessThanOrEqual(5);
    expect(Math.max(...byOne) - 100).toBeGreaterThan(10);
  });
});
