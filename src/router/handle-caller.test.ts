/** Handles over a router, against the replica role itself: what users write on both ends. */
import { afterAll, afterEach, beforeEach, describe, expect, test } from "vitest";
import { expectError } from "../../tests/harness/expect-error.ts";
import { ReplicaLab, type ReplicaWish } from "../../tests/harness/replica-lab.ts";
import { backendOf, endpointOf, RouterLab } from "../../tests/harness/router-lab.ts";
import { waitFor } from "../../tests/harness/wait-for.ts";
import {
  type CallerFactory,
  callTracing,
  context,
  createHandle,
  currentQuery,
  OpenCall,
  type ServeRequest,
  type Stream,
  sse,
} from "../api/api.ts";
import { HttpError, ServeError } from "../base/serve-error.ts";
import { createHandleCallers } from "./router.ts";

const DEADLINE_MS = 5_000;

const seen = { cancelled: [] as unknown[], running: 0, pulled: 0 };

/** Runs until its query is cancelled. */
const hang = (): Promise<never> =>
  new Promise((_resolve, reject) => {
    seen.running += 1;
    const { signal } = context();
    signal.addEventListener("abort", () => {
      seen.running -= 1;
      seen.cancelled.push((signal.reason as ServeError).code);
      reject(signal.reason);
    });
  });

class Things {
  add(a: number, b: number): number {
    return a + b;
  }
  echo(value: unknown): unknown {
    return value;
  }
  nothing(): void {}
  context(): Record<string, unknown> {
    const { deadline, shardKey, endpoint, requestId } = context();
    return { leftMs: (deadline ?? 0) - performance.now(), shardKey, endpoint, requestId };
  }
  hang = hang;
  fail(): never {
    throw new TypeError("no luck");
  }
  serveError(): never {
    throw new ServeError("out-of-stock", "none left", { details: { item: 7 } });
  }
  httpError(): never {
    throw new HttpError(409, "taken");
  }
  async *count(to: number): AsyncGenerator<{ n: number }> {
    try {
      for (let n = 0; n < to; n += 1) {
        seen.pulled = n;
        yield { n };
      }
    } finally {
      seen.cancelled.push("finally");
    }
  }
  async *breaks(): AsyncGenerator<number> {
    yield 1;
    await new Promise((resolve) => setImmediate(resolve));
    throw new Error("in the middle");
  }
  big(bytes: number): Uint8Array {
    return new Uint8Array(bytes).fill(5);
  }
  response(): Response {
    return new Response("made", { status: 201, headers: { "x-a": "b" } });
  }
  async call(request: ServeRequest<unknown>): Promise<unknown> {
    const { method, query, headers } = request;
    return { method, q: query.get("q"), h: headers.get("x-h"), body: await request.json() };
  }
}

let routers: RouterLab;
const replicas = new ReplicaLab();

beforeEach(() => {
  routers = new RouterLab();
  Object.assign(seen, { cancelled: [], running: 0, pulled: 0 });
});
afterEach(async () => {
  await routers.close();
  await replicas.close();
});
afterAll(() => replicas.remove());

const callers = (): CallerFactory =>
  createHandleCallers(
    routers.router,
    { openCall: (cancel) => new OpenCall(cancel), currentQuery, ...callTracing },
    { clock: routers.clock, random: { number: () => 0.5, id: () => "abcdefabcdefabcdefabcdef" } },
  );

async function serve(exported: unknown, wish: Partial<ReplicaWish> = {}) {
  const { address, file } = await replicas.start({ exports: { default: exported }, ...wish });
  const { assignment, incarnation } = file;
  return { entry: { replica: assignment.actor, incarnation, address } };
}

async function handleOf<T>(exported: T, wish: Partial<ReplicaWish> = {}) {
  const replica = await serve(exported, wish);
  routers.publish(endpointOf({ b: backendOf([replica]) }));
  return createHandle<T>("e", callers()("e"));
}

describe("methods", () => {
  test("take and give values of every type that crosses", async () => {
    const handle = await handleOf(Things);
    expect(await handle.add(1, 2)).toBe(3);
    expect(await handle.nothing()).toBeUndefined();
    const value = {
      d: new Date(5),
      m: new Map([[1, new Set(["x"])]]),
      f: Float32Array.of(1.5),
      n: 10n ** 30n,
      u: undefined,
    };
    expect(await handle.echo(value)).toStrictEqual(value);
  });

  test("results and arguments of many megabytes pass", async () => {
    const handle = await handleOf(Things);
    const result = await handle.big(5_000_000);
    expect([result.length, result[4_999_999]]).toEqual([5_000_000, 5]);
    const sent = new Uint8Array(3_000_000).fill(9);
    expect(Buffer.from((await handle.echo(sent)) as Uint8Array).equals(sent)).toBe(true);
  });

  test("an argument that cannot cross is refused with its path, and nothing is sent", async () => {
    const handle = await handleOf(Things);
    const error = await expectError(handle.echo({ a: [() => 1] }), "value-unsupported");
    expect(error.details).toEqual({ path: "value[0].a[0]" });
    expect(routers.router.counts().sent).toBe(0);
  });

  test("errors come back with their code and details, and as HttpError when they were one", async () => {
    const handle = await handleOf(Things);
    expect((await expectError(handle.fail(), "handler-failed")).message).toContain("no luck");
    expect((await expectError(handle.serveError(), "out-of-stock")).details).toEqual({ item: 7 });
    const error = await expectError(handle.httpError(), "http-error");
    expect(error).toBeInstanceOf(HttpError);
    expect([(error as HttpError).status, (error as HttpError).detail]).toEqual([409, "taken"]);
    await expectError((handle as unknown as { nope(): Promise<void> }).nope(), "method-unknown");
  });

  test("a queue that is full is retryable", async () => {
    routers.publish(endpointOf({ b: backendOf([], { maxQueuedQueries: 0 }) }));
    const handle = createHandle<typeof Things>("e", callers()("e"));
    expect((await expectError(handle.add(1, 2), "queue-full")).retryable).toBe(true);
  });

  test("options reach the query", async () => {
    const handle = await handleOf(Things);
    const known = await handle.options({ shardKey: "k", timeoutMs: 3_000 }).context();
    expect(known).toMatchObject({ shardKey: "k", endpoint: "e", requestId: "abcdefabcdef-1" });
    expect(known["leftMs"]).toBeLessThanOrEqual(3_000);
    await expectError(handle.options({ timeoutMs: 60 }).hang(), "deadline-exceeded");
    await waitFor("the handler knows", () => seen.cancelled.length === 1, DEADLINE_MS);
  });

  test("an AbortSignal cancels the query, before and while it runs", async () => {
    const handle = await handleOf(Things);
    await expectError(handle.options({ signal: AbortSignal.abort() }).hang(), "query-cancelled");
    expect(routers.router.counts().sent).toBe(0);
    const abort = new AbortController();
    const call = handle.options({ signal: abort.signal }).hang();
    await waitFor("it runs", () => seen.running === 1, DEADLINE_MS);
    abort.abort(new Error("enough"));
    const error = await expectError(call, "query-cancelled");
    expect(error.cause).toEqual(new Error("enough"));
    await waitFor("the handler knows", () => seen.cancelled.length === 1, DEADLINE_MS);
  });
});

describe("streams", () => {
  const streamOf = <T>(result: unknown) => result as Stream<T>;

  test("a method that yields is iterated, and every item arrives", async () => {
    const handle = await handleOf(Things);
    const items: number[] = [];
    for await (const { n } of handle.count(5_000)) items.push(n);
    expect(items).toEqual(Array.from({ length: 5_000 }, (_, n) => n));
  });

  test("break cancels the query all the way down", async () => {
    const handle = await handleOf(Things);
    for await (const { n } of handle.count(1e9)) if (n === 3) break;
    await waitFor("the generator has ended", () => seen.cancelled.includes("finally"), DEADLINE_MS);
    expect(routers.router.counts().open).toBe(0);
  });

  test("a reader that stands still makes the generator stand still", async () => {
    const handle = await handleOf(Things);
    const stream = handle.count(1e9)[Symbol.asyncIterator]();
    await stream.next();
    let before = -1;
    const standsStill = () => {
      const isStill = before === seen.pulled;
      before = seen.pulled;
      return isStill;
    };
    await waitFor("it stands still", standsStill, DEADLINE_MS);
    expect(seen.pulled).toBeLessThan(100_000);
    for (let count = 0; count < 2 * before; count += 1) await stream.next();
    expect(seen.pulled).toBeGreaterThan(before);
    await stream.return?.();
  });

  test("an error in the middle comes after the items before it", async () => {
    const handle = await handleOf(Things);
    const items: number[] = [];
    const reading = (async () => {
      for await (const item of handle.breaks()) items.push(item);
    })();
    expect((await expectError(reading, "handler-failed")).message).toContain("in the middle");
    expect(items).toEqual([1]);
  });

  test("sse() through a handle is a stream of its items", async () => {
    const handle = await handleOf({
      tell: () =>
        sse(
          (async function* () {
            yield "a";
            yield { data: "b" };
          })(),
        ),
    });
    const items: unknown[] = [];
    for await (const item of streamOf<unknown>(handle.tell())) items.push(item);
    expect(items).toEqual(["a", { data: "b" }]);
  });

  test("iterating a single value is refused", async () => {
    const handle = await handleOf(Things);
    const reading = (async () => {
      for await (const _ of handle.add(1, 2) as unknown as Stream<never>);
    })();
    await expectError(reading, "not-a-stream");
  });
});

describe("doors", () => {
  test("get a request with body, headers and query", async () => {
    const handle = await handleOf(Things);
    expect(await handle({ a: 1 }, { headers: { "X-H": "1" }, query: { q: "2" }, method: "put" })).toEqual({
      ...{ method: "PUT", q: "2", h: "1", body: { a: 1 } },
    });
    // From a caller without types: as text, like all that a request would carry.
    const untyped = { headers: { "X-H": 1 }, query: { q: 2 }, method: 5 } as unknown as { method: string };
    expect(await handle({ a: 1 }, untyped)).toEqual({ method: "5", q: "2", h: "1", body: { a: 1 } });
  });

  test("take values of headers and query that are no strings as URLs do, and what follows is answered too", async () => {
    const replica = await serve(Things);
    routers.publish(endpointOf({ b: backendOf([replica], { maxConcurrentQueries: 1 }) }));
    const handle = createHandle<typeof Things>("e", callers()("e")).options({ timeoutMs: DEADLINE_MS });
    expect(await handle.add(0, 1)).toBe(1);
    const send = { headers: { "x-h": 1 }, query: { q: 2 } } as unknown as { headers: Record<string, string> };
    expect(await handle({}, send)).toMatchObject({ q: "2", h: "1" });
    expect(await handle.add(1, 2)).toBe(3);
  });

  test("a Response comes back as one", async () => {
    const handle = await handleOf(Things);
    const response = (await handle.response()) as Response;
    expect([response.status, response.headers.get("x-a"), await response.text()]).toEqual([201, "b", "made"]);
  });

  test("fetch sends a request and streams the response", async () => {
    const handle = await handleOf({
      async fetch(request: Request): Promise<Response> {
        const body = await request.text();
        if (new URL(request.url).pathname === "/empty") return new Response(null, { status: 204 });
        return new Response(`${request.method} ${new URL(request.url).pathname} ${body} ${"x".repeat(300_000)}`, {
          headers: [
            ["set-cookie", "a=1"],
            ["set-cookie", "b=2"],
          ],
        });
      },
    });
    const response = await handle.fetch("/path?q=1", { method: "POST", body: "hello".repeat(50_000) });
    expect(response.headers.getSetCookie()).toEqual(["a=1", "b=2"]);
    expect((await response.text()).length).toBe("POST /path ".length + 250_000 + 1 + 300_000);
    const empty = await handle.fetch("/empty");
    expect([empty.status, empty.body]).toEqual([204, null]);
  });

  test("a response that nobody reads to its end is cancelled", async () => {
    const handle = await handleOf({
      fetch: (): Response =>
        new Response(
          ReadableStream.from(
            (async function* () {
              try {
                for (;;) yield new Uint8Array(10_000);
              } finally {
                seen.cancelled.push("body");
              }
            })(),
          ),
        ),
    });
    const response = await handle.fetch("/");
    const reader = response.body!.getReader();
    await reader.read();
    await reader.cancel();
    await waitFor("the handler knows", () => seen.cancelled.includes("body"), DEADLINE_MS);
  });
});

describe("calls inside a handler", () => {
  class Outer {
    readonly #inner = createHandle<typeof Things>("inner", callers()("inner"));
    context() {
      return this.#inner.options({ timeoutMs: 60_000 }).context();
    }
    hang() {
      return this.#inner.hang();
    }
    fail() {
      return this.#inner.serveError();
    }
    async *count(to: number) {
      for await (const { n } of this.#inner.count(to)) yield n;
    }
  }

  const nested = async () => {
    const [outer, inner] = [await serve(Outer, { callers: callers() }), await serve(Things)];
    routers.publish(endpointOf({ b: backendOf([outer]) }), endpointOf({ c: backendOf([inner]) }, { tag: "inner" }));
    return createHandle<typeof Outer>("e", callers()("e"));
  };

  test("inherit what is left of the deadline, and the request id", async () => {
    const handle = await nested();
    const known = (await handle.options({ timeoutMs: 2_000 }).context()) as Record<string, number>;
    expect(known["leftMs"]).toBeLessThanOrEqual(2_000);
    expect(known["requestId"]).toBe("abcdefabcdef-1");
  });

  test("are cancelled with the query that they are part of", async () => {
    const handle = await nested();
    const abort = new AbortController();
    const call = handle.options({ signal: abort.signal }).hang();
    await waitFor("the inner handler runs", () => seen.running === 1, DEADLINE_MS);
    abort.abort();
    await expectError(call, "query-cancelled");
    await waitFor("the inner handler knows", () => seen.cancelled.length === 1, DEADLINE_MS);
  });

  test("pass errors on", async () => {
    const handle = await nested();
    expect((await expectError(handle.fail(), "out-of-stock")).details).toEqual({ item: 7 });
  });

  test("stream through, and break reaches the innermost", async () => {
    const handle = await nested();
    const items: number[] = [];
    for await (const item of handle.count(1e9)) {
      items.push(item);
      if (items.length === 5) break;
    }
    expect(items).toEqual([0, 1, 2, 3, 4]);
    await waitFor("the innermost has ended", () => seen.cancelled.includes("finally"), DEADLINE_MS);
  });
});
