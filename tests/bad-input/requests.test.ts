/** Requests that are wrong, at the data port: each is answered with problem JSON, and the next good one is answered as ever. */
import { connect } from "node:net";
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { backend } from "../../src/index.ts";
import { censusOf, processesOf, settled } from "../harness/census.ts";
import { fixture } from "../harness/echo.ts";
import { ask, expectProblem, STACK_LINE } from "../harness/http.ts";
import { type Started, useLab } from "../harness/lab.ts";
import { residentBytes } from "../harness/processes.ts";
import { waitFor } from "../harness/wait-for.ts";

const lab = useLab("file");
const BODY_BYTES = 100_000_000;
const PART = Buffer.alloc(64 * 1024, "x");
const ANSWER_DEADLINE_MS = 10_000;
/** A proxy that kept 100 MB would be far above this; what it reads on the way is bounded. */
const MEMORY_GROWTH_BYTES = 60_000_000;

let instance: Started;
let who: Readonly<Record<string, string>>;

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
  test.each(["with its length", "in chunks"] as const)("is 413 before it is kept anywhere (%s)", async (way) => {
    const proxy = processesOf(await instance.status(), "proxy")[0]?.pid ?? 0;
    const before = residentBytes(proxy);
    const text = await sendLargeBody(way);
    expect(text).toMatch(/^HTTP\/1\.1 413 /);
    expect(text).toMatch(/application\/problem\+json/);
    expect(text).toMatch(/"code":"body-too-large"/);
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
    const text = await exchange((write) => write(Buffer.from(bytes)));
    expect(text).toMatch(status);
    expect(text).toMatch(/application\/problem\+json/);
    expect(text).not.toMatch(STACK_LINE);
  });
});

/** Writes until the server has answered and closed, or everything is sent; answers what came back. */
const exchange = async (
  send: (write: (bytes: Uint8Array) => boolean, answered: () => boolean) => void,
): Promise<string> => {
  const { hostname, port } = new URL(instance.url);
  let text = "";
  let closed = false;
  const socket = connect(Number(port), hostname, () =>
    send(
      (bytes) => !closed && socket.write(bytes),
      () => text !== "",
    ),
  );
  socket.on("data", (part: Buffer) => {
    text += part;
  });
  socket.on("error", () => {}); // a server that has answered may reset what is still being sent
  socket.on("close", () => {
    closed = true;
  });
  try {
    return await waitFor("the server answers", () => /\r\n\r\n./s.test(text) && text, ANSWER_DEADLINE_MS);
  } finally {
    socket.destroy();
  }
};

const sendLargeBody = (way: "with its length" | "in chunks"): Promise<string> =>
  exchange((write, answered) => {
    const framing = way === "in chunks" ? "transfer-encoding: chunked" : `content-length: ${BODY_BYTES}`;
    write(Buffer.from(`POST /picky HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n${framing}\r\n\r\n`));
    let sent = 0;
    const next = (): void => {
      if (answered() || sent >= BODY_BYTES) return;
      sent += PART.length;
      if (way === "in chunks") write(Buffer.from(`${PART.length.toString(16)}\r\n`));
      write(PART);
      if (way === "in chunks") write(Buffer.from("\r\n"));
      setImmediate(next);
    };
    next();
  });
