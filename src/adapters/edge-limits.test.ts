/** The edge's limits on time and number, with raw sockets: slow, silent, idle, too many, and those that go on after a refusal. */
import { readFileSync } from "node:fs";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { ProxyLab, type ProxyWish } from "../../tests/harness/proxy-lab.ts";
import { RawHttp } from "../../tests/harness/raw-http.ts";
import { waitFor } from "../../tests/harness/wait-for.ts";
import type { ServeRequest } from "../api/api.ts";

const DEADLINE_MS = 10_000;
const lab = new ProxyLab();
const sockets: RawHttp[] = [];
afterEach(async () => {
  for (const raw of sockets.splice(0)) raw.close();
  await lab.close();
});
afterAll(() => lab.remove());

const open = (url: string): RawHttp => {
  const raw = new RawHttp(url);
  sockets.push(raw);
  return raw;
};

const echo = async (request: ServeRequest) => `${request.method} ${await request.text()}`;
const serve = (limits: ProxyWish["limits"] & object, door: unknown = echo) =>
  lab.serveWith({ limits: { checkIntervalMs: 20, lingerMs: 50, ...limits } }, { door });

const GET = "GET /g HTTP/1.1\r\nhost: x\r\n\r\n";
const POST = "POST /p HTTP/1.1\r\nhost: x\r\n";

/** Writes a byte now and then, as long as the connection lives. */
const trickle = (raw: RawHttp, byte: string): void => {
  const timer = setInterval(() => {
    if (raw.isClosed) clearInterval(timer);
    else raw.send(byte);
  }, 20);
};

describe("a client that is slow", () => {
  test("with its head, byte by byte, is refused with 408, and its connection ends", async () => {
    const { url } = await serve({ headersTimeoutMs: 150, requestTimeoutMs: 30_000 });
    const raw = open(url).send("GET /g HTTP/1.1\r\nx-a: ");
    trickle(raw, "y");
    const text = await raw.closed();
    expect(text).toMatch(/^HTTP\/1\.1 408 /);
    expect(text).toContain('"code":"request-timeout"');
    expect((await open(url).send(GET).answers())[0]).toMatchObject({ status: 200 });
  });

  test("with its body, byte by byte, is refused with 408, and its query is cancelled", async () => {
    const reason = Promise.withResolvers<unknown>();
    const { url } = await serve({ headersTimeoutMs: 150, requestTimeoutMs: 150 }, async (request: ServeRequest) => {
      request.signal.addEventListener("abort", () => reason.resolve(request.signal.reason));
      return request.text();
    });
    const raw = open(url).send(`${POST}transfer-encoding: chunked\r\n\r\n`);
    trickle(raw, "1\r\nx\r\n");
    expect(await raw.closed()).toMatch(/^HTTP\/1\.1 408 /);
    expect(await reason.promise).toMatchObject({ code: "query-cancelled" });
  });

  test("with a small body of a known length, of which nothing reaches a replica, is refused with 408", async () => {
    let calls = 0;
    const { url } = await serve({ headersTimeoutMs: 150, requestTimeoutMs: 150 }, () => {
      calls += 1;
    });
    const raw = open(url).send(`${POST}content-length: 100\r\n\r\nab`);
    expect(await raw.closed()).toMatch(/^HTTP\/1\.1 408 /);
    expect(calls).toBe(0);
  });
});

describe("a connection", () => {
  test("on which nothing comes is closed without a word", async () => {
    const { url } = await serve({ headersTimeoutMs: 100, requestTimeoutMs: 100 });
    expect(await open(url).closed()).toBe("");
  });

  test("that is idle after its answer is closed, and not while its answer is awaited", async () => {
    const gate = Promise.withResolvers<string>();
    let calls = 0;
    const door = () => {
      calls += 1;
      return calls === 1 ? "first" : gate.promise;
    };
    const { url } = await serve({ keepAliveTimeoutMs: 100 }, door);
    const idle = open(url).send(GET);
    const text = await idle.closed();
    expect(text).toContain("first");
    const waiting = open(url).send(GET);
    const other = open(url);
    await other.send(GET.replace("/g", "/-/healthz")).closed(); // as long again as an idle one lives
    expect(waiting.isClosed).toBe(false);
    gate.resolve("late");
    expect((await waiting.answers())[0]).toMatchObject({ status: 200, body: "late" });
  });

  // Elsewhere there is no such file to read.
  test.runIf(process.platform === "linux")("whose client vanishes is asked for by the kernel", async () => {
    const { url } = await serve({ tcpProbeAfterMs: 5_000 });
    const raw = open(url).send(GET);
    await raw.answers();
    const hex = (port: number | undefined) => (port ?? 0).toString(16).toUpperCase().padStart(4, "0");
    const [local, remote] = [hex(Number(new URL(url).port)), hex(raw.socket.localPort)];
    const line = readFileSync("/proc/net/tcp", "utf8")
      .split("\n")
      .find((it) => it.includes(`:${local} `) && it.includes(`:${remote} 01 `));
    // The sixth column: which timer runs; 02 is that of the probes.
    expect(line).toMatch(/ 01 \S+ 02:/);
  });

  test("beyond the number that is allowed is closed, and another takes the place of one that ends", async () => {
    const { url } = await serve({ maxConnections: 2 });
    const kept = [open(url).send(GET), open(url).send(GET)];
    for (const raw of kept) await raw.answers();
    expect(await open(url).send(GET).closed()).toBe("");
    expect(kept.map(({ isClosed }) => isClosed)).toEqual([false, false]);
    kept[0]!.close();
    const isServed = () =>
      fetch(url, { headers: { connection: "close" } }).then(
        ({ ok }) => ok,
        () => false,
      );
    await waitFor("there is room", isServed, DEADLINE_MS);
  });
});

describe("a client that sends on after it was refused", () => {
  test("may read the answer for a while, and is then cut", async () => {
    const { url } = await serve({ lingerMs: 100 });
    const raw = open(url).send("nonsense\r\n\r\n");
    trickle(raw, "more");
    expect(await raw.closed()).toMatch(/^HTTP\/1\.1 400 /);
  });

  test("is cut as soon as it has sent too much", async () => {
    const { url } = await serve({ lingerMs: 60_000, lingerBytes: 200_000 }, () => new Response("no", { status: 403 }));
    const raw = open(url).send(`${POST}content-length: 100000000\r\n\r\n`);
    await raw.answers();
    const part = Buffer.alloc(65_536);
    const sending = setInterval(() => raw.send(part), 1);
    await raw.closed();
    clearInterval(sending);
    expect((await open(url).send(GET).answers())[0]).toMatchObject({ status: 403 });
  });
});

test("a client that asks and asks and never reads is not read either: a bounded number of its requests runs", async () => {
  let calls = 0;
  const body = "x".repeat(100_000);
  const { url } = await serve({}, () => {
    calls += 1;
    return body;
  });
  const raw = open(url);
  raw.socket.pause();
  raw.send(GET.repeat(20_000));
  let before = -1;
  const stands = () => {
    const isSame = calls > 0 && calls === before;
    before = calls;
    return isSame;
  };
  await expect.poll(stands, { interval: 300, timeout: DEADLINE_MS }).toBe(true);
  // What the system's buffers hold of 100 KB each, and one read of the socket full of requests.
  expect(calls).toBeLessThan(5_000);
});
