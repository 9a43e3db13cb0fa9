/** Requests that are wrong, at the data port: each is answered with problem JSON, and the next good one is answered as ever. */
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { backend } from "../../src/index.ts";
import { censusOf, processesOf, settled } from "../harness/census.ts";
import { fixture } from "../harness/echo.ts";
import { exchange, sendLargeBody } from "../harness/exchange.ts";
import { ask, expectProblem, STACK_LINE } from "../harness/http.ts";
import { type Started, useLab } from "../harness/lab.ts";
import { residentBytes } from "../harness/processes.ts";

const lab = useLab("file");
const BODY_BYTES = 100_000_000;
/** A proxy that kept 100 MB would be far above this; what it reads on the way is bounded. */
const MEMORY_GROWTH_BYTES = 60_000_000;

let instance: Started;
let who: Readonly<Record<string, string>>;

const dataPort = () => ({ host: "127.0.0.1", port: Number(new URL(instance.url).port) });

beforeAll(async () => {
  instance = await lab().start();
  const { client } = instance;
  const front = backend({ module: fixture("apps/picky.ts"), export: "Picky" });
  await client.createBackend("picky", front);
  await client.createEndpoint("picky", { route: "/picky", methods: ["POST"], backend: "picky", expose: ["double"] });
  who = censusOf(await settled(lab(), instance), ["proxy", "replica"]);
}, 60_000);

afterEach(async () => {
  const good = await ask(`${instance.url}/picky`, { body: { text: "hello" } });
  expect(good).toMatchObject({ status: 200, text: JSON.stringify({ text: "hello" }) });
  expect(censusOf(await instance.status(), ["proxy", "replica"])).toEqual(who);
});

test("an unknown path is 404", async () => {
  expectProblem(await ask(`${instance.url}/nowhere`), { status: 404, code: "route-not-found" });
});

test("a method that the endpoint does not answer is 405 with Allow", async () => {
  const answer = await ask(`${instance.url}/picky`, { method: "DELETE" });
  expectProblem(answer, { status: 405, code: "method-not-allowed" });
  expect(answer.headers["allow"]).toMatch(/POST/);
});

test("a body that is not JSON is 400", async () => {
  const answer = await ask(`${instance.url}/picky`, {
    body: "{ text: ",
    headers: { "content-type": "application/json" },
  });
  expectProblem(answer, { status: 400, code: "body-invalid" });
});

test("a body that does not fit the handler's schema is 422 with the issues", async () => {
  const answer = await ask(`${instance.url}/picky`, { body: { text: 7 } });
  expectProblem(answer, { status: 422, code: "body-schema" });
  expect(answer.text).toMatch(/text must be text/);
});

test("an exposed method is reached with its one argument", async () => {
  const answer = await ask(`${instance.url}/picky`, { body: 21, headers: { "x-serve-call-method": "double" } });
  expect(answer).toMatchObject({ status: 200, text: "42" });
});

test.each(["secret", "start", "constructor", "nothing", "toString"])(
  "the method %s, which is not exposed, is 404",
  async (name) => {
    const answer = await ask(`${instance.url}/picky`, { body: 21, headers: { "x-serve-call-method": name } });
    expectProblem(answer, { status: 404, code: "method-unknown" });
  },
);

test("a handler that throws is 500, and neither its stack nor its words reach the caller", async () => {
  const answer = await ask(`${instance.url}/picky`, { body: { text: "throw" } });
  expectProblem(answer, { status: 500, code: "handler-failed" });
  expect(answer.text).not.toMatch(/password/);
});

describe("a body of 100 MB", () => {
  test.each(["with its length", "in chunks"] as const)("is 413 before it is kept anywhere (%s)", async (framing) => {
    const proxy = processesOf(await instance.status(), "proxy")[0]?.pid ?? 0;
    const before = residentBytes(proxy);
    const text = await sendLargeBody(dataPort(), { line: "POST /picky", bytes: BODY_BYTES, framing });
    expect(text).toMatch(/^HTTP\/1\.1 413 /);
    expect(text).toMatch(/application\/problem\+json/);
    expect(text).toMatch(/"code":"body-too-large"/);
    expect(text).toMatch(/"detail":"the body is larger than 32000000 bytes\. Send less, .*reads it as a stream\."/);
    expect(residentBytes(proxy) - before).toBeLessThan(MEMORY_GROWTH_BYTES);
  });
});

describe("what is not HTTP", () => {
  const CASES: readonly (readonly [string, string, RegExp])[] = [
    ["noise", "hello there\r\n\r\n", /^HTTP\/1\.1 400 /],
    [
      "two lengths",
      "POST /picky HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
      /^HTTP\/1\.1 400 /,
    ],
    [
      "length and chunks together",
      "POST /picky HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
      /^HTTP\/1\.1 400 /,
    ],
    ["a head of 64 KB", `GET / HTTP/1.1\r\nhost: x\r\nx: ${"y".repeat(65_536)}\r\n\r\n`, /^HTTP\/1\.1 431 /],
  ];

  test.each(CASES)("%s is refused and the connection closed", async (_what, bytes, status) => {
    const text = await exchange(dataPort(), ({ write }) => write(bytes));
    expect(text).toMatch(status);
    expect(text).toMatch(/application\/problem\+json/);
    expect(text).not.toMatch(STACK_LINE);
  });
});
