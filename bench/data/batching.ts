/** A model that keeps its core busy, 1 ms for one item and 2 ms for sixteen, with and without batches. */
import type { Comparison, Side } from "../comparison.ts";
import { handler, startInstance } from "../instance.ts";
import { loadHttp, perSecond } from "../load/http-load.ts";

const CONNECTIONS = 64;

export const batching: Comparison = {
  group: "data",
  rows: [
    {
      name: "a CPU-bound model, batching on",
      unit: "requests/s",
      value: { side: "together", reading: "rate" },
      peer: { side: "alone", reading: "rate", name: "batching off" },
      must: { on: "ratio", atLeast: 5 },
    },
  ],
  open: async ({ effort }) => {
    const served = await startInstance({
      proxies: 1,
      backends: { together: handler("model.ts", "together"), alone: handler("model.ts", "alone") },
      endpoints: {
        together: { route: "/together", backend: "together" },
        alone: { route: "/alone", backend: "alone" },
      },
    });
    const side =
      (path: string): Side =>
      async () => {
        const url = `${served.url}${path}`;
        const load = { url, method: "POST", body: "json", connections: CONNECTIONS, seconds: effort.seconds } as const;
        return { rate: perSecond(await loadHttp(load)) };
      };
    return { sides: { together: side("/together"), alone: side("/alone") }, close: () => served.stop() };
  },
};
