/** What a first user meets: how long it takes until the first answer, and what an idle instance takes of the memory. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import type { Comparison } from "../comparison.ts";
import { startSum } from "../data/small-requests.ts";
import { proportionalBytes } from "../measure.ts";
import { BIN, ROOT } from "../programs.ts";

const COLD_START_DEADLINE_MS = 20_000;
const END_DEADLINE_MS = 10_000;
/** Garbage of the start has been collected and nothing is warm any more. */
const IDLE_MS = 5_000;

interface ColdStart {
  readonly command: string;
  readonly args: readonly string[];
  readonly path: string;
  readonly body?: unknown;
}

const coldStartRow = (name: string, start: ColdStart, atMost: number): Comparison => ({
  group: "start",
  rows: [{ name, unit: "ms", value: { side: "start", reading: "ms" }, must: { on: "value", atMost } }],
  open: async () => ({ sides: { start: async () => ({ ms: await coldStart(start) }) }, close: async () => {} }),
});

export const runHello = coldStartRow(
  "maitred run examples/hello.ts to first answer",
  { command: process.execPath, args: [BIN, "run", "examples/hello.ts"], path: "/" },
  1_500,
);

export const npmStart = coldStartRow(
  "npm start to first answer",
  { command: "npm", args: ["start"], path: "/iris", body: [5.1, 3.5, 1.4, 0.2] },
  3_000,
);

export const idleMemory: Comparison = {
  group: "start",
  rows: [
    { name: "idle memory, one replica", unit: "MB", value: { side: "idle", reading: "MB" }, must: { on: "none" } },
  ],
  open: async () => {
    const served = await startSum();
    const { processes } = await served.client.status();
    const pids = processes.flatMap(({ pid }) => (pid === undefined ? [] : [pid]));
    await pause(IDLE_MS);
    return { sides: { idle: async () => ({ MB: proportionalBytes(pids) / 1e6 }) }, close: () => served.stop() };
  },
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
      if (performance.now() - startedAt > COLD_START_DEADLINE_MS) throw new Error(`${start.args.join(" ")}: no answer`);
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
  const ended = once(child, "exit");
  child.kill("SIGINT");
  await Promise.race([ended, pause(END_DEADLINE_MS)]);
};

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer();
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" ? (address?.port ?? 0) : 0));
    });
  });
