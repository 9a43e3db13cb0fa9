/** Spans of handlers and calls, with OpenTelemetry's SDK in this process: how they end, and that a query does not care. */
import { trace } from "@opentelemetry/api";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type EndedSpan, installOpenTelemetry } from "../../tests/fixtures/apps/otel.ts";
import { ReplicaLab } from "../../tests/harness/replica-lab.ts";
import { backendOf, endpointOf, RouterLab } from "../../tests/harness/router-lab.ts";
import { waitFor } from "../../tests/harness/wait-for.ts";
import { HttpError } from "../base/serve-error.ts";
import { createHandleCallers } from "../router/router.ts";
import { callTracing, context, createHandle, currentQuery, OpenCall } from "./api.ts";

const DEADLINE_MS = 5_000;
const TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

const web = {
  fetch: (request: Request): Response => new Response(request.headers.get("traceparent"), { status: 207 }),
};

let gate: PromiseWithResolvers<void>;
const replicas = new ReplicaLab();
let routers: RouterLab;
beforeEach(() => {
  routers = new RouterLab();
  gate = Promise.withResolvers();
});
afterEach(async () => {
  await routers.close();
  await replicas.close();
});
afterAll(() => replicas.remove());

class Counter {
  call(): string | undefined {
    return context().traceparent;
  }
  /** The last one when the gate opens. */
  async *count(to: number) {
    for (let number = 1; number < to; number += 1) yield number;
    await gate.promise;
    yield to;
  }
  hang(): Promise<void> {
    gate.resolve();
    return new Promise(() => {});
  }
  refuse(): void {
    throw new HttpError(409, "taken");
  }
}

const handleOf = async <T = typeof Counter>(served: unknown = Counter) => {
  const { address, file } = await replicas.start({ exports: { default: served } });
  const entry = { replica: file.assignment.actor, incarnation: file.incarnation, address };
  routers.publish(endpointOf({ b: backendOf([{ entry }]) }));
  const callers = createHandleCallers(
    routers.router,
    { openCall: (cancel) => new OpenCall(cancel), currentQuery, ...callTracing },
    { clock: routers.clock, random: { number: () => 0.5, id: () => "abcdefabcdefabcdefabcdef" } },
  );
  return createHandle<T>("e", callers("e"));
};

describe("without OpenTelemetry", () => {
  test("a program without a query around it says by a header which trace its call belongs to", async () => {
    const handle = await handleOf();
    expect(await handle(undefined, { headers: { Traceparent: TRACEPARENT } })).toBe(TRACEPARENT);
    expect(await handle(undefined, { headers: { traceparent: "nonsense" } })).toBeUndefined();
    expect(await handle()).toBeUndefined();
  });

  test.each([
    ["of another major version", { version: "2.0.0", trace: { getTracer: () => ({ startSpan: () => ({}) }) } }],
    ["that makes no tracers", { version: "1.9.0", trace: {} }],
    [
      "that makes spans which throw",
      {
        version: "1.9.0",
        trace: {
          getTracer: () => ({
            startSpan: () => ({
              spanContext: () => ({ traceId: "0".repeat(32), spanId: "0".repeat(16), traceFlags: 0 }),
              setAttributes: () => {
                throw new Error("no");
              },
              end: () => {
                throw new Error("no");
              },
            }),
          }),
        },
      },
    ],
  ])("something %s in its place changes nothing", async (_, api) => {
    const key = Symbol.for("opentelemetry.js.api.1");
    const place = globalThis as Record<symbol, unknown>;
    const handle = await handleOf();
    const before = place[key];
    place[key] = api;
    try {
      expect(await handle(undefined, { headers: { traceparent: TRACEPARENT } })).toBe(TRACEPARENT);
    } finally {
      place[key] = before;
    }
  });
});

describe("with OpenTelemetry", () => {
  let ended: () => readonly EndedSpan[];
  beforeAll(() => {
    ended = installOpenTelemetry();
  });
  afterAll(() => trace.disable());

  /** Those of a name that have ended, client and server. */
  const both = (name: string) =>
    waitFor(
      `both spans of ${name} have ended`,
      () => {
        const found = ended().filter((span) => span.name === name);
        return found.length >= 2 && found.toSorted((one, other) => one.kind - other.kind);
      },
      DEADLINE_MS,
    );

  test("a stream's spans end with its last part", async () => {
    const handle = await handleOf();
    const numbers: number[] = [];
    for await (const number of handle.count(3)) {
      if (numbers.length < 2) expect(ended().filter(({ name }) => name === "e/count")).toEqual([]);
      numbers.push(number);
      if (numbers.length === 2) gate.resolve();
    }
    expect(numbers).toEqual([1, 2, 3]);
    expect(await both("e/count")).toMatchObject([{ status: { code: 0 } }, { status: { code: 0 } }]);
  });

  test("a call that is cancelled ends both, the call's as an error", async () => {
    const handle = await handleOf();
    const leave = new AbortController();
    const call = handle.options({ signal: leave.signal }).hang();
    const refused = expect(call).rejects.toMatchObject({ code: "query-cancelled" });
    await gate.promise;
    leave.abort();
    await refused;
    expect(await both("e/hang")).toMatchObject([
      { status: { code: 0 } },
      { status: { code: 2 }, attributes: { "error.type": "query-cancelled" } },
    ]);
  });

  test("what a handler refuses is no error of its own, and one of the call", async () => {
    const handle = await handleOf();
    await expect(handle.refuse()).rejects.toMatchObject({ status: 409 });
    expect(await both("e/refuse")).toMatchObject([
      { status: { code: 0 }, events: [] },
      { status: { code: 2, message: "taken" }, attributes: { "error.type": "http-error" } },
    ]);
  });

  test("a fetch is an HTTP span at both ends, and the handler's request names the call as its parent", async () => {
    const handle = await handleOf<typeof web>(web);
    const response = await handle.fetch(new Request("http://host/some/path?q=1", { method: "PUT", body: "x" }));
    const [server, client] = await both("PUT e");
    expect(response.status).toBe(207);
    expect(await response.text()).toBe(`00-${client?.traceId}-${client?.spanId}-01`);
    for (const span of [server, client]) {
      expect(span?.attributes).toMatchObject({ "url.path": "/some/path", "http.response.status_code": 207 });
    }
    expect(server?.parentId).toBe(client?.spanId);
  });

  test("an argument that cannot cross ends the span of its call", async () => {
    const handle = await handleOf();
    await expect(handle.count((() => {}) as never)).rejects.toMatchObject({ code: "value-unsupported" });
    expect(ended().filter(({ name, status }) => name === "e/count" && status.code === 2)).toHaveLength(1);
  });
});
