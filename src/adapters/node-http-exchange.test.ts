/** Answers in parts, byte by byte: to clients that read slowly or not at all, and those that break off. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterAll, afterEach, describe, expect, onTestFinished, test } from "vitest";
import { ProxyLab } from "../../tests/harness/proxy-lab.ts";
import { RawHttp } from "../../tests/harness/raw-http.ts";
import { ndjson } from "../api/api.ts";
import { HttpError } from "../base/serve-error.ts";
import { createNodeHttpEdge } from "./node-http-edge.ts";

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

const GET = "GET /g HTTP/1.1\r\nhost: x\r\n\r\n";

/** Resolves when the number has come and stays. */
const stands = (value: () => number) => {
  let before = -1;
  const isSame = () => {
    const now = value();
    const is = now > 0 && now === before;
    before = now;
    return is;
  };
  return expect.poll(isSame, { interval: 200, timeout: 8_000 }).toBe(true);
};

test("many small parts for a client that does not read leave one listener behind, and come whole when it reads", async () => {
  const warnings: Error[] = [];
  const onWarning = (warning: Error) => warnings.push(warning);
  process.on("warning", onWarning);
  onTestFinished(() => void process.off("warning", onWarning));
  let made = 0;
  async function* parts() {
    for (; made < 10_000; made += 1) yield Buffer.alloc(1_000, "#");
  }
  const { url } = await lab.serve({ door: parts });
  const raw = open(url);
  raw.socket.pause();
  raw.send(GET);
  await stands(() => made);
  expect(made).toBeLessThan(10_000);
  raw.socket.resume();
  await expect.poll(() => raw.text.endsWith("\r\n0\r\n\r\n"), { timeout: 8_000 }).toBe(true);
  expect(raw.text.match(/#/g)).toHaveLength(10_000 * 1_000);
  expect(warnings).toEqual([]);
});

test("parts of all sizes for a client that stops and reads again come whole and in order", async () => {
  const sizes = Array.from({ length: 3_000 }, (_, index) => (index % 50 === 0 ? 40_000 : (index * 7) % 900));
  async function* parts() {
    for (const [index, size] of sizes.entries()) yield Buffer.from(`${index}:`.padEnd(size + 8, "#"));
  }
  const { url } = await lab.serve({ door: () => new Response(ReadableStream.from(parts())) });
  const raw = open(url).send("GET /g HTTP/1.0\r\nhost: x\r\n\r\n");
  for (let turn = 0; turn < 20; turn += 1) {
    raw.socket.pause();
    await new Promise((resolve) => setTimeout(resolve, 5));
    raw.socket.resume();
    await new Promise((resolve) => setImmediate(resolve));
  }
  const text = await raw.closed();
  const wanted = sizes.map((size, index) => `${index}:`.padEnd(size + 8, "#")).join("");
  expect(text.slice(text.indexOf("\r\n\r\n") + 4) === wanted).toBe(true);
});

test.each([
  ["one large part", [600_000]],
  ["several that are written together", [300_000, 300_000]],
  ["a large one and a small one", [60_000, 3, 20_000]],
])("who is told to wait is told afterwards to go on (%s)", async (_name, sizes) => {
  const edge = createNodeHttpEdge();
  onTestFinished(() => edge.stop());
  const calls: ("waits" | "goes on")[] = [];
  const port = await edge.listen(
    { kind: "port", host: "127.0.0.1", port: 0 },
    {
      onRequest(exchange) {
        exchange.begin(200, []);
        exchange.write(new Uint8Array(20));
        // The head has left: what follows is gathered.
        setImmediate(() => {
          for (const size of sizes) if (!exchange.write(new Uint8Array(size))) calls.push("waits");
        });
        return { onGone() {}, onDrain: () => void calls.push("goes on") };
      },
      refusal: () => ({ status: 500, headers: [], body: new Uint8Array(0) }),
    },
  );
  const raw = open(`http://127.0.0.1:${port}`).send(GET);
  const bytes = sizes.reduce((sum, size) => sum + size, 0);
  await expect.poll(() => raw.text.length).toBeGreaterThan(bytes);
  await expect.poll(() => calls.at(-1) ?? "goes on").toBe("goes on");
});

test("small parts that wait for a client do not keep the memory alive that they lie in", async () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const edge = createNodeHttpEdge();
  onTestFinished(() => edge.stop());
  const memory = async () => {
    for (let turn = 0; turn < 3; turn += 1) {
      await new Promise((resolve) => setImmediate(resolve));
      collect();
    }
    return process.memoryUsage().arrayBuffers;
  };
  const [reads, readBytes] = [200, 1_000_000];
  const held = Promise.withResolvers<number>();
  const port = await edge.listen(
    { kind: "port", host: "127.0.0.1", port: 0 },
    {
      onRequest(exchange) {
        exchange.begin(200, []);
        const fill = async () => {
          // More than the systems between hold.
          exchange.write(new Uint8Array(20_000_000));
          const before = await memory();
          for (let index = 0; index < reads; index += 1) {
            exchange.write(new Uint8Array(readBytes).subarray(0, 20));
            await new Promise((resolve) => setImmediate(resolve));
          }
          held.resolve((await memory()) - before);
        };
        void fill();
        return { onGone() {}, onDrain() {} };
      },
      refusal: () => ({ status: 500, headers: [], body: new Uint8Array(0) }),
    },
  );
  open(`http://127.0.0.1:${port}`).send(GET).socket.pause();
  expect(await held.promise).toBeLessThan((reads * readBytes) / 10);
});

describe("an answer that breaks off", () => {
  const breaking = () =>
    ndjson(
      (async function* () {
        yield { i: 0 };
        yield { i: 1 };
        throw new HttpError(418, "late");
      })(),
    );

  test.each([
    ["a request without body", GET],
    ["a body that is still being sent", "POST /p HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n"],
  ])("arrives as far as it was given, without an end (%s)", async (_name, request) => {
    const { url } = await lab.serve({ door: breaking });
    const text = await open(url).send(request).closed();
    expect(text).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(text.match(/\{"i":\d\}/g)).toEqual(['{"i":0}', '{"i":1}']);
    expect(text).not.toContain("\r\n0\r\n");
  });

  test("is seen to be broken by a client of HTTP/1.0 too, to which the end of the connection is the end of the answer", async () => {
    const { url } = await lab.serve({ door: breaking });
    const raw = open(url);
    const errors: unknown[] = [];
    raw.socket.on("error", (error) => errors.push(error));
    const text = await raw.send("GET /g HTTP/1.0\r\nhost: x\r\n\r\n").closed();
    expect(text).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(errors).toMatchObject([{ code: "ECONNRESET" }]);
  });

  test("is not kept for ever for a client that does not read, and no further request of it runs", async () => {
    let calls = 0;
    async function* parts() {
      calls += 1;
      for (;;) yield Buffer.alloc(65_536);
    }
    const proxy = await lab.serveWith({ limits: { lingerMs: 500 } }, { door: parts, timeoutMs: 300 });
    const raw = open(proxy.url);
    raw.socket.pause();
    raw.send(GET);
    const running = () => proxy.router.counts().open;
    await expect.poll(running).toBe(1);
    await expect.poll(running).toBe(0);
    // Writing to a connection that the other side has closed brings a reset, which is seen without reading.
    const isClosed = () => raw.send(GET).isClosed;
    await expect.poll(isClosed, { timeout: 8_000 }).toBe(true);
    expect(calls).toBe(1);
  });
});
