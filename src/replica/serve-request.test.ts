/** The request that a door sees, over HTTP and through a handle. */
import { afterAll, afterEach, expect, test } from "vitest";
import * as z from "zod";
import { ReplicaLab } from "../../tests/harness/replica-lab.ts";
import { doorHead, httpHead, methodHead, resultOf, textOf } from "../../tests/harness/wire-client.ts";
import type { ServeRequest } from "../api/api.ts";
import { END } from "../core/wire/frame-writer.ts";
import { encodeValue } from "../core/wire/values.ts";
import { FLOW_WINDOW_BYTES } from "../model/limits.ts";

const lab = new ReplicaLab();
afterEach(() => lab.close());
afterAll(() => lab.remove());

const connectTo = async (door: (request: ServeRequest) => unknown) =>
  (await lab.start({ exports: { default: door } })).connect();

const HEADERS = ["host", "example.org:8080", "content-type", "application/json", "x-many", "1", "x-many", "2"];

test("over HTTP members mean what they mean in a Request", async () => {
  const client = await connectTo((request) => ({
    method: request.method,
    url: request.url,
    path: request.path,
    params: request.params,
    names: request.query.getAll("name"),
    host: request.headers.get("host"),
    many: request.headers.get("x-many"),
    body: request.body,
  }));
  const head = httpHead({ method: "PUT", url: "/users/7?name=Ada&name=B%20C", params: { id: "7" }, headers: HEADERS });
  expect(JSON.parse(textOf(await client.send(head).answer))).toEqual({
    method: "PUT",
    url: "http://example.org:8080/users/7?name=Ada&name=B%20C",
    path: "/users/7",
    params: { id: "7" },
    names: ["Ada", "B C"],
    host: "example.org:8080",
    many: "1, 2",
    body: null,
  });
});

test("an absolute URL, as handle.fetch sends it, stays as it is", async () => {
  const client = await connectTo(({ url, path }) => ({ url, path }));
  const { answer } = client.send(httpHead({ url: "https://a.example/b/c?d=1" }));
  expect(JSON.parse(textOf(await answer))).toEqual({ url: "https://a.example/b/c?d=1", path: "/b/c" });
});

test.each([
  ["json", (request: ServeRequest) => request.json()],
  ["text", async (request: ServeRequest) => JSON.parse(await request.text())],
  ["bytes", async (request: ServeRequest) => JSON.parse(Buffer.from(await request.bytes()).toString())],
  ["body", async (request: ServeRequest) => new Response(request.body).json()],
  ["toRequest", async (request: ServeRequest) => request.toRequest().json()],
])("%s gives the body of an HTTP request", async (_name, door) => {
  const client = await connectTo(door);
  const { answer } = client.send(httpHead({ method: "POST", headers: HEADERS }), { body: Buffer.from('{"a":"ü"}') });
  expect(JSON.parse(textOf(await answer))).toEqual({ a: "ü" });
});

test("a byte order mark before JSON is no part of it", async () => {
  const client = await connectTo((request) => request.json());
  const { answer } = client.send(httpHead({ method: "POST" }), { body: Buffer.from("\ufeff[1]") });
  expect(textOf(await answer)).toBe("[1]");
});

test("a form is read as the content type says", async () => {
  const client = await connectTo(async (request) => Object.fromEntries(await request.formData()));
  const form = new Response(new URLSearchParams({ a: "1", b: "2" }));
  const headers = ["content-type", form.headers.get("content-type")!];
  const { answer } = client.send(httpHead({ method: "POST", headers }), { body: await form.bytes() });
  expect(JSON.parse(textOf(await answer))).toEqual({ a: "1", b: "2" });
});

test.each([
  ["malformed JSON", (request: ServeRequest) => request.json(), "{oops"],
  ["no JSON at all", (request: ServeRequest) => request.json(), ""],
  ["a form that is none", (request: ServeRequest) => request.formData(), "x"],
])("%s is the client's mistake", async (_name, door, body) => {
  const client = await connectTo(door);
  const { failure } = await client.send(httpHead({ method: "POST" }), { body: Buffer.from(body) }).answer;
  expect(failure).toMatchObject({ status: 400, code: "body-invalid", message: expect.stringMatching(/^the request /) });
});

test("a schema gives its output, or the issues with their paths", async () => {
  const Input = z.object({ rows: z.array(z.object({ n: z.number() })), k: z.number().default(3) });
  const client = await connectTo(async (request) => request.json(Input));
  const good = await client.send(httpHead({ method: "POST" }), { body: Buffer.from('{"rows":[{"n":1}]}') }).answer;
  expect(JSON.parse(textOf(good))).toEqual({ rows: [{ n: 1 }], k: 3 });

  const { failure } = await client.send(httpHead({ method: "POST" }), { body: Buffer.from('{"rows":[{"n":"x"}]}') })
    .answer;
  expect(failure).toMatchObject({
    status: 422,
    code: "body-schema",
    details: { issues: [{ path: ["rows", 0, "n"], message: expect.any(String) }] },
  });
  expect(failure?.message).toMatch(/^the request body does not fit: rows\.0\.n: /);
});

test.each([
  ["a body of bytes", Buffer.from("abc"), "abc"],
  ["a text", "ü", "ü"],
  ["an object", { a: ["ü"] }, '{"a":["ü"]}'],
])("through a handle %s may be taken as a stream, and then by nobody else", async (_name, value, text) => {
  const client = await connectTo(async (request) => {
    const { body } = request;
    const answer = await new Response(body).text();
    const again = await request.json().catch((error: Error) => error.message);
    return { answer, again, isSame: request.body === body };
  });
  const { answer } = client.send(doorHead({}), { body: encodeValue(value) });
  expect(resultOf(await answer)).toEqual({
    answer: text,
    again: "the body of this request is already taken as a stream",
    isSame: true,
  });
});

test("through a handle a stream may be the result, and the body of a Request", async () => {
  const whole = await connectTo((request) => new Response(request.body));
  const { answer } = whole.send(doorHead({}), { body: encodeValue(Buffer.from("abc")) });
  expect(textOf(await answer)).toBe("abc");
  const made = await connectTo((request) => request.toRequest().text());
  expect(resultOf(await made.send(doorHead({}), { body: encodeValue("abc") }).answer)).toBe("abc");
});

test("through a handle json() is the value itself, and the parts of Send are there", async () => {
  const client = await connectTo(async (request) => ({
    body: await request.json(),
    method: request.method,
    header: request.headers.get("x-a"),
    name: request.query.get("name"),
    path: request.path,
  }));
  const body = encodeValue(new Map([["row", new Float32Array([1.5])]]));
  const { answer } = client.send(doorHead({ headers: ["x-a", "1"], query: { name: "Ada" } }), { body });
  expect(resultOf(await answer)).toEqual({
    body: new Map([["row", new Float32Array([1.5])]]),
    method: "POST",
    header: "1",
    name: "Ada",
    path: "/",
  });
});

test.each([
  ["text of a string", (request: ServeRequest) => request.text(), "plain", "plain"],
  ["text of a value", (request: ServeRequest) => request.text(), { a: 1 }, '{"a":1}'],
  ["bytes of a string", async (request: ServeRequest) => Buffer.from(await request.bytes()).toString(), "ü", "ü"],
  ["JSON of no body", (request: ServeRequest) => request.json(), undefined, undefined],
])("through a handle %s", async (_name, door, value, expected) => {
  const client = await connectTo(door);
  const body = value === undefined ? {} : { body: encodeValue(value) };
  expect(resultOf(await client.send(doorHead(), body).answer)).toEqual(expected);
});

test("a body that comes in parts is asked for as it is read", async () => {
  const reading = Promise.withResolvers<void>();
  const client = await connectTo(async (request) => {
    await reading.promise;
    return String((await request.bytes()).length);
  });
  const part = new Uint8Array(65_536);
  const { streamId, answer } = client.send(httpHead({ method: "POST" }), { body: part, more: true });
  // An answer to a later frame says that the first one was dealt with: nobody reads yet, so nothing is asked for.
  await client.send(httpHead({ method: "POST", timeoutMs: 0 })).answer;
  expect(client.creditOf(streamId)).toBe(0);
  reading.resolve();
  await expect.poll(() => client.creditOf(streamId)).toBe(FLOW_WINDOW_BYTES);
  client.writer.data(streamId, part, END);
  client.flush();
  expect(textOf(await answer)).toBe("131072");
});

test("arguments that come in parts are put together before the method runs", async () => {
  const started = await lab.start({ exports: { length: (text: string) => text.length }, code: { export: "*" } });
  const client = await started.connect();
  const body = encodeValue(["x".repeat(100_000)]);
  const { streamId, answer } = client.send(methodHead("length"), { body: body.subarray(0, 65_536), more: true });
  await expect.poll(() => client.creditOf(streamId)).toBe(FLOW_WINDOW_BYTES);
  client.writer.data(streamId, body.subarray(65_536), END);
  client.flush();
  expect(resultOf(await answer)).toBe(100_000);
});
