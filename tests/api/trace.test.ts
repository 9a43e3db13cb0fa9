/**
 * Where a request belongs in somebody's trace: from HTTP through three replicas by handles, as it came, and with OpenTelemetry's own SDK
 * in the replicas and in the program as spans, each the child of the one before.
 */
import { context, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { backend, type Client } from "../../src/index.ts";
import { type EndedSpan, installOpenTelemetry } from "../fixtures/apps/otel.ts";
import type { Back, Front, Middle } from "../fixtures/apps/traced.ts";
import { fixture } from "../harness/echo.ts";
import { ask } from "../harness/http.ts";
import { useLab } from "../harness/lab.ts";
import { waitFor } from "../harness/wait-for.ts";

const DEADLINE_MS = 5_000;
const TRACE_ID = "0af7651916cd43dd8448eb211c80319c";
const PARENT_ID = "b7ad6b7169203331";
const TRACEPARENT = `00-${TRACE_ID}-${PARENT_ID}-01`;
const STATE = "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE";

const lab = useLab("file");
let client: Client;
let url: string;

interface Seen {
  readonly header?: string;
  readonly state?: string;
  readonly context?: string;
  readonly contextState?: string;
  readonly below?: Seen;
}

beforeAll(async () => {
  ({ client, url } = await lab().start());
  const module = fixture("apps/traced.ts");
  const nodeArgs = ["--import", fixture("apps/otel.ts").href];
  for (const [suffix, config] of [
    ["", {}],
    ["-otel", { nodeArgs }],
  ] as const) {
    await Promise.all([
      client.createBackend(
        `front${suffix}`,
        backend<typeof Front>({ module, export: "Front", args: [suffix] }),
        config,
      ),
      client.createBackend(
        `middle${suffix}`,
        backend<typeof Middle>({ module, export: "Middle", args: [suffix] }),
        config,
      ),
      client.createBackend(`back${suffix}`, backend<typeof Back>({ module, export: "Back" }), config),
    ]);
    await Promise.all([
      client.createEndpoint(`front${suffix}`, { backend: `front${suffix}`, route: `/front${suffix}` }),
      client.createEndpoint(`middle${suffix}`, { backend: `middle${suffix}` }),
      client.createEndpoint(`back${suffix}`, { backend: `back${suffix}` }),
    ]);
  }
}, 60_000);

const traced = async (path: string, headers: Readonly<Record<string, string>>): Promise<Seen> =>
  (await ask(`${url}${path}`, { headers })).json<Seen>();

const levelsOf = (seen: Seen): readonly Omit<Seen, "below">[] => {
  const { below, ...here } = seen;
  return below === undefined ? [here] : [here, ...levelsOf(below)];
};

test("traceparent and tracestate pass through three replicas as they came, as headers and in context()", async () => {
  const levels = levelsOf(await traced("/front", { traceparent: TRACEPARENT, tracestate: STATE }));
  const inContext = { context: TRACEPARENT, contextState: STATE };
  const withHeaders = { header: TRACEPARENT, state: STATE, ...inContext };
  expect(levels).toEqual([withHeaders, withHeaders, inContext]);
});

test("what is malformed is ignored, and no handler sees it", async () => {
  for (const traceparent of ["nonsense", TRACEPARENT.toUpperCase(), `${TRACEPARENT}-x`, `00-${"0".repeat(32)}-1-01`]) {
    expect(levelsOf(await traced("/front", { traceparent, tracestate: STATE }))).toEqual([{}, {}, {}]);
  }
});

describe("with OpenTelemetry in the replicas", () => {
  const spansOf = async (name: "front" | "middle" | "back", about: string, count: number) =>
    waitFor(
      `${count} spans have ended in ${name}`,
      async () => {
        const spans = await client.getHandle<typeof Back>(`${name}-otel`).spans();
        const found = spans.filter(
          ({ traceId, attributes }) => traceId === about && attributes["rpc.method"] !== `${name}-otel/spans`,
        );
        return found.length >= count && found;
      },
      DEADLINE_MS,
    );

  const byName = (spans: readonly EndedSpan[], name: string): EndedSpan => {
    const found = spans.filter((span) => span.name === name);
    expect(found).toHaveLength(1);
    return found[0]!;
  };

  test("each handler and each call is a span, the child of the one before, and the user's own spans are among them", async () => {
    const seen = await traced("/front-otel", { traceparent: TRACEPARENT, tracestate: STATE });
    const front = await spansOf("front", TRACE_ID, 2);
    const middle = await spansOf("middle", TRACE_ID, 3);
    const back = await spansOf("back", TRACE_ID, 1);
    const chain = [
      byName(front, "GET front-otel"),
      byName(front, "middle-otel/call"),
      byName(middle, "middle-otel/call"),
      byName(middle, "thinking"),
      byName(middle, "back-otel/where"),
      byName(back, "back-otel/where"),
    ];
    const { SERVER, CLIENT, INTERNAL } = SpanKind;
    expect(chain.map(({ kind }) => kind)).toEqual([SERVER, CLIENT, SERVER, INTERNAL, CLIENT, SERVER]);
    expect(chain.map(({ parentId }) => parentId)).toEqual([
      PARENT_ID,
      ...chain.slice(0, -1).map(({ spanId }) => spanId),
    ]);
    expect(chain.map(({ isParentRemote }) => isParentRemote === true)).toEqual([true, false, true, false, false, true]);
    expect(new Set(chain.map(({ traceId }) => traceId))).toEqual(new Set([TRACE_ID]));
    expect(chain.map(({ state }) => state)).toEqual(chain.map(() => STATE));
    expect(chain.map(({ status }) => status.code)).toEqual(chain.map(() => SpanStatusCode.UNSET));

    const [frontSpan, , middleSpan, , , backSpan] = chain;
    expect(frontSpan?.attributes).toMatchObject({
      "http.request.method": "GET",
      "url.path": "/front-otel",
      "http.response.status_code": 200,
      "maitred.endpoint": "front-otel",
      "maitred.backend": "front-otel",
      "maitred.replica": expect.stringMatching(/^front-otel#\d+$/),
      "maitred.request_id": expect.any(String),
    });
    expect(middleSpan?.attributes).toMatchObject({ "rpc.system.name": "maitred", "rpc.method": "middle-otel/call" });

    // What a handler sends on by itself belongs to its own span.
    const levels = levelsOf(seen);
    const contexts = [frontSpan, middleSpan, backSpan].map((span) => `00-${TRACE_ID}-${span?.spanId}-01`);
    expect(levels.map((level) => level.context)).toEqual(contexts);
    expect(levels[0]?.header).toBe(TRACEPARENT);
    expect(levels[1]?.header).toBe(`00-${TRACE_ID}-${chain[1]?.spanId}-01`);
  });

  test("an error is in the span of the handler that threw and of each call that it has failed", async () => {
    const failing = TRACE_ID.replace("0af7", "1af7");
    await ask(`${url}/front-otel?fail`, { headers: { traceparent: TRACEPARENT.replace(TRACE_ID, failing) } });
    const [thrown] = await spansOf("back", failing, 1);
    expect(thrown).toMatchObject({
      name: "back-otel/fail",
      status: { code: SpanStatusCode.ERROR },
      attributes: { "error.type": "handler-failed" },
      events: ["exception"],
    });
    const middle = await spansOf("middle", failing, 3);
    for (const name of ["middle-otel/call", "back-otel/fail"]) {
      const { status, attributes } = byName(middle, name);
      expect(status).toMatchObject({ code: SpanStatusCode.ERROR, message: expect.stringContaining("on purpose") });
      expect(attributes["error.type"]).toBe("handler-failed");
    }
    const http = byName(await spansOf("front", failing, 2), "GET front-otel");
    expect(http.attributes).toMatchObject({ "http.response.status_code": 500, "error.type": "handler-failed" });
  });
});

describe("with OpenTelemetry in the program", () => {
  let ended: () => readonly EndedSpan[];
  beforeAll(() => {
    ended = installOpenTelemetry();
  });
  afterAll(() => {
    trace.disable();
    context.disable();
  });

  test("a call is a span of the program's trace, and its replica knows it", async () => {
    const middle = client.getHandle<typeof Middle>("middle");
    const tracer = trace.getTracer("program");
    const answer = await tracer.startActiveSpan("work", {}, ROOT_CONTEXT, async (span) => {
      const seen = (await middle({ fails: false })) as Seen;
      span.end();
      return { seen, span: span.spanContext() };
    });
    const call = ended().find(({ name }) => name === "middle/call");
    expect(call).toMatchObject({ kind: SpanKind.CLIENT, parentId: answer.span.spanId, traceId: answer.span.traceId });
    const sent = `00-${answer.span.traceId}-${call?.spanId}-01`;
    expect(levelsOf(answer.seen).map((level) => level.context)).toEqual([sent, sent]);
    expect(answer.seen.header).toBe(sent);
  });
});
