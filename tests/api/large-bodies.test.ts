/**
 * Bodies far larger than anybody may hold, through the processes of an instance. `MAITRED_BODY_MB=1024 npx vitest run
 * tests/api/large-bodies.test.ts` sends and receives a gigabyte.
 */
import { get } from "node:http";
import { beforeAll, expect, test } from "vitest";
import { backend, type Client } from "../../src/index.ts";
import type { Maker } from "../fixtures/apps/large-bodies.ts";
import { processesOf } from "../harness/census.ts";
import { fixture } from "../harness/echo.ts";
import { sendLargeBody } from "../harness/exchange.ts";
import { useLab } from "../harness/lab.ts";
import { residentBytes } from "../harness/processes.ts";

const lab = useLab("file");
const BODY_MB = Number(process.env["MAITRED_BODY_MB"] ?? 256);
const BODY_BYTES = BODY_MB * 1_048_576;
/** Whoever kept the body would grow by all of it; garbage of what passes is collected now and then. */
const MEMORY_GROWTH_BYTES = 120_000_000;
const TEST_TIMEOUT_MS = 60_000 + 200 * BODY_MB;

let client: Client;
let url: string;
let pids: readonly number[];
let before: readonly number[];

beforeAll(async () => {
  const instance = await lab().start();
  ({ client, url } = instance);
  const module = fixture("apps/large-bodies.ts");
  await client.createBackend("count", backend({ module, export: "countBytes" }));
  await client.createBackend("maker", backend<typeof Maker>({ module, export: "Maker" }));
  await client.createEndpoint("count", { route: "/count", backend: "count" });
  await client.createEndpoint("maker", { route: "/maker", backend: "maker", timeoutMs: TEST_TIMEOUT_MS });
  const found = await instance.status();
  pids = [...processesOf(found, "proxy"), ...processesOf(found, "replica")].map(({ pid }) => pid ?? 0);
  expect(pids).toHaveLength(3);
  before = pids.map(residentBytes);
}, 60_000);

/** The most that any process has grown by meanwhile. */
const growthDuring = async (work: () => Promise<void>): Promise<number> => {
  let most = 0;
  const look = () => {
    most = Math.max(most, ...pids.map((pid, index) => residentBytes(pid) - before[index]!));
  };
  const watch = setInterval(look, 20);
  try {
    await work();
    look();
  } finally {
    clearInterval(watch);
  }
  return most;
};

test.each(["with its length", "in chunks"] as const)(
  `a request of ${BODY_MB} MB passes with flat memory (%s)`,
  async (framing) => {
    const growth = await growthDuring(async () => {
      const text = await sendLargeBody(
        { host: "127.0.0.1", port: Number(new URL(url).port) },
        { line: "POST /count", bytes: BODY_BYTES, framing, end: "sent", deadlineMs: TEST_TIMEOUT_MS },
      );
      expect(text).toMatch(/^HTTP\/1\.1 200 /);
      expect(text).toMatch(new RegExp(`\r\n\r\n${BODY_BYTES}$`));
    });
    expect(growth).toBeLessThan(MEMORY_GROWTH_BYTES);
  },
  TEST_TIMEOUT_MS,
);

test(
  `a response of ${BODY_MB} MB passes with flat memory, and while its client does not read, nothing is made`,
  async () => {
    const maker = client.getHandle<typeof Maker>("maker");
    let bytes = 0;
    const growth = await growthDuring(async () => {
      const response = await new Promise<import("node:http").IncomingMessage>((resolve, reject) => {
        get(`${url}/maker?bytes=${BODY_BYTES}`, resolve).on("error", reject);
      });
      response.pause();
      let madeBefore = -1;
      const stands = async () => {
        const made = await maker.made();
        const isSame = made > 0 && made === madeBefore;
        madeBefore = made;
        return isSame;
      };
      await expect.poll(stands, { interval: 300, timeout: 20_000 }).toBe(true);
      // What the buffers of the system hold on the way, and a window each.
      expect(madeBefore).toBeLessThan(32_000_000);
      for await (const part of response) bytes += (part as Buffer).length;
    });
    expect(bytes).toBe(BODY_BYTES);
    expect(growth).toBeLessThan(MEMORY_GROWTH_BYTES);
  },
  TEST_TIMEOUT_MS,
);
