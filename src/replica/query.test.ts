/** A query while it runs: its context, its cancellation, its deadline, its stream. */
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { ReplicaLab, type StartedReplica } from "../../tests/harness/replica-lab.ts";
import { httpHead, itemsOf, methodHead, resultOf, textOf } from "../../tests/harness/wire-client.ts";
import { context, sse } from "../api/api.ts";
import { encodeValue } from "../core/wire/values.ts";
import { MAX_ITEM_BYTES, STREAM_WINDOW_BYTES } from "../model/limits.ts";

const lab = new ReplicaLab();
afterEach(() => lab.close());
afterAll(() => lab.remove());

const events = (started: StartedReplica, event: string) => started.log.lines.filter((line) => line.event === event);

describe("cancellation", () => {
  test("the signal fires with the reason, and the slot is free at once", async () => {
    let reason: unknown;
    const started = await lab.start({
      exports: {
        // It pays no attention: its slot must be free all the same.
        hang: () => {
          context().signal.addEventListener("abort", () => {
            reason = context().signal.reason;
          });
          return new Promise(() => {});
        },
        quick: () => "x",
      },
      code: { export: "*" },
      config: { maxConcurrentQueries: 1 },
    });
    const client = await started.connect();
    const { streamId } = client.send(methodHead("hang"));
    client.writer.cancel(streamId);
    client.flush();
    expect(resultOf(await client.call("quick"))).toBe("x");
    expect(reason).toMatchObject({ code: "query-cancelled" });
  });

  test("a closed connection cancels its queries", async () => {
    const fired = Promise.withResolvers<unknown>();
    const started = await lab.start({
      exports: {
        default: () => {
          const { signal } = context();
          signal.addEventListener("abort", () => fired.resolve(signal.reason));
          return new Promise(() => {});
        },
      },
    });
    const client = await started.connect();
    client.send(httpHead());
    await client.send(httpHead({ timeoutMs: 0 })).answer;
    client.close();
    expect(await fired.promise).toMatchObject({ code: "query-cancelled" });
  });

  test("a cancelled stream ends its generator", async () => {
    const ended = Promise.withResolvers<string>();
    async function* count() {
      try {
        for (let i = 0; ; i += 1) yield i;
      } finally {
        ended.resolve("ended");
      }
    }
    const client = await (await lab.start({ exports: { count }, code: { export: "*" } })).connect();
    const arrived = Promise.withResolvers<void>();
    const { streamId } = client.send(methodHead("count"), { onPart: arrived.resolve });
    await arrived.promise;
    client.writer.cancel(streamId);
    client.flush();
    expect(await ended.promise).toBe("ended");
  });

  test("what a handler does after its query was cancelled is not sent and not logged", async () => {
    const gate = Promise.withResolvers<void>();
    const door = async () => {
      await gate.promise;
      throw new Error("too late");
    };
    const started = await lab.start({ exports: { slow: door, quick: () => "x" }, code: { export: "*" } });
    const client = await started.connect();
    const sent = client.send(methodHead("slow"));
    client.writer.cancel(sent.streamId);
    client.flush();
    gate.resolve();
    await client.call("quick");
    await client.call("quick");
    expect(sent.soFar).toMatchObject({ head: undefined, failure: undefined });
    expect(events(started, "handler-failed")).toEqual([]);
  });
});

describe("deadlines", () => {
  test("a query whose time is over fails, and its signal fires with the reason", async () => {
    const fired = Promise.withResolvers<unknown>();
    const door = () => {
      const { signal, deadline } = context();
      signal.addEventListener("abort", () =>
        fired.resolve({ reason: signal.reason, late: performance.now() - deadline! }),
      );
      return new Promise(() => {});
    };
    const started = await lab.start({ exports: { default: door }, config: { maxConcurrentQueries: 1 } });
    const client = await started.connect();
    const { failure } = await client.send(httpHead({ timeoutMs: 30, endpoint: "iris" })).answer;
    expect(failure).toMatchObject({
      status: 504,
      code: "deadline-exceeded",
      message: expect.stringContaining('"iris"'),
    });
    expect(await fired.promise).toMatchObject({ reason: { code: "deadline-exceeded" } });
  });

  test("a query whose time is over before its turn does not run", async () => {
    let ran = 0;
    const door = () => {
      ran += 1;
    };
    const started = await lab.start({ exports: { default: door } });
    const client = await started.connect();
    expect((await client.send(httpHead({ timeoutMs: 0 })).answer).failure).toMatchObject({ code: "deadline-exceeded" });
    expect(ran).toBe(0);
  });
});

describe("streams", () => {
  const part = "x".repeat(16_384);
  const endless = () => {
    const state = { pulled: 0 };
    async function* parts() {
      for (;;) {
        state.pulled += 1;
        yield part;
      }
    }
    return { state, parts };
  };

  test("a reader that gives no credit gets a window, and the generator waits", async () => {
    const source = endless();
    const client = await (await lab.start({ exports: { default: source.parts } })).connect();
    const sent = client.send(httpHead(), { credit: "kept" });
    const bytes = () => sent.soFar.parts.reduce((sum, { length }) => sum + length, 0);
    await expect.poll(bytes).toBe(STREAM_WINDOW_BYTES);
    // An answer to a later query has passed everything that was on its way.
    await client.send(httpHead({ timeoutMs: 0 })).answer;
    expect(bytes()).toBe(STREAM_WINDOW_BYTES);
    expect(source.state.pulled).toBe(STREAM_WINDOW_BYTES / part.length + 1);
    client.giveCredit(sent.streamId, part.length);
    await expect.poll(bytes).toBe(STREAM_WINDOW_BYTES + part.length);
    client.writer.cancel(sent.streamId);
    client.flush();
  });

  test("items of a handle's stream come one a frame", async () => {
    async function* rows(count: number) {
      for (let row = 0; row < count; row += 1) yield { row, text: part };
    }
    const client = await (await lab.start({ exports: { rows }, code: { export: "*" } })).connect();
    const answer = await client.send(methodHead("rows"), { body: encodeValue([20]) }).answer;
    expect(itemsOf(answer)).toEqual(Array.from({ length: 20 }, (_, row) => ({ row, text: part })));
  });

  test("parts arrive while the generator still works", async () => {
    const gate = Promise.withResolvers<void>();
    async function* parts() {
      yield "first";
      await gate.promise;
      yield "second";
    }
    const client = await (await lab.start({ exports: { default: parts } })).connect();
    const sent = client.send(httpHead());
    await expect.poll(() => textOf(sent.soFar)).toBe("first");
    gate.resolve();
    expect(textOf(await sent.answer)).toBe("firstsecond");
  });

  test("an error behind the first part cuts the stream", async () => {
    async function* parts() {
      yield "first";
      await new Promise((resolve) => setTimeout(resolve, 5));
      throw new Error("broken");
    }
    const client = await (await lab.start({ exports: { default: parts } })).connect();
    const answer = await client.send(httpHead()).answer;
    expect(textOf(answer)).toBe("first");
    expect(answer.failure).toMatchObject({ code: "handler-failed" });
  });

  test("an error behind the first part of sse() is an event of its own, without the words of the error", async () => {
    async function* parts() {
      yield "first";
      await new Promise((resolve) => setTimeout(resolve, 5));
      throw new Error("hunter2");
    }
    const client = await (await lab.start({ exports: { default: () => sse(parts(), { done: "[DONE]" }) } })).connect();
    const answer = await client.send(httpHead({ requestId: "r-3" })).answer;
    expect(answer.failure).toBeUndefined();
    expect(textOf(answer)).toBe(
      'data: first\n\nevent: error\ndata: {"code":"handler-failed","message":"the handler threw; request id r-3."}\n\n',
    );
  });

  test("sse() sends a comment when it is silent for long, and none between quick parts", async () => {
    const gate = Promise.withResolvers<void>();
    async function* parts() {
      yield 1;
      yield 2;
      await gate.promise;
      yield 3;
    }
    const door = () => sse(parts(), { heartbeatMs: 10 });
    const client = await (await lab.start({ exports: { default: door } })).connect();
    const sent = client.send(httpHead());
    await expect.poll(() => textOf(sent.soFar)).toMatch(/^data: 1\n\ndata: 2\n\n:\n\n:\n\n/);
    gate.resolve();
    expect(textOf(await sent.answer)).toMatch(/:\n\ndata: 3\n\n$/);
  });

  test("an item that is too large for a frame ends the stream, not the connection", async () => {
    async function* rows() {
      yield "small";
      await new Promise((resolve) => setTimeout(resolve, 5));
      yield new Uint8Array(MAX_ITEM_BYTES);
    }
    const client = await (await lab.start({ exports: { rows }, code: { export: "*" } })).connect();
    const answer = await client.call("rows");
    expect(answer.failure).toMatchObject({ code: "result-invalid", message: expect.stringContaining("smaller") });
    expect((await client.call("rows")).parts).toHaveLength(1);
  });

  test("the context belongs to the query in each step of a generator", async () => {
    async function* ids() {
      yield context().requestId;
      await new Promise((resolve) => setImmediate(resolve));
      yield context().requestId;
    }
    const client = await (await lab.start({ exports: { ids }, code: { export: "*" } })).connect();
    const answers = await Promise.all(
      ["a", "b"].map((requestId) => client.send(methodHead("ids", { requestId })).answer),
    );
    expect(answers.map(itemsOf)).toEqual([
      ["a", "a"],
      ["b", "b"],
    ]);
  });
});

test("context() tells all it knows of the query", async () => {
  const started = await lab.start({ exports: { default: () => context() } });
  const client = await started.connect();
  const head = httpHead({ requestId: "r-9", endpoint: "iris", shardKey: "user-7", isShadow: true, timeoutMs: 5_000 });
  expect(JSON.parse(textOf(await client.send(head).answer))).toEqual({
    requestId: "r-9",
    deadline: expect.any(Number),
    shardKey: "user-7",
    instance: "test",
    endpoint: "iris",
    backendTag: "b:v1",
    replicaTag: started.hello.replica,
    isShadow: true,
  });
});
