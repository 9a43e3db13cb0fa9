/**
 * Controller and agent are killed before and after each effect they have (transaction, file, spawn, signal), one run for each moment,
 * then at sampled pairs of moments. Whatever the moment: everything comes to rest, no checker objects, and the outcomes and what is saved
 * are those of the run without a crash.
 */
import { describe, expect, test } from "vitest";
import { SeededRandom } from "../kernel/seeded-random.ts";
import { crashEverywhere } from "./scenario.ts";
import { SCENARIOS } from "./scenarios.ts";

const SEED = "scenario";
const PAIRS = 25;

const twoOf =
  (name: string) =>
  (moments: number): readonly (readonly number[])[] => {
    const random = new SeededRandom(name);
    return Array.from({ length: PAIRS }, () => {
      const first = random.below(moments);
      return [first, first + 1 + random.below(30)];
    });
  };

describe.each(Object.entries(SCENARIOS))("%s", (name, scenario) => {
  test.each(["controller", "agent"] as const)(
    "survives a crash of the %s before and after every effect",
    { timeout: 180_000 },
    async (kind) => {
      const { runs, problems } = await crashEverywhere({ seed: SEED, name, scenario, crashes: [kind] });
      expect(problems).toEqual([]);
      expect(runs).toBeGreaterThan(20);
    },
  );

  test("survives two crashes, of whomever", { timeout: 180_000 }, async () => {
    const options = { seed: SEED, name, scenario, crashes: ["controller", "agent", "proxy"] } as const;
    const { problems } = await crashEverywhere(options, twoOf(name));
    expect(problems).toEqual([]);
  });
});
