/** Bodies that travel in parts: a response of 50 small ones, and 10 MB each way, against node:http alone. */
import type { Comparison, Side } from "../comparison.ts";
import { BIG_BYTES, PARTS } from "../handlers/handlers.ts";
import { handler, startInstance } from "../instance.ts";
import { type HttpLoad, loadHttp, perSecond } from "../load/http-load.ts";
import { startServer } from "../programs.ts";

const STREAMING_CLIENTS = 32;
/** Enough to keep every process busy. */
const BIG_CLIENTS = 4;

type Traffic = Omit<HttpLoad, "url" | "seconds"> & { readonly path: string; readonly perRequest: number };

const STREAMED: Traffic = { path: "/parts", method: "GET", body: 0, connections: STREAMING_CLIENTS, perRequest: PARTS };
const DOWNLOAD: Traffic = {
  path: "/download",
  method: "GET",
  body: 0,
  connections: BIG_CLIENTS,
  perRequest: BIG_BYTES / 1e6,
};
const UPLOAD: Traffic = {
  path: "/upload",
  method: "POST",
  body: BIG_BYTES,
  connections: BIG_CLIENTS,
  perRequest: BIG_BYTES / 1e6,
};

const compared = (name: string, unit: string, traffic: Traffic, atLeast: number): Comparison => ({
  group: "data",
  rows: [
    {
      name,
      unit,
      value: { side: "maitred", reading: "rate" },
      peer: { side: "bare", reading: "rate", name: "bare node:http" },
      must: { on: "ratio", atLeast },
    },
  ],
  open: async ({ effort }) => {
    const { path, perRequest, ...sent } = traffic;
    const tag = path.slice(1);
    const served = await startInstance({
      proxies: 1,
      backends: { [tag]: handler("handlers.ts", tag) },
      endpoints: { [tag]: { route: path as `/${string}`, backend: tag } },
    });
    const node = await startServer<{ port: number }>("peers/bare-server.ts");
    const side =
      (base: string): Side =>
      async () => ({
        rate: perRequest * perSecond(await loadHttp({ ...sent, url: `${base}${path}`, seconds: effort.seconds })),
      });
    return {
      sides: { maitred: side(served.url), bare: side(`http://127.0.0.1:${node.hello.port}`) },
      close: async () => {
        await node.stop();
        await served.stop();
      },
    };
  },
});

export const streamedParts = compared("streaming, 50 small parts a response, 32 clients", "parts/s", STREAMED, 0.5);
export const bigResponses = compared("10 MB response bodies", "MB/s", DOWNLOAD, 0.5);
export const bigRequests = compared("10 MB request bodies", "MB/s", UPLOAD, 0.35);
