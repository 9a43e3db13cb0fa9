/** What becomes of a handler's result, over HTTP and through a handle: the whole way, from the function to the frames. */
import { afterAll, afterEach, expect, test } from "vitest";
import { ReplicaLab } from "../../tests/harness/replica-lab.ts";
import {
  type Answer,
  bodyOf,
  doorHead,
  httpHead,
  itemsOf,
  resultOf,
  textOf,
  type WireClient,
} from "../../tests/harness/wire-client.ts";
import { ndjson, sse } from "../api/api.ts";

const lab = new ReplicaLab();
afterEach(() => lab.close());
afterAll(() => lab.remove());

async function connectTo(door: (request: never) => unknown): Promise<WireClient> {
  return (await lab.start({ exports: { default: door } })).connect();
}

const overHttp = async (door: (request: never) => unknown): Promise<Answer> =>
  (await connectTo(door)).send(httpHead()).answer;

const byHandle = async (door: (request: never) => unknown): Promise<Answer> =>
  (await connectTo(door)).send(doorHead()).answer;

const head = (answer: Answer) => {
  if (answer.head?.kind !== "http") throw new Error(`no HTTP reply: ${JSON.stringify(answer.failure)}`);
  const { status, headers } = answer.head;
  return { status, type: headers[headers.indexOf("content-type") + 1], body: textOf(answer) };
};

async function* each(...items: readonly unknown[]): AsyncGenerator<unknown> {
  for (const item of items) yield item;
}

const BYTES = new Uint8Array([1, 2, 255]);
const TEXT = "text/plain; charset=utf-8";

test.each([
  ["a string", () => "Grüße", { status: 200, type: TEXT, body: "Grüße" }],
  ["an empty string", () => "", { status: 200, type: TEXT, body: "" }],
  ["a promise of a string", async () => "later", { status: 200, type: TEXT, body: "later" }],
  ["null", () => null, { status: 200, type: "application/json", body: "null" }],
  ["a number", () => 0, { status: 200, type: "application/json", body: "0" }],
  ["false", () => false, { status: 200, type: "application/json", body: "false" }],
  ["an object", () => ({ a: [1, "x"] }), { status: 200, type: "application/json", body: '{"a":[1,"x"]}' }],
  ["an array", () => ["a", "b"], { status: 200, type: "application/json", body: '["a","b"]' }],
  ["a date", () => new Date(0), { status: 200, type: "application/json", body: '"1970-01-01T00:00:00.000Z"' }],
  [
    "a typed array of numbers",
    () => new Float32Array([0.5, 2]),
    { status: 200, type: "application/json", body: "[0.5,2]" },
  ],
  [
    "an iterable with toJSON",
    () => ({ toJSON: () => 7, [Symbol.iterator]: () => [][Symbol.iterator]() }),
    { status: 200, type: "application/json", body: "7" },
  ],
  [
    "a Response",
    () => new Response("teapot", { status: 418, headers: { "content-type": "x/y" } }),
    { status: 418, type: "x/y", body: "teapot" },
  ],
  ["Response.json", () => Response.json({ ok: true }), { status: 200, type: "application/json", body: '{"ok":true}' }],
  ["a blob", () => new Blob(["b"], { type: "image/x" }), { status: 200, type: "image/x", body: "b" }],
  ["strings", () => each("a", "b"), { status: 200, type: TEXT, body: "ab" }],
  [
    "a sync generator of strings",
    function* () {
      yield "a";
      yield "b";
    },
    { status: 200, type: TEXT, body: "ab" },
  ],
  ["objects", () => each({ a: 1 }, [2]), { status: 200, type: "application/x-ndjson", body: '{"a":1}\n[2]\n' }],
  ["nothing", () => each(), { status: 200, type: "application/x-ndjson", body: "" }],
  ["ndjson()", () => ndjson(each("a", 1)), { status: 200, type: "application/x-ndjson", body: '"a"\n1\n' }],
  ["ndjson() of an array", () => ndjson([1, 2]), { status: 200, type: "application/x-ndjson", body: "1\n2\n" }],
  [
    "sse()",
    () => sse(each("one\ntwo", { n: 1 }, { event: "tick", id: "7", data: "x" })),
    {
      status: 200,
      type: "text/event-stream",
      body: 'data: one\ndata: two\n\ndata: {"n":1}\n\nevent: tick\nid: 7\ndata: x\n\n',
    },
  ],
  [
    "sse() with a last word",
    () => sse(each(1), { done: "[DONE]" }),
    { status: 200, type: "text/event-stream", body: "data: 1\n\ndata: [DONE]\n\n" },
  ],
] satisfies readonly (readonly [string, () => unknown, object])[])("over HTTP %s", async (_name, door, expected) => {
  expect(head(await overHttp(door))).toEqual(expected);
});

test("over HTTP undefined is 204 without a body", async () => {
  const answer = await overHttp(() => undefined);
  expect(answer.head).toEqual({ kind: "http", status: 204, headers: [] });
  expect(answer.parts).toEqual([]);
});

test.each([
  ["a Uint8Array", () => BYTES],
  ["a Buffer", () => Buffer.from(BYTES)],
  ["an ArrayBuffer", () => BYTES.buffer.slice(0)],
  ["a DataView", () => new DataView(BYTES.buffer)],
  ["a stream of bytes", () => each(BYTES.subarray(0, 1), BYTES.subarray(1))],
  ["a web stream", () => ReadableStream.from([BYTES])],
])("over HTTP bytes as %s are octets", async (_name, door) => {
  const answer = await overHttp(door);
  expect(head(answer)).toMatchObject({ status: 200, type: "application/octet-stream" });
  expect(bodyOf(answer)).toEqual(Buffer.from(BYTES));
});

test("a Response keeps its cookies apart and its empty body empty", async () => {
  const headers = new Headers([
    ["set-cookie", "a=1"],
    ["set-cookie", "b=2, c"],
  ]);
  const answer = await overHttp(() => new Response(null, { status: 304, headers }));
  expect(answer.head).toEqual({ kind: "http", status: 304, headers: ["set-cookie", "a=1", "set-cookie", "b=2, c"] });
  expect(answer.parts).toEqual([]);
});

/** As frameworks make them in the place of the global class. */
const likeResponse = (headers: readonly (readonly [unknown, unknown])[]) => ({
  ...{ status: 200, headers: new Map(headers), body: null, bodyUsed: false },
  arrayBuffer: () => {},
});

test("what looks like a Response has its headers in lower case", async () => {
  const answer = await overHttp(() => likeResponse([["X-Mood", "gr\u00fcn\tblue"]]));
  expect(answer.head).toEqual({ kind: "http", status: 200, headers: ["x-mood", "gr\u00fcn\tblue"] });
});

test.each([
  ["a line break in a value", "x-a", "a\r\nset-cookie: b", "header x-a has a value"],
  ["a NUL in a value", "x-a", "a\0", "header x-a has a value"],
  ["a character beyond Latin-1", "x-a", "\u6f22", "header x-a has a value"],
  ["a number as a value", "x-a", 7, "header x-a has a value"],
  ["a line break in a name", "x-a: 1\r\nset-cookie", "b", 'does not allow: "x-a: 1\\r\\nset-cookie"'],
  ["a space in a name", "x a", "b", 'does not allow: "x a"'],
  ["an empty name", "", "b", 'does not allow: ""'],
  ["a symbol as a name", Symbol("x"), "b", 'does not allow: "symbol"'],
])("what looks like a Response is refused at once with %s, by the header's name", async (_what, name, value, says) => {
  const { failure } = await overHttp(() => likeResponse([[name, value]]));
  expect(failure).toMatchObject({ status: 500, code: "result-invalid", message: expect.stringContaining(says) });
  expect(failure?.message).not.toMatch(/[\r\n]/);
});

test("a result that is one part when all is said leaves as one frame", async () => {
  const answer = await overHttp(() => Response.json({ small: true }));
  expect(answer.parts).toHaveLength(1);
});

test.each([
  ["a function", () => () => 1],
  ["a symbol", () => Symbol("s")],
  ["a bigint", () => 1n],
  [
    "a cycle",
    () => {
      const cycle: { self?: unknown } = {};
      cycle.self = cycle;
      return cycle;
    },
  ],
  [
    "a Response that was read",
    async () => {
      const response = new Response("x");
      await response.text();
      return response;
    },
  ],
  ["a stream that holds a symbol", () => each(Symbol("s"))],
])("over HTTP %s is refused as a result", async (_name, door) => {
  const { failure } = await overHttp(door);
  expect(failure).toMatchObject({ status: 500, code: "result-invalid" });
});

test.each([
  ["undefined", undefined],
  ["null", null],
  ["a string", "text"],
  ["bytes", BYTES],
  ["an array", [1, ["a"]]],
  ["a map", new Map([["a", { b: new Date(5) }]])],
  ["a typed array", new Float32Array([1.5])],
])("a handle gets %s as it was returned", async (_name, value) => {
  const answer = await byHandle(() => value);
  expect(answer.head).toEqual({ kind: "value" });
  expect(resultOf(answer)).toEqual(value);
});

test.each([
  ["an async generator", () => each(1, { a: 2 })],
  [
    "a sync generator",
    function* () {
      yield 1;
      yield { a: 2 };
    },
  ],
  ["sse()", () => sse(each(1, { a: 2 }), { done: "[DONE]" })],
  ["ndjson()", () => ndjson([1, { a: 2 }])],
])("a handle gets the items of %s one by one", async (_name, door) => {
  const answer = await byHandle(door);
  expect(answer.head).toEqual({ kind: "items" });
  expect(itemsOf(answer)).toEqual([1, { a: 2 }]);
});

test("a handle gets a Response as an HTTP reply", async () => {
  expect(head(await byHandle(() => new Response("no", { status: 422 })))).toMatchObject({ status: 422, body: "no" });
});

test("a handle is told where in a result something cannot cross", async () => {
  const { failure } = await byHandle(() => ({ rows: [{ go: () => 1 }] }));
  expect(failure).toMatchObject({ status: 500, code: "result-invalid" });
  expect(failure?.message).toContain("value.rows[0].go");
});

test("a large result comes in parts as its reader gives credit, and says its length", async () => {
  const large = Buffer.alloc(1_000_000, "x");
  const answer = await overHttp(() => large);
  if (answer.head?.kind !== "http") throw new Error("no HTTP reply");
  expect(answer.head.headers).toEqual(["content-type", "application/octet-stream", "content-length", "1000000"]);
  expect(bodyOf(answer).equals(large)).toBe(true);
  expect(Math.max(...answer.parts.map((part) => part.length))).toBeLessThanOrEqual(65_536);
});

test("a large value comes whole to a handle", async () => {
  const rows = Array.from({ length: 50_000 }, (_, row) => ({ row, text: "some text" }));
  expect(resultOf(await byHandle(() => rows))).toEqual(rows);
});
