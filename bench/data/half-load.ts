/** The same requests at half of the rate that the instance can take: how much later than node:http alone it answers. */
import type { Comparison, Readings, Side } from "../comparison.ts";
import { separateLoad } from "../cpus.ts";
import { loadHttp, perSecond } from "../load/http-load.ts";
import { runProgram, startServer } from "../programs.ts";
import { startSum } from "./small-requests.ts";

const CONNECTIONS = 64;

const row = (reading: string, atMost: number) => ({
  name: `POST small JSON at half load: ${reading}`,
  unit: "ms",
  value: { side: "maitred", reading },
  peer: { side: "bare", reading, name: "bare node:http" },
  must: { on: "added", atMost } as const,
});

interface Paced {
  readonly requests: number;
  readonly bad: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export const halfLoad: Comparison = {
  group: "data",
  rows: [row("p50", 0.3), row("p99", 1.5)],
  open: async ({ effort, say }) => {
    const { seconds } = effort;
    const served = await startSum();
    const node = await startServer<{ port: number }>("peers/bare-server.ts");
    const undo = separateLoad([...served.pids, ...node.pids]);
    say(undo === undefined ? "the load shares the CPUs with who is served" : "the load has a CPU of its own");
    const most = { method: "POST", body: "json", connections: CONNECTIONS, seconds } as const;
    const url = `${served.url}/sum`;
    await loadHttp({ ...most, url }); // to warm up
    const rate = Math.round(perSecond(await loadHttp({ ...most, url })) / 2);
    say(`half load: ${rate} requests/s`);
    const side =
      (target: string): Side =>
      async (): Promise<Readings> => {
        const paced = await runProgram<Paced>("load/paced-load.ts", [target, CONNECTIONS, rate, seconds]);
        if (paced.bad > 0 || paced.requests === 0) throw new Error(`${target}: ${paced.bad} requests failed`);
        return { p50: paced.p50Ms, p99: paced.p99Ms };
      };
    return {
      sides: { maitred: side(url), bare: side(`http://127.0.0.1:${node.hello.port}/`) },
      close: async () => {
        undo?.();
        await node.stop();
        await served.stop();
      },
    };
  },
};
