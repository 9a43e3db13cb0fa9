/**
 * Everything at once, from a seed: replicas that answer, refuse, hang, say goodbye, die or talk nonsense, callers that leave, snapshots
 * that change. Whatever happens, a query ends once, or not at all when its caller has left; and one that must not run twice does not.
 */
import { describe, expect, test } from "vitest";
import { backendOf, endpointOf, RouterLab } from "../../tests/harness/router-lab.ts";
import { waitFor } from "../../tests/harness/wait-for.ts";
import type { WireQuery, WireReplica } from "../../tests/harness/wire-replica.ts";
import { END } from "../core/wire/frame-writer.ts";

const DEADLINE_MS = 15_000;
const QUERIES = 600;
const TIMEOUT_MS = 700;

function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    return (state >>> 0) / 2 ** 32;
  };
}

describe.each([1, 2, 3, 4])("a router under faults, seed %i", (seed) => {
  test("ends every query once, and runs none twice that must not", async () => {
    const random = seeded(seed);
    const chance = (probability: number) => random() < probability;
    const lab = new RouterLab();
    const ran = new Map<string, number>();
    const run = (query: WireQuery) => {
      if (query.head.isShadow) return;
      ran.set(query.head.requestId, (ran.get(query.head.requestId) ?? 0) + 1);
    };
    const saidGoodbye = new Set<WireQuery["line"]>();
    const behave = (replica: WireReplica) => (query: WireQuery) => {
      if (saidGoodbye.has(query.line)) return;
      if (chance(0.15)) {
        query.refuse("busy");
        setTimeout(() => query.line.slot(), 5);
      } else if (chance(0.01)) {
        // Everything up to this query has been run here, this one is not.
        query.line.goAway(query.streamId - 1);
        saidGoodbye.add(query.line);
      } else {
        run(query);
        if (chance(0.02)) query.line.destroy();
        else if (chance(0.01)) query.line.raw(Buffer.from("nonsense nonsense"));
        else if (chance(0.03)) return;
        else if (chance(0.1)) {
          query.reply({ kind: "items" }, new Uint8Array(10));
          setTimeout(() => query.data(undefined, END), random() * 10);
        } else if (chance(0.5)) query.answer(replica.entry.replica);
        else setTimeout(() => query.answer("later"), random() * 20);
      }
    };
    try {
      const replicas = await Promise.all(
        Array.from({ length: 6 }, async (_, index) => {
          const replica = await lab.replica({ backend: index < 4 ? "b" : "s" });
          replica.onQuery = behave(replica);
          return replica;
        }),
      );
      const [primaries, shadows] = [replicas.slice(0, 4), replicas.slice(4)];
      const publish = () => {
        const some = primaries.filter(() => chance(0.8));
        const limits = { maxConcurrentQueries: 1 + Math.floor(random() * 40) };
        lab.publish(endpointOf({ b: backendOf(some, limits), s: backendOf(shadows) }, { shadows: { s: 0.5 } }));
      };
      publish();
      const asked: { id: string; isRepeatable: boolean; isCancelled: boolean; query: ReturnType<RouterLab["ask"]> }[] =
        [];
      while (asked.length < QUERIES) {
        for (let burst = Math.floor(random() * 20); burst >= 0; burst -= 1) {
          const id = `q${asked.length}`;
          const isRepeatable = chance(0.3);
          const query = lab.ask({
            requestId: id,
            idempotent: isRepeatable,
            timeoutMs: TIMEOUT_MS,
            body: new Uint8Array(5),
          });
          asked.push({ id, isRepeatable, isCancelled: false, query });
        }
        const left = asked[Math.floor(random() * asked.length)]!;
        if (chance(0.3) && left.query.soFar.ends === 0) {
          left.query.cancel();
          left.isCancelled = true;
        }
        if (chance(0.1)) publish();
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
      await waitFor("no query is open", () => lab.router.counts().open === 0, DEADLINE_MS);
      const wrong = asked.filter(({ query, isCancelled }) => query.soFar.ends !== (isCancelled ? 0 : 1));
      expect(wrong.map(({ id }) => id)).toEqual([]);
      const twice = asked.filter(({ id, isRepeatable }) => !isRepeatable && (ran.get(id) ?? 0) > 1);
      expect(twice.map(({ id }) => id)).toEqual([]);
      // The faults are over: whatever was left behind, everything is answered again.
      for (const replica of replicas) replica.onQuery = (query) => query.answer("well");
      lab.publish(endpointOf({ b: backendOf(primaries) }));
      // What a replica did last may still be on its way: a first round can be hit by it.
      const round = async () => {
        const outcomes = await Promise.all(Array.from({ length: 200 }, () => lab.ask({ timeoutMs: 8_000 }).outcome));
        return outcomes.every(({ failure }) => failure === undefined);
      };
      await waitFor("every query of a round is answered", round, DEADLINE_MS);
    } finally {
      await lab.close();
    }
  });
});
