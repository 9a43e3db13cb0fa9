/** A connection of the wire: hellos, and peers that break the rules. */
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { ManualClock } from "../../tests/harness/manual-clock.ts";
import { ReplicaLab, type StartedReplica } from "../../tests/harness/replica-lab.ts";
import { bodyOf, httpHead, methodHead, resultOf, textOf } from "../../tests/harness/wire-client.ts";
import { createSocketTransport } from "../adapters/socket-transport.ts";
import { END } from "../core/wire/frame-writer.ts";
import { encodeValue } from "../core/wire/values.ts";
import {
  MAX_REPLY_HOLD_MS,
  MAX_STREAMS_PER_CONNECTION,
  MOST_BREACH_LINES,
  STREAM_WINDOW_BYTES,
  WIRE_PEER_IDLE_MS,
} from "../model/limits.ts";
import { FRAME, WIRE_PROTOCOL } from "../model/wire.ts";
import type { Transport } from "../ports/transport.ts";

const lab = new ReplicaLab();
afterEach(() => lab.close());
afterAll(() => lab.remove());

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
    expect(client.lastWord).toMatchObject({
      code: "peer-refused",
      message: expect.stringContaining(`stranger sent the HELLO of ${what}`),
    });
    expect(events(started, "wire-hello-refused")).toMatchObject([
      { level: "warn", fields: { code: "peer-refused", peer: "stranger", reason: expect.stringContaining(what) } },
    ]);
    expect(textOf(await other.send(httpHead()).answer)).toBe("x");
  });
});

const u32 = (value: number) => [value & 255, (value >> 8) & 255, (value >> 16) & 255, value >>> 24];
const frame = (type: number, streamId: number, head: Iterable<number> & { readonly length: number } = [], flags = 0) =>
  new Uint8Array([
    ...u32(8 + head.length),
    ...[type, flags, head.length & 255, head.length >> 8],
    ...u32(streamId),
    ...head,
  ]);

const HELLO: readonly unknown[] = [WIRE_PROTOCOL, "i-1", "b:v1#1", 1, "stranger"];
const LONG = "x".repeat(30_000);

describe("a HELLO that is whole and wrong", () => {
  test.each<readonly [string, readonly unknown[]]>([
    ["no field", []],
    ["a field too few", HELLO.slice(0, 4)],
    ["a field too many", [...HELLO, 1]],
    ["a protocol that is text", HELLO.with(0, "1")],
    ["a negative protocol", HELLO.with(0, -1)],
    ["a broken number as protocol", HELLO.with(0, 1.5)],
    ["an instance that is a number", HELLO.with(1, 7)],
    ["no instance", HELLO.with(1, null)],
    ["a replica that is bytes", HELLO.with(2, new Uint8Array(3))],
    ["an incarnation that is text", HELLO.with(3, "1")],
    ["an incarnation without end", HELLO.with(3, Number.POSITIVE_INFINITY)],
    ["a peer that is a list", HELLO.with(4, [])],
    ["an instance of 30 KB", HELLO.with(1, LONG)],
    ["a replica of 30 KB", HELLO.with(2, LONG)],
    ["two names of 30 KB", HELLO.with(1, LONG).with(4, LONG)],
    ["a peer with line breaks", HELLO.with(1, "a\nb").with(4, "a\r\nlevel=error")],
  ])("%s is refused in a bounded sentence of one line", async (_name, fields) => {
    const started = await lab.start({ exports: { default: () => "x" } });
    const client = started.connectAs(undefined);
    client.raw(frame(FRAME.HELLO, 0, encodeValue(fields)));
    await client.closed;
    const [line, ...more] = started.log.lines.filter(({ event }) => event.startsWith("wire-"));
    expect(more).toEqual([]);
    expect(line).toMatchObject({ level: "warn", fields: { reason: expect.stringMatching(/^the peer sent \S.*$/) } });
    const { code, message } = client.lastWord ?? {};
    expect(code).toBe(line?.fields["code"]);
    expect(message).toMatch(/^replica .* closes this connection: .* sent .*\.$/);
    for (const text of [message, line?.fields["reason"], line?.fields["peer"]])
      expect(String(text).length).toBeLessThan(600);
  });
});

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
      { level: "warn", fields: { code: "wire-protocol", reason: expect.stringMatching(/^the peer sent /) } },
    ]);
    const reason = String(events(started, "wire-connection-broken")[0]?.fields["reason"]).slice(
      "the peer sent ".length,
    );
    expect(client.lastWord).toMatchObject({
      code: "wire-protocol",
      message: expect.stringContaining(` sent ${reason}.`),
    });
    expect(textOf(await other.send(httpHead()).answer)).toBe("x");
    // What was opened and could not be read holds no slot.
    const busy = await lab.start({ exports: { default: () => "x" }, config: { maxConcurrentQueries: 1 } });
    expect(textOf(await (await busy.connect()).send(httpHead()).answer)).toBe("x");
  });

  test("as often as it likes, and the log gets only so many lines", async () => {
    const started = await lab.start({ exports: { default: () => "x" } });
    for (let count = 0; count < 2 * MOST_BREACH_LINES; count += 1) {
      const client = started.connectAs(undefined);
      client.raw(frame(FRAME.QUERY, 1));
      await client.closed;
      expect(client.lastWord?.code).toBe("wire-protocol");
    }
    expect(events(started, "wire-connection-broken")).toHaveLength(MOST_BREACH_LINES);
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

test("a router with more open streams than allowed loses its connection", async () => {
  const started = await lab.start({
    exports: { default: () => new Promise(() => {}) },
    config: { maxConcurrentQueries: 2 * MAX_STREAMS_PER_CONNECTION },
  });
  const client = await started.connect();
  for (let count = 0; count <= MAX_STREAMS_PER_CONNECTION; count += 1)
    client.writer.query(count + 1, httpHead(), undefined, END);
  client.flush();
  await client.closed;
  expect(events(started, "wire-connection-broken")[0]?.fields["reason"]).toContain("more open streams than allowed");
});

test("a router that does not read its answers is not read either, and then gets every one", async () => {
  const reply = Buffer.alloc(60_000);
  let calls = 0;
  const door = () => {
    calls += 1;
    return reply;
  };
  const started = await lab.start({ exports: { default: door } });
  const client = await started.connect();
  client.pause();
  const answers = Array.from({ length: 3_000 }, () => client.send(httpHead()).answer);
  let before = -1;
  const stands = () => {
    const isSame = calls > 0 && calls === before;
    before = calls;
    return isSame;
  };
  await expect.poll(stands, { interval: 200 }).toBe(true);
  // What the system's buffers hold, and one read of the socket full of queries: far below the 180 MB of all.
  expect(calls).toBeLessThan(1_500);
  client.resume();
  expect((await Promise.all(answers)).map((answer) => bodyOf(answer).length)).toEqual(answers.map(() => reply.length));
});

test("a router that is silent for long without a query is let go: it may be gone without a word", async () => {
  const clock = new ManualClock();
  const begun = Promise.withResolvers<void>();
  const hang = () => {
    begun.resolve();
    return new Promise(() => {});
  };
  const started = await lab.start({ exports: { hang, call: () => "x" }, code: { export: "*" }, clock });
  const [silent, waiting] = [await started.connect(), await started.connect()];
  waiting.send(methodHead("hang", { timeoutMs: 10 * WIRE_PEER_IDLE_MS }));
  await begun.promise;
  clock.advance(2 * WIRE_PEER_IDLE_MS);
  await silent.closed;
  expect(textOf(await waiting.send(httpHead()).answer)).toBe("x");
  expect(events(started, "wire-connection-broken")).toEqual([]);
});

test("pings are answered", async () => {
  const client = await (await lab.start({ exports: { default: () => "x" } })).connect();
  client.writer.ping();
  client.flush();
  expect(textOf(await client.send(httpHead()).answer)).toBe("x");
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
          write: (...pieces) => {
            writes += 1;
            return socket.write(...pieces);
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
