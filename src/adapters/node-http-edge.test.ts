/** The edge, byte by byte: what is malformed, too large, too slow, pipelined, half-closed, and how it lets its clients go. */
import { afterAll, afterEach, describe, expect, onTestFinished, test } from "vitest";
import { ProxyLab } from "../../tests/harness/proxy-lab.ts";
import { RawHttp } from "../../tests/harness/raw-http.ts";
import type { ServeRequest } from "../api/api.ts";
import { MAX_BODY_BYTES, MAX_HEADERS } from "../model/limits.ts";
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

/** Answers with what the handler got. */
const echo = async (request: ServeRequest) => `${request.method} ${request.path} ${await request.text()}`;
const serveEcho = () => lab.serve({ door: echo });

const POST = "POST /p HTTP/1.1\r\nhost: x\r\n";
const CHUNKED = "transfer-encoding: chunked\r\n\r\n";
const GET = "GET /g HTTP/1.1\r\nhost: x\r\n\r\n";

describe("malformed requests are refused with a problem, and the connection ends", () => {
  test.each<readonly [string, string, number]>([
    ["noise", "hello there\r\n\r\n", 400],
    ["TLS on a plain port", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400],
    ["no version", "GET /\r\nhost: x\r\n\r\n", 400],
    ["HTTP/2 by prior knowledge", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400],
    ["no Host", "GET / HTTP/1.1\r\n\r\n", 400],
    ["two Hosts", "GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n", 400],
    ["a target that is no path", "GET nowhere HTTP/1.1\r\nhost: x\r\n\r\n", 400],
    ["an asterisk", "OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n", 400],
    ["two lengths that differ", `${POST}content-length: 1\r\ncontent-length: 2\r\n\r\nab`, 400],
    ["two lengths in one", `${POST}content-length: 1, 2\r\n\r\nab`, 400],
    ["a negative length", `${POST}content-length: -1\r\n\r\n`, 400],
    ["a length with a sign", `${POST}content-length: +1\r\n\r\na`, 400],
    ["a hexadecimal length", `${POST}content-length: 0x1\r\n\r\na`, 400],
    ["an endless length", `${POST}content-length: 99999999999999999999999\r\n\r\na`, 400],
    ["length and chunks", `${POST}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`, 400],
    ["chunks and length", `${POST}transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n`, 400],
    ["an unknown coding", `${POST}transfer-encoding: gzip\r\n\r\n`, 400],
    ["chunked that is not last", `${POST}transfer-encoding: chunked, gzip\r\n\r\n0\r\n\r\n`, 400],
    ["chunked twice", `${POST}transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`, 400],
    ["a chunk size of nonsense", `${POST}transfer-encoding: chunked\r\n\r\nxyz\r\nab\r\n0\r\n\r\n`, 400],
    ["a negative chunk size", `${POST}transfer-encoding: chunked\r\n\r\n-2\r\nab\r\n0\r\n\r\n`, 400],
    ["a chunk size that overflows", `${POST}transfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\nab`, 400],
    ["a chunk longer than its size", `${POST}transfer-encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n`, 400],
    ["a bare LF behind a chunk size", `${POST}transfer-encoding: chunked\r\n\r\n2\nab\r\n0\r\n\r\n`, 400],
    ["a coding before chunks", `${POST}transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n`, 400],
    ["a coding in a header of its own", `${POST}transfer-encoding: gzip\r\n${CHUNKED}0\r\n\r\n`, 400],
    ["an empty coding before chunks", `${POST}transfer-encoding: ,chunked\r\n\r\n0\r\n\r\n`, 400],
    ["nearly chunked", `${POST}transfer-encoding: xchunked\r\n\r\n0\r\n\r\n`, 400],
    ["chunked behind a control character", `${POST}transfer-encoding: \x0bchunked\r\n\r\n0\r\n\r\n`, 400],
    ["a folded coding", `${POST}transfer-encoding:\r\n chunked\r\n\r\n0\r\n\r\n`, 400],
    ["no coding", `${POST}transfer-encoding: identity\r\n\r\n`, 400],
    ["chunks of HTTP/1.0", "POST /p HTTP/1.0\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 400],
    ["the same length twice", `${POST}content-length: 2\r\ncontent-length: 2\r\n\r\nab`, 400],
    ["an empty length", `${POST}content-length: \r\n\r\n`, 400],
    ["a length with a space", `${POST}content-length: 1 2\r\n\r\nab`, 400],
    ["a length with a point", `${POST}content-length: 2.0\r\n\r\nab`, 400],
    ["a hexadecimal mark before a chunk size", `${POST}${CHUNKED}0x2\r\nab\r\n0\r\n\r\n`, 400],
    ["a sign before a chunk size", `${POST}${CHUNKED}+2\r\nab\r\n0\r\n\r\n`, 400],
    ["a space behind a chunk size", `${POST}${CHUNKED}2 \r\nab\r\n0\r\n\r\n`, 400],
    ["no chunk size", `${POST}${CHUNKED}\r\nab\r\n0\r\n\r\n`, 400],
    ["a chunk without its end", `${POST}${CHUNKED}2\r\nab0\r\n\r\n`, 400],
    ["a bare LF behind a chunk", `${POST}${CHUNKED}2\r\nab\n0\r\n\r\n`, 400],
    ["a bare LF behind the last chunk", `${POST}${CHUNKED}2\r\nab\r\n0\n\n`, 400],
    ["a bare LF in a chunk extension", `${POST}${CHUNKED}2;a\nb\r\nab\r\n0\r\n\r\n`, 400],
    ["a NUL in a chunk extension", `${POST}${CHUNKED}2;a\0\r\nab\r\n0\r\n\r\n`, 400],
    ["a chunk extension of 64 KB", `${POST}${CHUNKED}2;${"a".repeat(65_536)}\r\nab\r\n0\r\n\r\n`, 400],
    ["a length in the trailers", `${POST}${CHUNKED}0\r\ncontent-length: 5\r\n\r\n`, 400],
    ["a coding in the trailers", `${POST}${CHUNKED}0\r\ntransfer-encoding: chunked\r\n\r\n`, 400],
    ["a folded trailer", `${POST}${CHUNKED}0\r\nx-t: 1\r\n 2\r\n\r\n`, 400],
    ["trailers of 64 KB", `${POST}${CHUNKED}0\r\nx-t: ${"y".repeat(65_536)}\r\n\r\n`, 431],
    ["lines that end in LF", "GET / HTTP/1.1\nhost: x\n\n", 400],
    ["one line that ends in LF", "GET / HTTP/1.1\r\nhost: x\nx-a: 1\r\n\r\n", 400],
    ["a head that ends in LF", "GET / HTTP/1.1\r\nhost: x\r\n\n", 400],
    ["lines that end in CR", "GET / HTTP/1.1\rhost: x\r\r", 400],
    ["a folded first header", "GET / HTTP/1.1\r\n host: x\r\n\r\n", 400],
    ["a Host with a space", "GET / HTTP/1.1\r\nhost: a b\r\n\r\n", 400],
    ["a Host with a path", "GET / HTTP/1.1\r\nhost: a/b\r\n\r\n", 400],
    ["a Host with a query", "GET / HTTP/1.1\r\nhost: a?b\r\n\r\n", 400],
    ["a Host with a user", "GET / HTTP/1.1\r\nhost: a@b\r\n\r\n", 400],
    ["two Hosts in one", "GET / HTTP/1.1\r\nhost: a,b\r\n\r\n", 400],
    ["a Host with a port of nonsense", "GET / HTTP/1.1\r\nhost: a:80x\r\n\r\n", 400],
    ["a Host that is not ASCII", "GET / HTTP/1.1\r\nhost: h\xe9\r\n\r\n", 400],
    ["a whole URL with a user", "GET http://u:p@h/ HTTP/1.1\r\nhost: x\r\n\r\n", 400],
    ["a whole URL of another scheme", "GET ftp://h/ HTTP/1.1\r\nhost: x\r\n\r\n", 400],
    ["a whole URL without a host", "GET http:///a HTTP/1.1\r\nhost: x\r\n\r\n", 400],
    ["a target with a fragment", "GET /a#b HTTP/1.1\r\nhost: x\r\n\r\n", 400],
    ["a target with a space", "GET /a b HTTP/1.1\r\nhost: x\r\n\r\n", 400],
    ["a target with a NUL", "GET /a\0 HTTP/1.1\r\nhost: x\r\n\r\n", 400],
    ["a target that is not ASCII", "GET /\xe9 HTTP/1.1\r\nhost: x\r\n\r\n", 400],
    ["a tunnel", "CONNECT x:443 HTTP/1.1\r\nhost: x:443\r\n\r\n", 400],
    ["an unknown method", "FETCH / HTTP/1.1\r\nhost: x\r\n\r\n", 400],
    ["a method in lower case", "get / HTTP/1.1\r\nhost: x\r\n\r\n", 400],
    ["a method of 64 KB", `${"G".repeat(65_536)} / HTTP/1.1\r\nhost: x\r\n\r\n`, 400],
    ["a tab in the request line", "GET\t/ HTTP/1.1\r\nhost: x\r\n\r\n", 400],
    ["a later version", "GET / HTTP/1.2\r\nhost: x\r\n\r\n", 400],
    ["version 2 in words of version 1", "GET / HTTP/2.0\r\nhost: x\r\n\r\n", 400],
    ["a version in lower case", "GET / http/1.1\r\nhost: x\r\n\r\n", 400],
    ["a header without a name", "GET / HTTP/1.1\r\nhost: x\r\n: 1\r\n\r\n", 400],
    ["a header without a colon", "GET / HTTP/1.1\r\nhost: x\r\nx-a\r\n\r\n", 400],
    ["a header name that is no token", "GET / HTTP/1.1\r\nhost: x\r\na(b): 1\r\n\r\n", 400],
    ["a NUL in a name", "GET / HTTP/1.1\r\nhost: x\r\na\0b: 1\r\n\r\n", 400],
    ["an LF in a value", "GET / HTTP/1.1\r\nhost: x\r\nx-a: 1\n2\r\n\r\n", 400],
    ["a space before the colon", "GET / HTTP/1.1\r\nhost : x\r\n\r\n", 400],
    ["a space in a name", "GET / HTTP/1.1\r\nhost: x\r\na b: c\r\n\r\n", 400],
    ["a folded header", "GET / HTTP/1.1\r\nhost: x\r\nx-a: 1\r\n 2\r\n\r\n", 400],
    ["a NUL in a value", "GET / HTTP/1.1\r\nhost: x\r\nx-a: 1\x002\r\n\r\n", 400],
    ["a CR in a value", "GET / HTTP/1.1\r\nhost: x\r\nx-a: 1\r2\r\n\r\n", 400],
    ["a head of 64 KB", `GET / HTTP/1.1\r\nhost: x\r\nx-a: ${"y".repeat(65_536)}\r\n\r\n`, 431],
    ["a target of 64 KB", `GET /${"y".repeat(65_536)} HTTP/1.1\r\nhost: x\r\n\r\n`, 431],
    ["too many headers", `GET / HTTP/1.1\r\nhost: x\r\n${"x-a: 1\r\n".repeat(MAX_HEADERS)}\r\n`, 431],
    ["a WebSocket", "GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n", 501],
    ["a body that is announced too large", `${POST}content-length: ${MAX_BODY_BYTES + 1}\r\n\r\n`, 413],
  ])("%s", async (_name, bytes, status) => {
    const { url } = await serveEcho();
    const raw = open(url).send(bytes);
    const [answer] = await raw.answers();
    expect(answer).toMatchObject({ status, body: expect.stringMatching(/^\{"type":"urn:maitred:error:[a-z-]+"/) });
    expect(answer?.head).toMatch(/\r\ncontent-type: application\/problem\+json/i);
    expect(parse(raw).length).toBe(1);
    const [next] = await open(url).send(GET).answers();
    expect(next).toMatchObject({ status: 200, body: "GET /g " });
  });

  test.each([MAX_HEADERS, MAX_HEADERS + 1, MAX_HEADERS + 50])(
    "host and %s more header fields are told how many may be",
    async (more) => {
      const { url } = await serveEcho();
      const [answer] = await open(url)
        .send(`GET / HTTP/1.1\r\nhost: x\r\n${"x-a: 1\r\n".repeat(more)}\r\n`)
        .answers();
      expect(JSON.parse(answer?.body ?? "")).toMatchObject({
        code: "headers-too-large",
        detail: expect.stringContaining(`more than ${MAX_HEADERS} header fields.`),
      });
    },
  );

  const parse = (raw: RawHttp) => raw.text.match(/HTTP\/1\.1 \d{3}/g) ?? [];

  test.each([
    ["length and chunks", `${POST}content-length: 5\r\n${CHUNKED}0\r\n\r\n`],
    ["a chunk longer than its size", `${POST}${CHUNKED}2\r\nabc\r\n0\r\n\r\n`],
    ["an unknown coding", `${POST}transfer-encoding: gzip\r\n\r\n`],
    ["version 2", "GET / HTTP/2.0\r\nhost: x\r\n\r\n"],
  ])("nothing behind a request that was refused is taken for another (%s)", async (_name, bytes) => {
    const seen: string[] = [];
    const door = (request: ServeRequest) => seen.push(request.path);
    const { url } = await lab.serve({ door });
    const text = await open(url).send(`${bytes}${GET}`).closed();
    expect(text.match(/HTTP\/1\.1 /g)).toHaveLength(1);
    expect(seen).not.toContain("/g");
  });

  test("what comes behind a last request is not looked at, and does not cost it its answer", async () => {
    const { url } = await serveEcho();
    const last = "POST /p HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 2\r\n\r\nab";
    const text = await open(url).send(`${last}${GET}`).closed();
    expect(text.match(/HTTP\/1\.1 /g)).toHaveLength(1);
    expect(text).toMatch(/^HTTP\/1\.1 200 .*POST \/p ab$/s);
  });

  test("a body that turns out malformed is refused, and its query cancelled", async () => {
    const proxy = await serveEcho();
    const raw = open(proxy.url).send(`${POST}transfer-encoding: chunked\r\n\r\n2\r\nab\r\n`);
    await expect.poll(() => proxy.router.counts().open).toBe(1);
    raw.send("nonsense\r\n");
    expect((await raw.answers())[0]).toMatchObject({ status: 400 });
    expect(proxy.router.counts().open).toBe(0);
  });
});

describe("what is allowed is served", () => {
  test.each<readonly [string, string, string]>([
    ["HTTP/1.0 without Host", "GET /old HTTP/1.0\r\n\r\n", "GET /old "],
    ["a whole URL as target", "GET http://other.example/abs?q=1 HTTP/1.1\r\nhost: x\r\n\r\n", "GET /abs "],
    ["a Host that is an address with a port", "GET /v6 HTTP/1.1\r\nhost: [::1]:8000\r\n\r\n", "GET /v6 "],
    ["an empty Host", "GET /none HTTP/1.1\r\nhost:\r\n\r\n", "GET /none "],
    [
      "chunks in upper case",
      `${POST}Transfer-Encoding:\tChunked \r\n\r\nA\r\n0123456789\r\n00\r\n\r\n`,
      "POST /p 0123456789",
    ],
    ["GET with a body", "GET /fat HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nab", "GET /fat ab"],
    [
      "a length that Connection would hide",
      `${POST}connection: content-length\r\ncontent-length: 2\r\n\r\nab`,
      "POST /p ab",
    ],
    [
      "an offer of h2c",
      "GET /h2 HTTP/1.1\r\nhost: x\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n\r\n",
      "GET /h2 ",
    ],
    ["a length of 0", `${POST}content-length: 0\r\n\r\n`, "POST /p "],
    [
      "chunks with extensions and trailers",
      `${POST}transfer-encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n1\r\nd\r\n0\r\nx-t: 1\r\n\r\n`,
      "POST /p abcd",
    ],
    ["an empty line before the request", `\r\n${GET}`, "GET /g "],
    ["a method of a later RFC", "PROPFIND /dav HTTP/1.1\r\nhost: x\r\n\r\n", "PROPFIND /dav "],
  ])("%s", async (_name, bytes, body) => {
    const { url } = await serveEcho();
    expect((await open(url).send(bytes).answers())[0]).toMatchObject({ status: 200, body });
  });

  test("the host of a whole URL counts, not the Host header", async () => {
    const { url } = await lab.serve({
      door: (request: ServeRequest) => `${request.url} ${request.headers.get("host")}`,
    });
    const raw = open(url).send("GET http://meant.example:81/a?b HTTP/1.1\r\nhost: other.example\r\n\r\n");
    expect((await raw.answers())[0]?.body).toBe("http://meant.example:81/a?b meant.example:81");
  });

  test("one byte at a time", async () => {
    const { url } = await serveEcho();
    const raw = open(url);
    raw.socket.setNoDelay(true);
    for (const byte of `${POST}content-length: 3\r\n\r\nabc`) {
      raw.send(byte);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect((await raw.answers())[0]).toMatchObject({ status: 200, body: "POST /p abc" });
  });

  test("pipelined requests are answered in order on one connection", async () => {
    const { url } = await serveEcho();
    const raw = open(url).send(`${GET}${POST}content-length: 2\r\n\r\nab${GET}`);
    expect((await raw.answers(3)).map(({ body }) => body)).toEqual(["GET /g ", "POST /p ab", "GET /g "]);
    expect(raw.isClosed).toBe(false);
  });

  test("a client that ends its side has left: nobody can tell it from one that is gone", async () => {
    const fired = Promise.withResolvers<unknown>();
    const started = Promise.withResolvers<void>();
    const { url } = await lab.serve({
      door: (request: ServeRequest) => {
        started.resolve();
        request.signal.addEventListener("abort", () => fired.resolve(request.signal.reason));
        return new Promise(() => {});
      },
    });
    const raw = open(url).send(GET);
    await started.promise;
    raw.socket.end();
    expect(await fired.promise).toMatchObject({ code: "query-cancelled" });
  });

  test("a client that asks for a nod gets it, or the reason why not", async () => {
    const { url } = await serveEcho();
    const raw = open(url).send(`${POST}content-length: 3\r\nexpect: 100-continue\r\n\r\n`);
    await expect.poll(() => raw.text).toBe("HTTP/1.1 100 Continue\r\n\r\n");
    raw.send("abc");
    await expect.poll(() => raw.text).toContain("POST /p abc");

    const large = open(url).send(`${POST}content-length: ${MAX_BODY_BYTES + 1}\r\nexpect: 100-continue\r\n\r\n`);
    expect((await large.answers())[0]).toMatchObject({ status: 413 });
    expect(large.text).not.toContain("100 Continue");
  });

  test("after a 404 with a small body the connection is closed, not confused", async () => {
    const { url } = await lab.serve({ door: echo, route: "/only" });
    const text = await open(url).send(`${POST}content-length: 2\r\n\r\nab`).closed();
    expect(text).toMatch(/^HTTP\/1\.1 404 /);
    expect(text).toMatch(/\r\nConnection: close\r\n/i);
  });
});

test("a body that grows too large in chunks is refused, with its reason readable, and not read for ever", async () => {
  const { url } = await serveEcho();
  const raw = open(url).send(`${POST}transfer-encoding: chunked\r\n\r\n`);
  const part = Buffer.from(`100000\r\n${"x".repeat(0x100000)}\r\n`);
  for (let sent = 0; sent < MAX_BODY_BYTES + 4 * part.length && !raw.isClosed; sent += part.length) {
    if (!raw.socket.write(part)) await new Promise((resolve) => raw.socket.once("drain", resolve));
  }
  expect((await raw.answers())[0]).toMatchObject({ status: 413, body: expect.stringContaining("body-too-large") });
  await raw.closed();
});

test("a head that is no HTTP is not sent, and leaves nothing behind in the answer that comes instead", async () => {
  const edge = createNodeHttpEdge({ port: "own" });
  onTestFinished(() => edge.stop());
  const sent: boolean[] = [];
  const port = await edge.listen(
    { kind: "port", host: "127.0.0.1", port: 0 },
    {
      onRequest: (exchange) => {
        sent.push(exchange.reply(200, ["x-a", "a\r\nset-cookie: b"], undefined));
        sent.push(exchange.reply(500, ["content-length", "0"], undefined));
        return { onGone: () => {}, onDrain: () => {} };
      },
      refusal: () => ({ status: 400, headers: [], body: new Uint8Array() }),
    },
  );
  const raw = open(`http://127.0.0.1:${port}`).send(GET);
  await raw.answers();
  expect(sent).toEqual([false, true]);
  expect(raw.text).toMatch(/^HTTP\/1\.1 500 Internal Server Error\r\n/);
  expect(raw.text).not.toMatch(/x-a|cookie/);
});

describe("a drain", () => {
  test("takes no new connection, answers what is open as the last of its connection, and then is over", async () => {
    const gate = Promise.withResolvers<string>();
    const started = Promise.withResolvers<void>();
    const proxy = await lab.serve({
      door: () => {
        started.resolve();
        return gate.promise;
      },
    });
    const raw = open(proxy.url).send(GET);
    await started.promise;
    const drained = proxy.role.drain(10_000);
    await expect(fetch(proxy.url)).rejects.toThrow();
    gate.resolve("answered");
    const text = await raw.closed();
    expect(text).toMatch(/\r\nConnection: close\r\n/i);
    expect(text).toContain("answered");
    await drained;
    expect(await proxy.exited).toBe(0);
    expect(proxy.link.reports.map(({ state }) => state)).toEqual(["starting", "starting", "ready", "draining"]);
  });

  test("leaves a connection alone that has not had its first request", async () => {
    const proxy = await serveEcho();
    const fresh = open(proxy.url);
    const other = open(proxy.url).send(GET);
    await other.answers();
    const drained = proxy.role.drain(10_000);
    // The one that is idle after its answer is closed: by then the other must still be open.
    await other.closed();
    expect(fresh.isClosed).toBe(false);
    fresh.send(GET);
    expect(await fresh.closed()).toContain("GET /g ");
    await drained;
  });

  test("lets a connection that goes on being used end with its next answer", async () => {
    const proxy = await serveEcho();
    const raw = open(proxy.url).send(GET);
    await raw.answers();
    const drained = proxy.role.drain(10_000);
    raw.send(GET);
    expect((await raw.answers(2))[1]).toMatchObject({ status: 200 });
    await raw.closed();
    await drained;
  });

  test("ends in its time whatever the clients do", async () => {
    const proxy = await lab.serve({ door: () => new Promise(() => {}) });
    const raw = open(proxy.url).send(GET);
    await expect.poll(() => proxy.router.counts().open).toBe(1);
    await proxy.role.drain(20);
    expect(await proxy.exited).toBe(0);
    await raw.closed();
  });
});
