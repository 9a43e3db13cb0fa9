/** Shadows that hang, flood and crash: the primary answers every query as ever, about as fast as without any. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { backend } from "../../src/index.ts";
import { fixture } from "../harness/echo.ts";
import { ask } from "../harness/http.ts";
import { useLab } from "../harness/lab.ts";
import { printMeasured, waitFor } from "../harness/wait-for.ts";

const lab = useLab("test");
const TROUBLES = ["hangs", "floods", "crashes"] as const;
const ROUNDS = 2;
const CLIENTS = 4;
const ASKED_BY_EACH = 60;
/** A primary that waited for its shadow would be thousands of times slower; two cores are shared with the shadow and with other tests. */
const MOST_TIMES_SLOWER = 10;
const SEEN_DEADLINE_MS = 20_000;

test("a shadow is never felt by the primary", async () => {
  const { client, url } = await lab().start();
  const module = fixture("apps/shadow-troubles.ts");
  const ledger = join(lab().folder("ledger"), "seen");
  writeFileSync(ledger, "");
  await client.createBackend("answers", backend({ module, export: "answers" }));
  await client.createEndpoint("e", { route: "/e", backend: "answers" });
  for (const trouble of TROUBLES) {
    await client.createBackend(trouble, backend({ module, export: trouble }), { env: { LEDGER: ledger } });
  }

  const took: { readonly alone: number[]; readonly shadowed: number[] } = { alone: [], shadowed: [] };
  const failed: unknown[] = [];
  const load = async (times: number[]) => {
    const ask200 = async () => {
      const startedAt = performance.now();
      const answer = await ask(`${url}/e`, { body: {} }).catch((error: unknown) => error);
      times.push(performance.now() - startedAt);
      if ((answer as { status?: number }).status !== 200) failed.push(answer);
    };
    const client = async () => {
      for (let left = ASKED_BY_EACH; left > 0; left -= 1) await ask200();
    };
    await Promise.all(Array.from({ length: CLIENTS }, client));
  };

  await load([]); // everybody warms up
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const trouble of TROUBLES) {
      await load(took.alone);
      const seenBefore = readFileSync(ledger).length;
      await client.shadowTraffic("e", trouble, 1);
      await load(took.shadowed);
      // Later ones may find that trouble still at work, and are dropped.
      if (round === 0)
        await waitFor(`copies came to ${trouble}`, () => readFileSync(ledger).length > seenBefore, SEEN_DEADLINE_MS);
      await client.shadowTraffic("e", trouble, 0);
    }
  }

  const median = (times: readonly number[]) => [...times].sort((a, b) => a - b)[Math.floor(times.length / 2)]!;
  const [alone, shadowed] = [median(took.alone), median(took.shadowed)];
  printMeasured("median", `${alone.toFixed(2)} ms alone, ${shadowed.toFixed(2)} ms with a shadow in trouble`);
  expect(failed).toEqual([]);
  expect(shadowed / alone).toBeLessThan(MOST_TIMES_SLOWER);
}, 120_000);
