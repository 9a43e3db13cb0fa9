/** `POST` of small JSON over 64 connections to one proxy and one replica, against node:http alone and behind nginx. */
import type { Bench, Comparison, Opened, Readings, Side } from "../comparison.ts";
import { handler, type Served, startInstance } from "../instance.ts";
import { loadHttp, perSecond } from "../load/http-load.ts";
import { cpuMicroseconds } from "../measure.ts";
import { type Server, startServer } from "../programs.ts";
import { NGINX } from "../tools.ts";

const CONNECTIONS = 64;

const maitred = (reading: string) => ({ side: "maitred", reading });
const bare = (reading: string) => ({ side: "bare", reading, name: "bare node:http" });
const nginx = (reading: string) => ({ side: "nginx", reading, name: "nginx → node:http" });

export const smallRequests: Comparison = {
  group: "data",
  needs: { nginx: NGINX },
  rows: [
    {
      name: "POST small JSON, 64 connections: CPU, to bare",
      unit: "µs/request",
      value: maitred("cpu"),
      peer: bare("cpu"),
      must: { on: "ratio", atMost: 2 },
    },
    {
      name: "POST small JSON, 64 connections: CPU, to nginx",
      unit: "µs/request",
      value: maitred("cpu"),
      peer: nginx("cpu"),
      must: { on: "ratio", atMost: 1.4 },
    },
    {
      name: "POST small JSON, 64 connections: rate, to nginx",
      unit: "requests/s",
      value: maitred("rate"),
      peer: nginx("rate"),
      must: { on: "ratio", atLeast: 0.5 },
    },
  ],
  open: async (bench, sides) => {
    const served = await startSum();
    const node = await startServer<{ port: number }>("peers/bare-server.ts");
    const front = sides.has("nginx")
      ? await startServer<{ port: number; pids: readonly number[] }>("peers/nginx.ts", [node.hello.port])
      : undefined;
    return {
      sides: {
        maitred: instanceSide(bench, served),
        bare: serverSide(bench, node.hello.port, [node]),
        ...(front === undefined ? {} : { nginx: serverSide(bench, front.hello.port, [front, node]) }),
      },
      close: async () => {
        await front?.stop();
        await node.stop();
        await served.stop();
      },
    } satisfies Opened;
  },
};

export const startSum = (): Promise<Served> =>
  startInstance({
    proxies: 1,
    backends: { sum: handler("handlers.ts", "sum") },
    endpoints: { sum: { route: "/sum", backend: "sum" } },
  });

const load = ({ effort }: Bench, url: string) =>
  loadHttp({ url, method: "POST", body: "json", connections: CONNECTIONS, seconds: effort.seconds });

const instanceSide =
  (bench: Bench, served: Served): Side =>
  async (): Promise<Readings> => {
    served.lap();
    const result = await load(bench, `${served.url}/sum`);
    return { cpu: served.lap() / result.requests, rate: perSecond(result) };
  };

const serverSide =
  (bench: Bench, port: number, servers: readonly Server<object>[]): Side =>
  async (): Promise<Readings> => {
    const pids = servers.flatMap((server) => server.pids);
    const before = cpuMicroseconds(pids);
    const result = await load(bench, `http://127.0.0.1:${port}/`);
    return { cpu: (cpuMicroseconds(pids) - before) / result.requests, rate: perSecond(result) };
  };
