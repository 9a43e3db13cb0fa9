/**
 * A handler that calls a second backend by its handle, against the same work in one backend: CPU per request over all processes. Called
 * by a handle, whose own process counts, and over HTTP.
 */
import type { Comparison, Side } from "../comparison.ts";
import { handler, startInstance } from "../instance.ts";
import { loadHttp } from "../load/http-load.ts";
import { runProgram } from "../programs.ts";

const IN_FLIGHT = 64;

interface Calls {
  readonly requests: number;
  readonly cpuMicroseconds: number;
}

export const composition: Comparison = {
  group: "data",
  rows: [
    {
      name: "a handler calls a second backend: CPU by handle",
      unit: "µs/request",
      value: { side: "handle to handle", reading: "cpu" },
      peer: { side: "handle", reading: "cpu", name: "one call" },
      must: { on: "ratio", atMost: 2.6 },
    },
    {
      name: "a handler calls a second backend: CPU by HTTP",
      unit: "µs/request",
      value: { side: "http to handle", reading: "cpu" },
      peer: { side: "http", reading: "cpu", name: "one hop" },
      must: { on: "ratio", atMost: 1.35 },
    },
  ],
  open: async ({ effort }) => {
    const { seconds } = effort;
    const served = await startInstance({
      proxies: 1,
      backends: {
        inner: handler("handlers.ts", "Sum"),
        outer: handler("composed.ts", "Outer"),
        "outer-http": handler("composed.ts", "callInner"),
        "sum-http": handler("handlers.ts", "sum"),
      },
      endpoints: {
        inner: { backend: "inner" },
        outer: { backend: "outer" },
        "outer-http": { route: "/outer", backend: "outer-http" },
        "sum-http": { route: "/sum", backend: "sum-http" },
      },
    });
    const byHandle =
      (endpoint: string): Side =>
      async () => {
        served.lap();
        const calls = await runProgram<Calls>("load/handle-load.ts", [served.name, endpoint, IN_FLIGHT, seconds]);
        return { cpu: (served.lap() + calls.cpuMicroseconds) / calls.requests };
      };
    const byHttp =
      (path: string): Side =>
      async () => {
        served.lap();
        const url = `${served.url}${path}`;
        const load = await loadHttp({ url, method: "POST", body: "json", connections: IN_FLIGHT, seconds });
        return { cpu: served.lap() / load.requests };
      };
    return {
      sides: {
        "handle to handle": byHandle("outer"),
        handle: byHandle("inner"),
        "http to handle": byHttp("/outer"),
        http: byHttp("/sum"),
      },
      close: () => served.stop(),
    };
  },
};
