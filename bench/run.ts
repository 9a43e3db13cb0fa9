/**
 * `npm run bench [-- --json]`: where we stand, as ratios against a peer measured in the same run, median of five interleaved. Nothing
 * here is a test: numbers of one machine prove nothing on another. Linux only. Everything it starts is ended, also when it fails.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { backend, type Client, serve } from "../src/index.ts";
import { endMarked, MARK_VARIABLE } from "../tests/harness/processes.ts";
import {
  BIN,
  cpuMicroseconds,
  firstLine,
  type LoadResult,
  median,
  proportionalBytes,
  ROOT,
  runScript,
  startScript,
} from "./measure.ts";
import { type Row, rowOf, tableOf } from "./rows.ts";

const ROUNDS = 5;
const SECONDS = 2;
const IN_FLIGHT = 64;
const COLD_STARTS = 10;
const COLD_START_DEADLINE_MS = 20_000;
/** Garbage of the start has been collected and nothing is warm any more. */
const IDLE_MS = 5_000;

const INSTANCE = "bench";

const main = async (): Promise<void> => {
  const mark = randomBytes(6).toString("hex");
  const folder = mkdtempSync(join(tmpdir(), "maitred-bench-"));
  Object.assign(process.env, {
    [MARK_VARIABLE]: mark,
    XDG_STATE_HOME: join(folder, "state"),
    MAITRED_RUN_ROOT: join(folder, "run"),
  });
  try {
    const rows = [...(await measureServing()), ...(await measureColdStarts())];
    const isJson = process.argv.includes("--json");
    process.stdout.write(
      isJson ? rows.map((row) => `${JSON.stringify(row, nullForAbsent)}\n`).join("") : `${tableOf(rows)}\n`,
    );
  } finally {
    await endMarked(mark);
    rmSync(folder, { recursive: true, force: true });
  }
};

/** Every line has every field. */
const nullForAbsent = (_key: string, value: unknown): unknown => (value === undefined ? null : value);

const say = (text: string): void => {
  process.stderr.write(`${text}\n`);
};

const measureServing = async (): Promise<readonly Row[]> => {
  const client = await serve.start({ detached: true, instance: INSTANCE, http: { port: 0 } });
  const module = new URL("./sum.ts", import.meta.url);
  await client.createBackend("sum", backend({ module, export: "sum" }));
  await client.createEndpoint("sum", { route: "/sum", backend: "sum" });
  const idle = await measureIdle(client);
  const http = await measureHttp(client);
  await client.createBackend("sum-method", backend({ module, export: "Sum" }), { maxConcurrentQueries: 2 * IN_FLIGHT });
  await client.createEndpoint("sum-method", { backend: "sum-method" });
  const handle = await measureHandle();
  await client.shutdown();
  await client.close();
  return [...http, ...handle, idle];
};

const pidsOf = async (client: Client): Promise<readonly number[]> =>
  (await client.status()).processes.flatMap(({ pid }) => (pid === undefined ? [] : [pid]));

const measureIdle = async (client: Client): Promise<Row> => {
  say("idle memory");
  await pause(IDLE_MS);
  const pids = await pidsOf(client);
  return rowOf({
    row: "idle memory, one replica",
    value: proportionalBytes(pids) / 1e6,
    unit: `MB in ${pids.length} processes`,
  });
};

interface Measured {
  readonly perSecond: number;
  readonly cpuPerRequest: number;
}

const measureHttp = async (client: Client): Promise<readonly Row[]> => {
  const bare = startScript("bare-server.ts");
  const { port } = await firstLine<{ port: number }>(bare);
  const subjects = [
    { name: "maitred", url: `${client.urls[0] ?? ""}/sum`, pids: await pidsOf(client) },
    { name: "bare node:http", url: `http://127.0.0.1:${port}/`, pids: [bare.pid ?? 0] },
  ] as const;
  const measured = new Map<string, Measured[]>(subjects.map(({ name }) => [name, []]));
  for (let round = 0; round <= ROUNDS; round += 1) {
    for (const { name, url, pids } of subjects) {
      say(`http, ${round === 0 ? "warming up" : `round ${round} of ${ROUNDS}`}: ${name}`);
      const before = cpuMicroseconds(pids);
      const { requests, bad, ms } = await runScript<LoadResult>("http-load.ts", [url, IN_FLIGHT, SECONDS]);
      if (bad > 0 || requests === 0) throw new Error(`${name}: ${bad} of ${requests} requests failed`);
      const cpuPerRequest = (cpuMicroseconds(pids) - before) / requests;
      if (round > 0) measured.get(name)?.push({ perSecond: (requests / ms) * 1_000, cpuPerRequest });
    }
  }
  bare.kill();
  const of = (name: string, what: keyof Measured): number => median((measured.get(name) ?? []).map((one) => one[what]));
  const against = (what: keyof Measured) => ({ peer: { name: "bare node:http", value: of("bare node:http", what) } });
  return [
    rowOf(
      { row: "HTTP, one proxy and one replica: CPU", value: of("maitred", "cpuPerRequest"), unit: "µs/request" },
      against("cpuPerRequest"),
    ),
    rowOf(
      { row: "HTTP, one proxy and one replica: rate", value: of("maitred", "perSecond"), unit: "requests/s" },
      against("perSecond"),
    ),
  ];
};

const measureHandle = async (): Promise<readonly Row[]> => {
  const rates: { readonly handle: number[]; readonly thread: number[] } = { handle: [], thread: [] };
  for (let round = 1; round <= ROUNDS; round += 1) {
    say(`handle, round ${round} of ${ROUNDS}`);
    const handle = await runScript<LoadResult>("handle-load.ts", [INSTANCE, IN_FLIGHT, SECONDS]);
    const thread = await runScript<LoadResult>("thread-load.ts", [IN_FLIGHT, SECONDS]);
    if (handle.bad + thread.bad > 0) throw new Error("a call answered a wrong sum");
    rates.handle.push((handle.requests / handle.ms) * 1_000);
    rates.thread.push((thread.requests / thread.ms) * 1_000);
  }
  const peer = { name: "worker thread, messages", value: median(rates.thread) };
  return [
    rowOf({ row: `handle to replica, ${IN_FLIGHT} in flight`, value: median(rates.handle), unit: "calls/s" }, { peer }),
  ];
};

interface ColdStart {
  readonly row: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly path: string;
  readonly body?: unknown;
  readonly atMostMs: number;
}

const measureColdStarts = async (): Promise<readonly Row[]> => {
  const cases: readonly ColdStart[] = [
    {
      row: "maitred run examples/hello.ts to first answer, p50",
      command: process.execPath,
      args: [BIN, "run", "examples/hello.ts"],
      path: "/",
      atMostMs: 1_500,
    },
    {
      row: "npm start to first answer, p50",
      command: "npm",
      args: ["start"],
      path: "/iris",
      body: [5.1, 3.5, 1.4, 0.2],
      atMostMs: 3_000,
    },
  ];
  const rows: Row[] = [];
  for (const one of cases) {
    const took: number[] = [];
    for (let round = 1; round <= COLD_STARTS; round += 1) {
      took.push(await coldStart(one));
      say(`${one.row}: ${Math.round(took.at(-1) ?? 0)} ms (${round} of ${COLD_STARTS})`);
    }
    rows.push(rowOf({ row: one.row, value: median(took), unit: "ms" }, { atMost: one.atMostMs }));
  }
  return rows;
};

/** From the spawn of the command to the first good answer. */
const coldStart = async (start: ColdStart): Promise<number> => {
  const port = await freePort();
  const startedAt = performance.now();
  const child = spawn(start.command, [...start.args], {
    cwd: ROOT,
    env: { ...process.env, PORT: String(port), MAITRED_INSTANCE: `cold-${port}` },
    stdio: "ignore",
  });
  try {
    const url = `http://127.0.0.1:${port}${start.path}`;
    while (!(await isAnswered(url, start.body))) {
      if (performance.now() - startedAt > COLD_START_DEADLINE_MS) throw new Error(`${start.row}: no answer`);
      await pause(5);
    }
    return performance.now() - startedAt;
  } finally {
    await end(child);
  }
};

const isAnswered = async (url: string, body: unknown): Promise<boolean> => {
  try {
    const headers = { "content-type": "application/json", connection: "close" };
    const answer = await fetch(
      url,
      body === undefined ? { headers } : { method: "POST", headers, body: JSON.stringify(body) },
    );
    await answer.arrayBuffer();
    return answer.ok;
  } catch {
    return false; // nobody listens yet
  }
};

const end = async (child: ChildProcess): Promise<void> => {
  const ended = new Promise((resolve) => {
    child.once("exit", resolve);
  });
  child.kill("SIGINT");
  await Promise.race([ended, pause(COLD_START_DEADLINE_MS)]);
};

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer();
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" ? (address?.port ?? 0) : 0));
    });
  });

await main();
