/** Requests from the client's socket to the handler and back, through a real router and a real replica. */
import { afterAll, afterEach, describe, expect, onTestFinished, test } from "vitest";
import { ask, expectProblem } from "../../tests/harness/http.ts";
import { closureOf, ProxyLab } from "../../tests/harness/proxy-lab.ts";
import { RawHttp } from "../../tests/harness/raw-http.ts";
import { context, type ServeRequest, sse } from "../api/api.ts";
import { HttpError, ServeError } from "../base/serve-error.ts";

const lab = new ProxyLab();
afterEach(() => lab.close());
afterAll(() => lab.remove());

const seen = (request: ServeRequest) => ({
  method: request.method,
  url: request.url,
  params: request.params,
  headers: Object.fromEntries(request.headers),
  requestId: context().requestId,
  shardKey: context().shardKey ?? null,
});

describe("a request", () => {
  test("reaches the handler as it was sent, without the headers of the hop", async () => {
    const { url } = await lab.serve({ door: seen });
    const answer = await ask(`${url}/a%20b?c=1&c=2`, {
      method: "PUT",
      body: { x: 1 },
      headers: {
        host: "example.org",
        connection: "keep-alive, x-private",
        "x-private": "1",
        te: "trailers",
        "x-a": "1",
      },
    });
    expect(answer.json()).toMatchObject({
      method: "PUT",
      url: "http://example.org/a%20b?c=1&c=2",
      headers: { host: "example.org", "content-type": "application/json", "x-a": "1" },
    });
    expect(Object.keys(answer.json<{ headers: object }>().headers)).not.toEqual(expect.arrayContaining(["connection"]));
    expect(answer.json<{ headers: object }>().headers).not.toHaveProperty("x-private");
    expect(answer.json<{ headers: object }>().headers).not.toHaveProperty("te");
  });

  test("keeps a valid request id, and gets one otherwise; the answer names it", async () => {
    const { url } = await lab.serve({ door: seen });
    const own = await ask(url, { headers: { "x-request-id": "abc-1.2" } });
    expect(own.json()).toMatchObject({ requestId: "abc-1.2" });
    expect(own.headers["x-request-id"]).toBe("abc-1.2");
    const drawn = await ask(url, { headers: { "x-request-id": "not valid!" } });
    const { requestId } = drawn.json<{ requestId: string }>();
    expect(requestId).toMatch(/^[0-9a-f]{12}-[0-9a-z]+$/);
    expect(drawn.headers["x-request-id"]).toBe(requestId);
  });

  test("carries its shard key", async () => {
    const { url } = await lab.serve({ door: seen });
    const answer = await ask(url, { headers: { "X-Serve-Shard-Key": "user-7" } });
    expect(answer.json()).toMatchObject({ shardKey: "user-7" });
  });

  test("carries a body of a megabyte both ways, untouched", async () => {
    const { url } = await lab.serve({ door: (request: ServeRequest) => request.bytes() });
    const text = "ü".repeat(500_000);
    const answer = await ask(url, { body: text });
    expect(answer.text).toBe(text);
    expect(answer.headers["content-length"]).toBe("1000000");
  });

  test("reaches an exposed method with its JSON body as the one argument", async () => {
    class Model {
      double(n: number) {
        return 2 * n;
      }
      secret() {
        return "x";
      }
    }
    const { url } = await lab.serve({ door: Model, expose: ["double"], tag: "model" });
    const headers = { "x-serve-call-method": "double" };
    expect(await ask(url, { body: 21, headers })).toMatchObject({ status: 200, text: "42" });
    const hidden = await ask(url, { body: 1, headers: { "x-serve-call-method": "secret" } });
    expect(expectProblem(hidden, { status: 404, code: "method-unknown" })).toContain('endpoint "model"');
    const raw = new RawHttp(url).send(
      `POST / HTTP/1.1\r\nhost: x\r\nx-serve-call-method: double\r\ncontent-length: 100000000\r\n\r\n`,
    );
    onTestFinished(() => raw.close());
    const [large] = await raw.answers();
    expect(JSON.parse(large?.body ?? "")).toMatchObject({
      code: "body-too-large",
      detail: "the argument of 100000000 bytes is larger than 32000000. Send less, or in several requests.",
    });
  });

  test("with HEAD gets the head of GET", async () => {
    const { url } = await lab.serve({ door: () => "four", methods: ["GET"] });
    const answer = await ask(url, { method: "HEAD" });
    expect(answer).toMatchObject({ status: 200, text: "" });
    expect(answer.headers["content-length"]).toBe("4");
  });

  test("to a fetch app arrives as a Request, and its Response leaves as it is", async () => {
    const app = {
      fetch: async (request: Request) =>
        new Response(`${request.method} ${new URL(request.url).pathname} ${await request.text()}`, {
          status: 201,
          headers: [
            ["set-cookie", "a=1"],
            ["set-cookie", "b=2"],
            ["connection", "close"],
            ["x-a", "1"],
          ],
        }),
    };
    const { url } = await lab.serve({ door: app });
    const answer = await ask(`${url}/x/y`, { body: "hello" });
    expect(answer).toMatchObject({ status: 201, text: "POST /x/y hello" });
    expect(answer.headers).toMatchObject({ "set-cookie": ["a=1", "b=2"], "x-a": "1" });
  });
});

describe("an answer", () => {
  test.each([
    ["nothing", () => undefined, 204, undefined, ""],
    ["a string", () => "x", 200, "1", "x"],
    ["an empty string", () => "", 200, "0", ""],
    ["a Response without body", () => new Response(null, { status: 304 }), 304, undefined, ""],
    [
      "a Response that lies about its length",
      () => new Response("four", { headers: { "content-length": "9" } }),
      200,
      "4",
      "four",
    ],
  ])("of %s has the right length", async (_name, door, status, length, text) => {
    const { url } = await lab.serve({ door });
    const answer = await ask(url);
    expect(answer).toMatchObject({ status, text });
    expect(answer.headers["content-length"]).toBe(length);
  });

  test("in parts arrives part by part", async () => {
    const gate = Promise.withResolvers<void>();
    async function* parts() {
      yield "first";
      await gate.promise;
      yield "second";
    }
    const { url } = await lab.serve({ door: () => sse(parts()) });
    const response = await fetch(url);
    expect(response.headers.get("content-type")).toBe("text/event-stream");
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    expect((await reader.read()).value).toBe("data: first\n\n");
    gate.resolve();
    expect((await reader.read()).value).toBe("data: second\n\n");
    expect((await reader.read()).done).toBe(true);
  });

  test("that breaks off breaks the connection", async () => {
    async function* parts() {
      yield "first";
      await new Promise((resolve) => setTimeout(resolve, 5));
      throw new Error("broken");
    }
    const { url } = await lab.serve({ door: parts });
    await expect(fetch(url).then((response) => response.text())).rejects.toThrow();
  });

  test("that is longer or shorter than it says breaks the connection", async () => {
    async function* parts() {
      yield new Uint8Array(3);
      await new Promise((resolve) => setTimeout(resolve, 5));
      yield new Uint8Array(3);
    }
    for (const length of ["5", "7"]) {
      const door = () => new Response(ReadableStream.from(parts()), { headers: { "content-length": length } });
      const { url } = await lab.serve({ door });
      await expect(fetch(url).then((response) => response.bytes())).rejects.toThrow();
    }
  });

  test("with headers that HTTP does not allow is a problem", async () => {
    const headers = {
      forEach: () => {},
      *[Symbol.iterator]() {
        yield ["x-bad", "a\r\nb: c"];
      },
    };
    const door = () => ({ status: 200, headers, body: null, bodyUsed: false, arrayBuffer: () => {} });
    const { url } = await lab.serve({ door });
    expectProblem(await ask(url), { status: 500, code: "result-invalid" });
    expect(await ask(`${url}/-/healthz`)).toMatchObject({ status: 200 });
  });

  test("of a client that has left is not waited for", async () => {
    const fired = Promise.withResolvers<unknown>();
    const started = Promise.withResolvers<void>();
    const door = () => {
      const { signal } = context();
      signal.addEventListener("abort", () => fired.resolve(signal.reason));
      started.resolve();
      return new Promise(() => {});
    };
    const { url } = await lab.serve({ door });
    const leaving = new AbortController();
    const request = fetch(url, { signal: leaving.signal }).catch(() => "left");
    await started.promise;
    leaving.abort();
    expect(await request).toBe("left");
    expect(await fired.promise).toMatchObject({ code: "query-cancelled" });
  });

  test("to a client that does not read makes nobody grow, and comes whole when it reads", async () => {
    let made = 0;
    async function* parts() {
      for (; made < 400; made += 1) yield Buffer.alloc(65_536, made);
    }
    const { url } = await lab.serve({ door: parts });
    const response = await fetch(url);
    const reader = response.body!.getReader();
    let bytes = (await reader.read()).value!.length;
    // It stands still when the buffers on the way are full: far below the 26 MB of the whole.
    let before = -1;
    await expect
      .poll(
        () => {
          const stands = made === before;
          before = made;
          return stands;
        },
        { interval: 100 },
      )
      .toBe(true);
    expect(made).toBeLessThan(200);
    for (let part = await reader.read(); !part.done; part = await reader.read()) bytes += part.value.length;
    expect(bytes).toBe(400 * 65_536);
  });
});

describe("a problem", () => {
  test("says type, title, status, detail, code and request id", async () => {
    const { url } = await lab.serve({ door: () => 1, route: "/iris", methods: ["POST"], tag: "iris" });
    const answer = await ask(`${url}/nowhere`, { headers: { "x-request-id": "r-1" } });
    expectProblem(answer, { status: 404, code: "route-not-found" });
    expect(answer.json()).toEqual({
      type: "urn:maitred:error:route-not-found",
      title: "No endpoint answers this path.",
      status: 404,
      detail: "no endpoint answers /nowhere. GET /-/routes lists the routes that exist.",
      code: "route-not-found",
      requestId: "r-1",
    });
    const wrong = await ask(`${url}/iris`);
    expectProblem(wrong, { status: 405, code: "method-not-allowed" });
    expect(wrong.headers["allow"]).toBe("POST");
  });

  test("of an HttpError is its status and detail", async () => {
    const { url } = await lab.serve({
      door: () => {
        throw new HttpError(409, "the flower is taken.");
      },
    });
    const answer = await ask(url);
    expect(expectProblem(answer, { status: 409, code: "http-error" })).toBe("the flower is taken.");
    expect(answer.json()).toMatchObject({ type: "about:blank", title: "Conflict" });
  });

  test("of a user's own error has its details, whatever values they are", async () => {
    const details = { id: 12n, rows: new BigInt64Array([3n]), at: new Date(0), kinds: new Map([["a", 1]]) };
    const { url } = await lab.serve({
      door: () => {
        throw new ServeError("flower-taken", "it is taken.", { details });
      },
    });
    const answer = await ask(url);
    expect(answer.status).toBe(500);
    expect(answer.json()).toMatchObject({
      code: "flower-taken",
      details: { id: "12", rows: { 0: "3" }, at: "1970-01-01T00:00:00.000Z" },
    });
  });

  test("of a handler that threw tells the request id and nothing else", async () => {
    const { url } = await lab.serve({
      door: () => {
        throw new Error("hunter2");
      },
    });
    const answer = await ask(url, { headers: { "x-request-id": "r-5" } });
    expect(expectProblem(answer, { status: 500, code: "handler-failed" })).toContain("r-5");
    expect(answer.text).not.toContain("hunter2");
  });

  test("of full queues is 503 with Retry-After", async () => {
    const proxy = await lab.serve({ door: () => new Promise(() => {}), config: { maxConcurrentQueries: 1 } });
    const [replica] = proxy.backends;
    const closure = closureOf("e", [replica!], { route: "/*" });
    const [tag, backend] = Object.entries(closure.backends)[0]!;
    proxy.publish({ ...closure, backends: { [tag]: { ...backend, maxConcurrentQueries: 1, maxQueuedQueries: 1 } } });
    const waiting = [fetch(proxy.url), fetch(proxy.url)].map((request) => request.catch(() => undefined));
    await expect.poll(() => proxy.router.counts().open).toBe(2);
    const answer = await ask(proxy.url);
    expectProblem(answer, { status: 503, code: "queue-full" });
    expect(answer.headers["retry-after"]).toBe("1");
    proxy.role.stop();
    await Promise.all(waiting);
  });

  test("of a deadline is 504, of a replica that died 502", async () => {
    const slow = await lab.serve({ door: () => new Promise(() => {}), timeoutMs: 30 });
    expectProblem(await ask(slow.url), { status: 504, code: "deadline-exceeded" });
    const started = Promise.withResolvers<void>();
    const dying = await lab.serve({
      door: () => {
        started.resolve();
        return new Promise(() => {});
      },
    });
    const answer = ask(dying.url, { body: "x" });
    await started.promise;
    await dying.backends[0]!.replica.stop();
    expectProblem(await answer, { status: 502, code: "replica-lost" });
  });
});

describe("the proxy itself", () => {
  test("says that it lives, that it is ready, and which routes it has", async () => {
    const { url } = await lab.serve(
      { door: () => 1, route: "/iris", methods: ["POST"], tag: "iris" },
      { door: () => 1, route: "/users/:id", tag: "users" },
    );
    expect(await ask(`${url}/-/healthz`)).toMatchObject({ status: 200 });
    expect(await ask(`${url}/-/ready`)).toMatchObject({ status: 200 });
    expect((await ask(`${url}/-/routes`)).json()).toEqual({
      routes: [
        { route: "/iris", endpoint: "iris", methods: ["POST"] },
        { route: "/users/:id", endpoint: "users", methods: "all" },
      ],
    });
    expectProblem(await ask(`${url}/-/nothing`), { status: 404, code: "route-not-found" });
    expectProblem(await ask(`${url}/-/ready`, { method: "POST" }), { status: 405, code: "method-not-allowed" });
  });

  test("is not ready while no endpoint has a route: an app that is still being deployed", async () => {
    const { url } = await lab.serve();
    expectProblem(await ask(`${url}/-/ready`), { status: 503, code: "not-ready" });
    expect((await ask(`${url}/-/routes`)).json()).toEqual({ routes: [] });
  });

  test("does not say 404 before it has learnt its routes (defect 16 of the ancestor)", async () => {
    const { url, link } = await lab.start({ controller: "is silent" });
    const answer = await ask(`${url}/iris`);
    expectProblem(answer, { status: 503, code: "not-ready" });
    expect(answer.headers["retry-after"]).toBe("1");
    expectProblem(await ask(`${url}/-/ready`), { status: 503, code: "not-ready" });
    expect(await ask(`${url}/-/healthz`)).toMatchObject({ status: 200 });
    expect(link.last?.state).toBe("starting");
  });
});
