/** An instance of the bench's own, through the public doors: it ends with this process, whatever becomes of that. */
import { type Backend, backend, type Client, type Endpoint, serve, type Target } from "../src/index.ts";
import { cpuMicroseconds } from "./measure.ts";

export interface Served {
  readonly name: string;
  readonly client: Client;
  /** Base URL of HTTP. */
  readonly url: string;
  /** Of all its processes. */
  readonly pids: readonly number[];
  /** User and system time of all its processes since the last lap, in microseconds. */
  lap(): number;
  stop(): Promise<void>;
}

/** One proxy, or none. */
export interface Wanted {
  readonly proxies: 0 | 1;
  readonly backends: Readonly<Record<string, Backend>>;
  readonly endpoints: Readonly<Record<string, Endpoint>>;
}

/** All the slots that a load may ask for: the limit is not what is measured. */
const CONFIG = { maxConcurrentQueries: 1_000, maxQueuedQueries: 1_000 } as const;

let started = 0;

export const startInstance = async ({ proxies, backends, endpoints }: Wanted): Promise<Served> => {
  started += 1;
  const name = `bench-${process.pid}-${started}`;
  const http = proxies === 0 ? ({ location: "none" } as const) : { port: 0, proxiesPerNode: proxies };
  const client = await serve.start({ instance: name, http });
  for (const [tag, ref] of Object.entries(backends)) await client.createBackend(tag, ref, CONFIG);
  for (const [tag, endpoint] of Object.entries(endpoints)) await client.createEndpoint(tag, endpoint);
  const { processes } = await client.status();
  const pids = processes.flatMap(({ pid }) => (pid === undefined ? [] : [pid]));
  let before = cpuMicroseconds(pids);
  return {
    name,
    client,
    url: client.urls[0] ?? "",
    pids,
    lap: () => {
      const now = cpuMicroseconds(pids);
      const used = now - before;
      before = now;
      return used;
    },
    // It is not detached: closing the client that started it erases it.
    stop: () => client.close(),
  };
};

const HANDLERS = new URL("./handlers/", import.meta.url);

/** An export of a module in handlers/. */
export const handler = (module: string, name: string): Backend =>
  backend<Target>({ module: new URL(module, HANDLERS), export: name });
