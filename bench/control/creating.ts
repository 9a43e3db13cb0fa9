/** Creating many backends through the client, one after another, each until it runs: the last must not be dearer than the first. */
import type { Comparison } from "../comparison.ts";
import { handler } from "../instance.ts";
import { ControlWorld } from "./world.ts";

export const creating: Comparison = {
  group: "control",
  rows: [
    {
      name: "creating 1,000 backends one after another: the last quarter",
      unit: "ms each",
      value: { side: "creating", reading: "last" },
      peer: { side: "creating", reading: "first", name: "the first quarter" },
      must: { on: "ratio", atMost: 1.25 },
    },
  ],
  open: async (bench) => {
    const { created } = bench.effort;
    const model = handler("handlers.ts", "Sum");
    const quarter = Math.floor(created / 4);
    return {
      sides: {
        creating: async () => {
          const world = await ControlWorld.open(bench, 0);
          const client = await world.connect();
          const times: number[] = [];
          for (let index = 0; index < created; index += 1) {
            const startedAt = performance.now();
            await client.createBackend(`b-${index}`, model);
            times.push(performance.now() - startedAt);
          }
          await world.close();
          const mean = (part: readonly number[]) => part.reduce((sum, ms) => sum + ms, 0) / part.length;
          return { first: mean(times.slice(0, quarter)), last: mean(times.slice(-quarter)) };
        },
      },
      close: async () => {},
    };
  },
};
