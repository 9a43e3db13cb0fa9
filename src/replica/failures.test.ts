/** What a caller learns of something that was thrown, and what the log keeps. */
import { afterAll, afterEach, expect, test } from "vitest";
import { ReplicaLab, type StartedReplica } from "../../tests/harness/replica-lab.ts";
import { doorHead, httpHead, methodHead } from "../../tests/harness/wire-client.ts";
import { HttpError, ServeError } from "../base/serve-error.ts";
import { encodeValue } from "../core/wire/values.ts";

const lab = new ReplicaLab();
afterEach(() => lab.close());
afterAll(() => lab.remove());

const SECRET = "password of the database: hunter2";

const start = (door: () => unknown): Promise<StartedReplica> => lab.start({ exports: { default: door } });
const overHttp = async (started: StartedReplica) =>
  (await (await started.connect()).send(httpHead({ requestId: "r-77" })).answer).failure;
const byHandle = async (started: StartedReplica) => (await (await started.connect()).send(doorHead()).answer).failure;

test.each([
  [
    "an HttpError",
    () => {
      throw new HttpError(409, "taken");
    },
    { status: 409, code: "http-error", message: "taken" },
  ],
  [
    "an HttpError without detail",
    () => {
      throw new HttpError(503);
    },
    { status: 503, code: "http-error", message: "HTTP 503" },
  ],
  [
    "a failure of a nested call",
    () => {
      throw new ServeError("queue-full", 'backend "x": full');
    },
    { status: 503, code: "queue-full", message: 'backend "x": full' },
  ],
  [
    "a ServeError with the user's own code",
    () => {
      throw new ServeError("model-cold", "not yet");
    },
    { status: 500, code: "model-cold", message: "not yet" },
  ],
  [
    "an Error",
    () => {
      throw new Error(SECRET);
    },
    { status: 500, code: "handler-failed", message: "the handler threw; request id r-77." },
  ],
  [
    "a rejection",
    async () => {
      throw new TypeError(SECRET);
    },
    { status: 500, code: "handler-failed", message: "the handler threw; request id r-77." },
  ],
  [
    "a thrown string",
    () => {
      throw SECRET;
    },
    { status: 500, code: "handler-failed", message: "the handler threw; request id r-77." },
  ],
  [
    "a nested handler's Error",
    () => {
      throw new ServeError("handler-failed", SECRET);
    },
    { status: 500, code: "handler-failed", message: "the handler threw; request id r-77." },
  ],
  [
    "a bug of ours",
    () => {
      throw new ServeError("internal", SECRET);
    },
    { status: 500, code: "handler-failed", message: "the handler threw; request id r-77." },
  ],
  [
    "an error of a stream's first step",
    async function* () {
      if (Math.PI > 3) throw new Error(SECRET);
      yield 1;
    },
    { status: 500, code: "handler-failed", message: "the handler threw; request id r-77." },
  ],
])("over HTTP %s", async (_name, door, expected) => {
  const failure = await overHttp(await start(door));
  expect(failure).toMatchObject(expected);
  expect(JSON.stringify(failure)).not.toContain("hunter2");
  expect(JSON.stringify(failure)).not.toContain("    at ");
});

test("through a handle the message of an Error passes, its stack does not", async () => {
  const failure = await byHandle(
    await start(() => {
      throw new TypeError("rows must not be empty");
    }),
  );
  expect(failure).toEqual({
    status: 500,
    code: "handler-failed",
    message: 'backend "b:v1": the handler threw: rows must not be empty',
  });
});

test("through a handle an HttpError keeps what it takes to be one again", async () => {
  expect(
    await byHandle(
      await start(() => {
        throw new HttpError(404, "no such row");
      }),
    ),
  ).toEqual({
    status: 404,
    code: "http-error",
    message: "no such row",
    details: { status: 404, detail: "no such row" },
  });
});

test("the log has the error itself, with the request id; what the caller did wrong is not logged", async () => {
  const started = await start(() => {
    throw new Error(SECRET);
  });
  await overHttp(started);
  const [line] = started.log.lines.filter(({ event }) => event === "handler-failed");
  expect(line).toMatchObject({ level: "error", fields: { requestId: "r-77", endpoint: "e" } });
  expect(line?.fields["error"]).toMatchObject({ message: SECRET, stack: expect.stringContaining("failures.test.ts") });

  const polite = await start(() => {
    throw new HttpError(400, "no");
  });
  await overHttp(polite);
  expect(polite.log.lines.filter(({ event }) => event === "handler-failed")).toEqual([]);
});

class Model {
  call() {
    return "door";
  }
  predict(n: number) {
    return n + 1;
  }
  _hidden() {
    return SECRET;
  }
  close() {}
}

test.each(["predikt", "_hidden", "close", "constructor", "toString", "call", "__proto__"])(
  "the method name %s is unknown",
  async (name) => {
    const client = await (await lab.start({ exports: { default: Model } })).connect();
    const { failure } = await client.call(name);
    expect(failure).toMatchObject({ status: 404, code: "method-unknown" });
    const overHttpToo = await client.send(httpHead({ callMethod: name })).answer;
    expect(overHttpToo.failure).toMatchObject({ status: 404, code: "method-unknown" });
  },
);

test("a misspelt method is told the right one, through a handle only", async () => {
  const client = await (await lab.start({ exports: { default: Model } })).connect();
  expect((await client.call("predikt")).failure?.message).toBe(
    'backend "b:v1" has no method "predikt". Did you mean "predict"?',
  );
  const { failure } = await client.send(httpHead({ callMethod: "predikt" })).answer;
  expect(failure?.message).toBe('backend "b:v1" has no method "predikt".');
});

test("a door that is not there is said to be missing", async () => {
  const client = await (
    await lab.start({ exports: { double: (n: number) => 2 * n }, code: { export: "*" } })
  ).connect();
  expect((await client.send(httpHead()).answer).failure).toMatchObject({ status: 404, code: "method-unknown" });
  expect((await client.send(doorHead()).answer).failure).toMatchObject({ status: 404, code: "method-unknown" });
});

test("a fetch door is not called by a handle's value", async () => {
  const client = await (await lab.start({ exports: { default: { fetch: () => new Response("x") } } })).connect();
  const { failure } = await client.send(doorHead()).answer;
  expect(failure).toMatchObject({ code: "method-unknown", message: expect.stringContaining("handle.fetch(request)") });
});

test("arguments that are no array are refused", async () => {
  const client = await (await lab.start({ exports: { default: Model } })).connect();
  const { failure } = await client.send(methodHead("predict"), { body: encodeValue({ n: 1 }) }).answer;
  expect(failure).toMatchObject({ code: "wire-protocol" });
});

const cyclic = () => {
  const cycle: Record<string, unknown> = {};
  cycle["self"] = cycle;
  return cycle;
};
const endless = (): unknown => ({ toJSON: () => [endless()] });
const throws = (error: unknown) => () => ({
  toJSON() {
    throw error;
  },
});

test.each([
  [
    "a toJSON that throws",
    throws(new Error(SECRET)),
    "a toJSON or a getter of it threw; the replica's log has the reason under the request id",
  ],
  [
    "a toJSON that throws a text of several lines",
    throws(new RangeError(`${SECRET}\n    at x`)),
    "a toJSON or a getter of it threw; the replica's log has the reason under the request id",
  ],
  [
    "a toJSON that throws nothing",
    throws(undefined),
    "a toJSON or a getter of it threw; the replica's log has the reason under the request id",
  ],
  ["a toJSON that returns nothing", () => ({ toJSON() {} }), "JSON has no word for what its toJSON returned"],
  ["a stream of nothing that is JSON", () => [undefined].values(), "JSON has no word for undefined"],
  ["a cycle", cyclic, "it refers to itself"],
  ["a BigInt", () => ({ rows: [1n] }), "it holds a BigInt, which JSON has no word for"],
  ["a symbol", () => Symbol(SECRET), "JSON has no word for a symbol"],
  ["what has no end", endless, "it is nested too deep or too large for JSON"],
] as const)("over HTTP a result that cannot be sent is one sentence of ours: %s", async (_name, door, why) => {
  expect(await overHttp(await start(door))).toEqual({
    status: 500,
    code: "result-invalid",
    message: `the handler's result cannot be sent: ${why}. Return JSON values, a string, bytes or a Response.`,
  });
});

test("why a result cannot be sent is in the log under the request id, and a handle reads it as it does any other throw", async () => {
  const started = await start(throws(new Error(SECRET)));
  await overHttp(started);
  expect(started.log.lines.filter(({ event }) => event === "handler-failed")).toMatchObject([
    { level: "error", fields: { requestId: "r-77", error: { cause: { message: SECRET } } } },
  ]);
  const failure = await byHandle(started);
  expect(failure).toMatchObject({ status: 500, code: "handler-failed", message: expect.stringContaining(SECRET) });
  // And where a handler over HTTP fails by that of another one.
  const outer = await start(() => {
    throw new ServeError(failure!.code, failure!.message);
  });
  expect(JSON.stringify(await overHttp(outer))).not.toContain(SECRET);
});
