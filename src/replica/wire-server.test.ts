/** The wire of a replica: hellos, limits, cancellation, deadlines, streams with credit, and peers that break the rules. */
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { ReplicaLab, type StartedReplica } from "../../tests/harness/replica-lab.ts";
import { httpHead, itemsOf, methodHead, resultOf, textOf, type WireClient } from "../../tests/harness/wire-client.ts";
import { createSocketTransport } from "../adapters/socket-transport.ts";
import { context } from "../api/api.ts";
import { END } from "../core/wire/frame-writer.ts";
import { encodeValue } from "../core/wire/values.ts";
import { MAX_REPLY_HOLD_MS, STREAM_WINDOW_BYTES } from "../model/limits.ts";
import { FRAME } from "../model/wire.ts";
import type { Transport } from "../ports/transport.ts";

const lab = new ReplicaLab();
afterEach(() => lab.close());
afterAll(() => lab.remove());

/** A backend whose queries end when the test says so. */
function gated() {
  const waiting: (() => void)[] = [];
  const state = { running: 0, most: 0, started: 0 };
  return {
    state,
    door: async () => {
      state.running += 1;
      state.started += 1;
      state.most = Math.max(state.most, state.running);
      await new Promise<void>((resolve) => waiting.push(resolve));
      state.running -= 1;
      return "done";
    },
    open: () => {
      for (const resolve of waiting.splice(0)) resolve();
    },
  };
}

const events = (started: StartedReplica, event: string) => started.log.lines.filter((line) => line.event === event);

describe("HELLO", () => {
  test("both sides say who they are", async () => {
    const started = await lab.start({ exports: { default: () => "x" } });
    const client = started.connectAs(started.hello);
    expect(await client.greeted).toEqual({ ...started.hello, peer: started.hello.replica });
  });

  test.each([
    ["protocol", { protocol: 99 }],
    ["instance", { instanceId: "i-2" }],
    ["replica", { replica: "b:v1#9" }],
    ["incarnation", { incarnation: 2 }],
  ])("another %s is refused and closed, with one line in the log", async (what, change) => {
    const started = await lab.start({ exports: { default: () => "x" } });
    const other = await started.connect();
    const client = started.connectAs({ ...started.hello, ...change, peer: "stranger" });
    await client.closed;
    expect(client.refusedHello).toBe("mismatch");
    expect(events(started, "wire-hello-refused")).toMatchObject([
      { level: "warn", fields: { peer: "stranger", mismatch: expect.stringContaining(what) } },
    ]);
    expect(textOf(await other.send(httpHead()).answer)).toBe("x");
  });
});

const u32 = (value: number) => [value & 255, (value >> 8) & 255, (value >> 16) & 255, value >>> 24];
const frame = (type: number, streamId: number, head: readonly number[] = [], flags = 0) =>
  new Uint8Array([...u32(8 + head.length), type, flags, head.length, 0, ...u32(streamId), ...head]);

describe("a peer that breaks the protocol loses its connection and nobody else's", () => {
  test.each<readonly [string, "greeted" | "silent", Uint8Array]>([
    ["bytes that are no frame", "silent", Buffer.from("GET / HTTP/1.1\r\nhost: x\r\n\r\n")],
    ["a query before HELLO", "silent", frame(FRAME.QUERY, 1, [0x90])],
    ["a HELLO of nonsense", "silent", frame(FRAME.HELLO, 0, [0xc1])],
    ["an unknown type", "greeted", frame(14, 1)],
    ["a frame that is too short", "greeted", new Uint8Array([3, 0, 0, 0, 1, 2, 3])],
    ["a frame that is too long", "greeted", new Uint8Array([0xff, 0xff, 0xff, 0x7f])],
    ["a head longer than its frame", "greeted", new Uint8Array([...u32(8), FRAME.QUERY, 1, 200, 0, ...u32(1)])],
    ["a query head of nonsense", "greeted", frame(FRAME.QUERY, 1, [0xc1], 1)],
    ["a second HELLO", "greeted", frame(FRAME.HELLO, 0, [0x90])],
    ["a frame that only replicas send", "greeted", frame(FRAME.SLOT, 0)],
    ["credit of nonsense", "greeted", frame(FRAME.CREDIT, 1, [0xc0])],
  ])("%s", async (_name, start, bytes) => {
    const started = await lab.start({ exports: { default: () => "x" } });
    const other = await started.connect();
    const client = started.connectAs(start === "greeted" ? started.hello : undefined);
    if (start === "greeted") await client.greeted;
    client.raw(bytes);
    await client.closed;
    expect(events(started, "wire-connection-broken")).toMatchObject([
      { level: "warn", fields: { reason: expect.stringMatching(/^the peer sent /) } },
    ]);
    expect(textOf(await other.send(httpHead()).answer)).toBe("x");
    // What was opened and could not be read holds no slot.
    const busy = await lab.start({ exports: { default: () => "x" }, config: { maxConcurrentQueries: 1 } });
    expect(textOf(await (await busy.connect()).send(httpHead()).answer)).toBe("x");
  });

  test("a stream id that was used before", async () => {
    const started = await lab.start({ exports: { default: () => "x" } });
    const client = await started.connect();
    await client.send(httpHead()).answer;
    client.writer.query(1, httpHead(), undefined, 1);
    client.flush();
    await client.closed;
    expect(events(started, "wire-connection-broken")[0]?.fields["reason"]).toContain("stream 1 behind 1");
  });

  test("more of a body than it had credit for", async () => {
    const started = await lab.start({ exports: { default: () => new Promise(() => {}) } });
    const client = await started.connect();
    const { streamId } = client.send(httpHead({ method: "POST" }), {
      body: new Uint8Array(STREAM_WINDOW_BYTES),
      more: true,
    });
    client.writer.data(streamId, new Uint8Array(1), 0);
    client.flush();
    await client.closed;
    expect(events(started, "wire-connection-broken")[0]?.fields["reason"]).toContain("credit");
  });

  test("a query head that cannot be read holds no slot", async () => {
    const started = await lab.start({ exports: { default: () => "x" }, config: { maxConcurrentQueries: 1 } });
    const client = await started.connect();
    client.raw(frame(FRAME.QUERY, 1, [0xc1], 1));
    await client.closed;
    expect(textOf(await (await started.connect()).send(httpHead()).answer)).toBe("x");
  });
});

test("pings are answered", async () => {
  const client = await (await lab.start({ exports: { default: () => "x" } })).connect();
  client.writer.ping();
  client.flush();
  expect(textOf(await client.send(httpHead()).answer)).toBe("x");
});

describe("maxConcurrentQueries", () => {
  test("queries above the limit are refused before their handler starts", async () => {
    const gate = gated();
    const started = await lab.start({ exports: { default: gate.door }, config: { maxConcurrentQueries: 2 } });
    const client = await started.connect();
    const sent = [1, 2, 3, 4].map(() => client.send(httpHead()));
    expect((await sent[2]!.answer).refused).toBe("busy");
    expect((await sent[3]!.answer).refused).toBe("busy");
    expect(gate.state.started).toBe(2);
    gate.open();
    expect(textOf(await sent[0]!.answer)).toBe("done");
    expect(gate.state.most).toBe(2);
  });

  test("each refusal is answered by one slot, which is held for its router", async () => {
    const gate = gated();
    const started = await lab.start({ exports: { default: gate.door }, config: { maxConcurrentQueries: 1 } });
    const first = await started.connect();
    const second = await started.connect();
    const running = first.send(httpHead());
    expect((await second.send(httpHead()).answer).refused).toBe("busy");
    // In the same turn in which the slot is offered the first router asks for another: it is too late.
    const stolen = Promise.withResolvers<string | undefined>();
    second.onSlot = () => void first.send(httpHead()).answer.then(({ refused }) => stolen.resolve(refused));
    gate.open();
    await running.answer;
    expect(await stolen.promise).toBe("busy");
    expect(second.slots).toBe(1);
    const next = second.send(httpHead());
    await expect.poll(() => gate.state.running).toBe(1);
    gate.open();
    expect(textOf(await next.answer)).toBe("done");
  });

  test("a slot that its router does not use goes to the next", async () => {
    const gate = gated();
    const started = await lab.start({ exports: { default: gate.door }, config: { maxConcurrentQueries: 1 } });
    const [first, silent, third] = [await started.connect(), await started.connect(), await started.connect()];
    const running = first.send(httpHead());
    await silent.send(httpHead()).answer;
    await third.send(httpHead()).answer;
    gate.open();
    await running.answer;
    await expect.poll(() => third.slots).toBe(1);
    expect(silent.slots).toBe(1);
    const next = third.send(httpHead());
    await expect.poll(() => gate.state.running).toBe(1);
    gate.open();
    expect(textOf(await next.answer)).toBe("done");
  });

  test("two routers that both want all of a limit of 1 get 40 to 60 % each", async () => {
    const started = await lab.start({
      exports: { default: () => new Promise((resolve) => setImmediate(resolve, "x")) },
      config: { maxConcurrentQueries: 1 },
    });
    const clients = [await started.connect(), await started.connect()];
    const served = await saturate(clients, 2_000);
    for (const count of served) expect(count / 2_000).toBeGreaterThan(0.4);
  });

  test("a raised limit lets the waiting in at once", async () => {
    const gate = gated();
    const started = await lab.start({ exports: { default: gate.door }, config: { maxConcurrentQueries: 1 } });
    const client = await started.connect();
    client.send(httpHead());
    await client.send(httpHead()).answer;
    const { assignment } = started.file;
    if (assignment.spec.kind !== "replica") throw new Error("not a replica");
    started.link.events.onConfigure?.(2, { ...assignment.spec.config, maxConcurrentQueries: 2 });
    await expect.poll(() => client.slots).toBe(1);
    client.send(httpHead());
    await expect.poll(() => gate.state.running).toBe(2);
    gate.open();
  });
});

/** Each client keeps asking: after a refusal with its slot, after an answer at once. Answers how many each was served. */
function saturate(clients: readonly WireClient[], total: number): Promise<number[]> {
  const served = clients.map(() => 0);
  const { promise, resolve } = Promise.withResolvers<number[]>();
  const ask = (index: number): void => {
    const client = clients[index]!;
    void client.send(httpHead()).answer.then(({ refused }) => {
      if (refused !== undefined) return;
      served[index] = served[index]! + 1;
      if (served.reduce((sum, count) => sum + count, 0) >= total) resolve(served);
      else ask(index);
    });
  };
  clients.forEach((client, index) => {
    client.onSlot = () => ask(index);
    // The first is far ahead of the second, and would stay so if nobody took care.
    for (let count = 0; count < (index === 0 ? 8 : 1); count += 1) ask(index);
  });
  return promise;
}

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

test("replies before a handler that blocks the loop do not wait for it", async () => {
  const sockets = createSocketTransport();
  let writes = 0;
  const counting: Transport = {
    ...sockets,
    listen: (address, accept) =>
      sockets.listen(address, (socket) =>
        accept({
          ...socket,
          write: (bytes) => {
            writes += 1;
            return socket.write(bytes);
          },
        }),
      ),
  };
  const block = () => {
    const writesBefore = writes;
    const until = performance.now() + 2 * MAX_REPLY_HOLD_MS;
    while (performance.now() < until);
    return writesBefore;
  };
  const started = await lab.start({ exports: { block }, code: { export: "*" }, transport: counting });
  const client = await started.connect();
  // All three in one piece: the replica reads them in one turn.
  for (const streamId of [1, 2, 3]) client.writer.query(streamId, methodHead("block"), undefined, END);
  client.flush();
  const seen = await Promise.all([1, 2, 3].map((streamId) => client.awaitStream(streamId)));
  expect(seen.map(resultOf)).toEqual([1, 2, 3]);
});
