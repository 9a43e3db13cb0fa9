/** A handle to one replica process: many calls at once against a Piscina pool, one at a time against a socket that echoes. */
import { join } from "node:path";
import type { Comparison } from "../comparison.ts";
import { handler, type Served, startInstance } from "../instance.ts";
import { perSecond } from "../load/http-load.ts";
import { runProgram, startServer } from "../programs.ts";
import { PISCINA } from "../tools.ts";

const IN_FLIGHT = 64;

interface Calls {
  readonly requests: number;
  readonly ms: number;
  readonly p50Ms: number;
}

interface Pool extends Calls {
  readonly threads: number;
  readonly tasksPerThread: number;
  readonly inFlight: number;
}

export const handleCalls: Comparison = {
  group: "data",
  needs: { pool: PISCINA },
  rows: [
    {
      name: "handle to one replica, 64 in flight",
      unit: "calls/s",
      value: { side: "handle", reading: "rate" },
      peer: { side: "pool", reading: "rate", name: "Piscina at its best" },
      must: { on: "ratio", atLeast: 1.5 },
    },
  ],
  open: async ({ effort, say }, sides) => {
    const { seconds } = effort;
    const served = await startCalls();
    const best = sides.has("pool") ? await runProgram<Pool>("peers/piscina-load.ts", [seconds]) : undefined;
    if (best !== undefined) {
      say(
        `Piscina is best with ${best.threads} threads, ${best.tasksPerThread} tasks a thread, ${best.inFlight} in flight`,
      );
    }
    return {
      sides: {
        handle: async () => ({
          rate: perSecond(await runProgram<Calls>("load/handle-load.ts", [served.name, "sum", IN_FLIGHT, seconds])),
        }),
        pool: async () => {
          const { threads, tasksPerThread, inFlight } = best!;
          const args = [seconds, threads, tasksPerThread, inFlight];
          return { rate: perSecond(await runProgram<Pool>("peers/piscina-load.ts", args)) };
        },
      },
      close: () => served.stop(),
    };
  },
};

export const loneCall: Comparison = {
  group: "data",
  rows: [
    {
      name: "handle, one call at a time: p50",
      unit: "µs",
      value: { side: "handle", reading: "p50" },
      peer: { side: "echo", reading: "p50", name: "unix socket echo" },
      must: { on: "ratio", atMost: 4 },
    },
  ],
  open: async ({ effort, folder }) => {
    const { seconds } = effort;
    const served = await startCalls();
    const path = join(folder, "echo.sock");
    const echo = await startServer("peers/echo-server.ts", [path]);
    return {
      sides: {
        handle: async () => ({
          p50: 1_000 * (await runProgram<Calls>("load/handle-load.ts", [served.name, "sum", 1, seconds])).p50Ms,
        }),
        echo: async () => ({ p50: 1_000 * (await runProgram<Calls>("load/echo-load.ts", [path, seconds])).p50Ms }),
      },
      close: async () => {
        await echo.stop();
        await served.stop();
      },
    };
  },
};

const startCalls = (): Promise<Served> =>
  startInstance({
    proxies: 0,
    backends: { sum: handler("handlers.ts", "Sum") },
    endpoints: { sum: { backend: "sum" } },
  });
