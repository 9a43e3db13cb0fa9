import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readAll } from "../../../tests/harness/frame-reader.ts";
import { MAX_FRAME_BYTES, MAX_FRAME_HEAD_BYTES } from "../../model/limits.ts";
import { FLAG_END, FRAME, type Hello, type QueryHead, type ReplyHead, type WireFailure } from "../../model/wire.ts";
import { END, FrameWriter, MAX_DATA_BYTES, MORE } from "./frame-writer.ts";
import { type Frame, FrameDecoder, isProtocolError } from "./frames.ts";
import { decodeCount, decodeFailure, decodeHello, decodeQueryHead, decodeRefuse, decodeReplyHead } from "./heads.ts";

const text = fc.string({ unit: "binary", maxLength: 60 }).map((it) => it.toWellFormed());
const optionalText = fc.option(text, { nil: undefined });
const stringMap = fc.dictionary(text, text, { maxKeys: 6, noNullPrototype: true });
const headers = fc.array(fc.tuple(text, text), { maxLength: 10 }).map((pairs) => pairs.flat());
/** fast-check would make half of them without a prototype, which nobody does here. */
const record = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }) => fc.record(model, { noNullPrototype: true });
const hex = (length: number) =>
  fc.string({ unit: fc.constantFrom(..."0123456789abcdef"), minLength: length, maxLength: length });
const trace = fc.option(
  record({
    traceparent: fc.tuple(hex(31), hex(15), hex(2)).map(([id, parent, flags]) => `00-1${id}-1${parent}-${flags}`),
    tracestate: optionalText,
  }),
  { nil: undefined },
);
const base = {
  endpoint: text,
  requestId: text,
  timeoutMs: fc.double({ min: 0, max: 1e9, noNaN: true }),
  shardKey: optionalText,
  isShadow: fc.boolean(),
  trace,
};
const queryHead: fc.Arbitrary<QueryHead> = fc.oneof(
  record({
    ...base,
    kind: fc.constant("http" as const),
    method: text,
    url: text,
    params: stringMap,
    headers,
    callMethod: optionalText,
  }),
  record({ ...base, kind: fc.constant("door" as const), method: text, headers, query: stringMap }),
  record({ ...base, kind: fc.constant("method" as const), name: text }),
);
const replyHead: fc.Arbitrary<ReplyHead> = fc.oneof(
  record({ kind: fc.constant("http" as const), status: fc.integer({ min: 100, max: 599 }), headers }),
  record({ kind: fc.constantFrom("value" as const, "items" as const) }),
);
const hello: fc.Arbitrary<Hello> = record({
  protocol: fc.nat(),
  instanceId: text,
  replica: text,
  incarnation: fc.nat(),
  peer: text,
});
const failure: fc.Arbitrary<WireFailure> = fc.oneof(
  record({ status: fc.nat(599), code: text, message: text }),
  record({ status: fc.nat(599), code: text, message: text, details: stringMap }),
);
const streamId = fc.integer({ min: 1, max: 0xffff_ffff });
const end = fc.constantFrom(END, MORE);
const body = fc.oneof(
  fc.constant(undefined),
  fc.uint8Array({ maxLength: 300 }),
  fc.constantFrom(8_192, 8_193, 20_000).map((size) => new Uint8Array(size).fill(7)),
);

/** One thing to write, and what the other side must then read. */
interface Step {
  readonly write: (writer: FrameWriter) => void;
  readonly read: unknown;
}

const empty = new Uint8Array(0);
const step = (type: number, flags: number, stream: number, head: unknown, bytes: Uint8Array | undefined) => ({
  type,
  flags,
  streamId: stream,
  head,
  body: Uint8Array.from(bytes ?? empty),
});
const steps: fc.Arbitrary<Step> = fc.oneof(
  hello.map((head) => ({ write: (w: FrameWriter) => w.hello(head), read: step(FRAME.HELLO, 0, 0, head, undefined) })),
  fc.tuple(streamId, queryHead, body, end).map(([id, head, bytes, flags]) => ({
    write: (w: FrameWriter) => expect(w.query(id, head, bytes, flags)).toBe(true),
    read: step(FRAME.QUERY, flags, id, head, bytes),
  })),
  fc.tuple(streamId, replyHead, body, end).map(([id, head, bytes, flags]) => ({
    write: (w: FrameWriter) => expect(w.reply(id, head, bytes, flags)).toBe(true),
    read: step(FRAME.REPLY, flags, id, head, bytes),
  })),
  fc.tuple(streamId, body, end).map(([id, bytes, flags]) => ({
    write: (w: FrameWriter) => w.data(id, bytes, flags),
    read: step(FRAME.DATA, flags, id, undefined, bytes),
  })),
  fc.tuple(streamId, body, end).map(([id, bytes, flags]) => ({
    write: (w: FrameWriter) => w.bytes(id, bytes, flags),
    read: step(FRAME.DATA, flags, id, undefined, bytes),
  })),
  fc.tuple(streamId, failure).map(([id, head]) => ({
    write: (w: FrameWriter) => w.fail(id, head),
    read: step(FRAME.FAIL, FLAG_END, id, head, undefined),
  })),
  fc.tuple(streamId, fc.nat()).map(([id, count]) => ({
    write: (w: FrameWriter) => w.credit(id, count),
    read: step(FRAME.CREDIT, 0, id, { count }, undefined),
  })),
  fc.tuple(streamId, fc.constantFrom("busy" as const, "draining" as const)).map(([id, reason]) => ({
    write: (w: FrameWriter) => w.refuse(id, reason),
    read: step(FRAME.REFUSE, FLAG_END, id, { reason }, undefined),
  })),
  streamId.map((id) => ({
    write: (w: FrameWriter) => w.cancel(id),
    read: step(FRAME.CANCEL, 0, id, undefined, undefined),
  })),
  fc.nat().map((count) => ({
    write: (w: FrameWriter) => w.goaway(count),
    read: step(FRAME.GOAWAY, 0, 0, { count }, undefined),
  })),
  fc.constant({ write: (w: FrameWriter) => w.slot(), read: step(FRAME.SLOT, 0, 0, undefined, undefined) }),
  fc.constant({ write: (w: FrameWriter) => w.ping(), read: step(FRAME.PING, 0, 0, undefined, undefined) }),
  fc.constant({ write: (w: FrameWriter) => w.pong(), read: step(FRAME.PONG, 0, 0, undefined, undefined) }),
);

const bytesOf = (write: (writer: FrameWriter) => void): Uint8Array => {
  const writer = new FrameWriter();
  write(writer);
  return Buffer.concat(writer.take());
};

describe("frames", () => {
  test.each(["given", "lent"] as const)(
    "whatever is written is read, however the bytes are cut on the way (%s)",
    (are) => {
      fc.assert(
        fc.property(
          fc.array(steps, { maxLength: 30 }),
          fc.array(fc.oneof(fc.integer({ min: 1, max: 5_000 }), fc.integer({ min: 1, max: 100_000 })), {
            minLength: 1,
            maxLength: 10,
          }),
          (all, sizes) => {
            const bytes = bytesOf((writer) => {
              for (const it of all) it.write(writer);
            });
            expect(readAll(bytes, sizes, are)).toStrictEqual({
              frames: all.map((it) => it.read),
              problem: undefined,
              pendingBytes: 0,
            });
          },
        ),
        { numRuns: 100 },
      );
    },
  );

  test("bytes of one at a time are read as well", () => {
    const bytes = bytesOf((writer) => {
      writer.hello({ protocol: 1, instanceId: "i", replica: "a#1", incarnation: 1, peer: "p" });
      writer.data(5, new Uint8Array(300), END);
      writer.slot();
    });
    expect(readAll(bytes, [1]).frames).toHaveLength(3);
  });

  test("pieces that were taken are not touched by what is written afterwards", () => {
    const writer = new FrameWriter();
    const taken: Uint8Array[] = [];
    const copies: Uint8Array[] = [];
    for (let id = 1; id <= 2_000; id += 1) {
      writer.data(id, new Uint8Array(id % 100).fill(id), END);
      if (id % 3 === 0) {
        const pieces = writer.take();
        taken.push(...pieces);
        copies.push(...pieces.map((piece) => piece.slice()));
      }
    }
    expect(taken).toStrictEqual(copies);
    const ids: unknown[] = [];
    new FrameDecoder().push(Buffer.concat([...taken, ...writer.take()]), (frame) => ids.push(frame.streamId));
    expect(ids).toStrictEqual(Array.from({ length: 2_000 }, (_, index) => index + 1));
  });

  test("the frames of a turn are one piece, a large body one more without a copy", () => {
    const writer = new FrameWriter();
    for (let id = 1; id <= 20; id += 1) writer.data(id, new Uint8Array(50), END);
    expect(writer.take()).toHaveLength(1);
    const large = new Uint8Array(100_000);
    writer.data(1, large, END);
    writer.slot();
    expect(writer.pendingBytes).toBe(12 + 100_000 + 12);
    const pieces = writer.take();
    expect(pieces).toHaveLength(3);
    expect(pieces[1]).toBe(large);
    expect(writer.take()).toHaveLength(0);
    expect(writer.pendingBytes).toBe(0);
  });

  test("a head that is too large, or that cannot be encoded, leaves no trace", () => {
    const writer = new FrameWriter();
    const head = { kind: "http" as const, status: 200, headers: ["x", "y".repeat(MAX_FRAME_HEAD_BYTES)] };
    writer.ping();
    expect(writer.reply(1, head, undefined, END)).toBe(false);
    writer.pong();
    const wrong = { kind: "http" as const, status: 200, headers: ["x", 5 as unknown as string] };
    expect(() => writer.reply(1, wrong, undefined, END)).toThrow(TypeError);
    writer.slot();
    const types: unknown[] = [];
    new FrameDecoder().push(Buffer.concat(writer.take()), (frame) => types.push(frame.type));
    expect(types).toStrictEqual([FRAME.PING, FRAME.PONG, FRAME.SLOT]);
  });

  test("the largest frame passes, one byte more is refused", () => {
    const largest = bytesOf((writer) => writer.data(1, new Uint8Array(MAX_DATA_BYTES), END));
    expect(largest.length).toBe(MAX_FRAME_BYTES);
    expect(readAll(largest, [65_536])).toMatchObject({ problem: undefined, frames: [{}] });
    const larger = bytesOf((writer) => writer.data(1, new Uint8Array(MAX_DATA_BYTES + 1), END));
    expect(readAll(larger.subarray(0, 12), [12]).problem?.reason).toMatch(/1100001 bytes; at most 1100000/);
  });

  test("frames before a broken one are delivered, nothing after it", () => {
    const good = bytesOf((writer) => writer.ping());
    const broken = Uint8Array.of(8, 0, 0, 0, 77, 0, 0, 0, 1, 0, 0, 0);
    const decoder = new FrameDecoder();
    const seen: number[] = [];
    const problem = decoder.push(Buffer.concat([good, broken, good]), (frame) => seen.push(frame.type));
    expect(problem?.reason).toBe("a frame of the unknown type 77");
    expect(decoder.push(good, (frame) => seen.push(frame.type))).toBe(problem);
    expect(seen).toStrictEqual([FRAME.PING]);
  });

  test("large bytes are given on as they come, without a copy, and only the last of them ends the body; a value waits", () => {
    const body = Buffer.alloc(50_000, 7);
    const all = bytesOf((writer) => {
      writer.bytes(1, body, END);
      writer.data(2, body, END);
    });
    const seen: Frame[] = [];
    const decoder = new FrameDecoder();
    for (let at = 0; at < all.length; at += 20_000) {
      decoder.push(all.subarray(at, at + 20_000), (frame) => seen.push(frame));
    }
    expect(seen.map(({ streamId, flags, body }) => [streamId, flags & FLAG_END, body.length])).toStrictEqual([
      ...[
        [1, 0, 19_988],
        [1, 0, 20_000],
        [1, FLAG_END, 10_012],
      ],
      ...[[2, FLAG_END, 50_000]],
    ]);
    expect(seen.map(({ body }) => body.buffer === all.buffer)).toStrictEqual([true, true, true, false]);
    expect(decoder.pendingBytes).toBe(0);
  });

  test("impossible lengths are refused with a sentence", () => {
    const reason = (...bytes: number[]) => readAll(Uint8Array.from(bytes), [100]).problem?.reason;
    expect(reason(7, 0, 0, 0)).toBe("a frame of 7 bytes, which is less than a frame head");
    expect(reason(0xff, 0xff, 0xff, 0xff)).toMatch(/at most 1100000/);
    expect(reason(8, 0, 0, 0, FRAME.PING, 0, 1, 0, 0, 0, 0, 0)).toBe("a frame whose head is longer than the frame");
    expect(reason(8, 0, 0, 0, FRAME.WEBSOCKET, 0, 0, 0, 0, 0, 0, 0)).toMatch(/unknown type 15/);
    // "GET / HTTP/1.1": somebody speaks HTTP to a replica's socket.
    expect(reason(...Buffer.from("GET / HTTP/1.1\r\n\r\n"))).toMatch(/at most/);
  });

  test("random and damaged bytes never throw, neither at the decoder nor at the heads", () => {
    const check = (bytes: Uint8Array, sizes: readonly number[]) => {
      const decoder = new FrameDecoder();
      for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
        const size = sizes[turn % sizes.length]!;
        decoder.push(bytes.slice(at, at + size), (frame) => {
          for (const decode of [
            decodeHello,
            decodeQueryHead,
            decodeReplyHead,
            decodeFailure,
            decodeRefuse,
            decodeCount,
          ]) {
            decode(frame.head);
          }
        });
        at += size;
        expect(decoder.pendingBytes).toBeLessThanOrEqual(MAX_FRAME_BYTES);
      }
    };
    const sizes = fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 5 });
    fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), sizes, check), { numRuns: 1_000 });
    const damaged = fc
      .tuple(
        fc.array(steps, { minLength: 1, maxLength: 5 }),
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 5 }),
      )
      .map(([all, edits]) => {
        const bytes = bytesOf((writer) => {
          for (const it of all) it.write(writer);
        });
        for (const [at, byte] of edits) bytes[at % bytes.length] = byte;
        return bytes;
      });
    fc.assert(fc.property(damaged, sizes, check), { numRuns: 1_000 });
  });

  test("heads that say something else than they should are refused with a sentence", () => {
    const head = (value: unknown) => {
      const decoded = decodeQueryHead(value as Uint8Array);
      return isProtocolError(decoded) ? decoded.reason : decoded;
    };
    expect(head(Uint8Array.of())).toMatch(/^a QUERY head with /);
    expect(head(Uint8Array.of(0x91, 9))).toMatch(/unknown kind/);
    expect(decodeRefuse(Uint8Array.of(0x91, 0xa1, 0x78))).toMatchObject({
      reason: "a REFUSE head with an unknown reason",
    });
    expect(decodeCount(Uint8Array.of(0x91, 0xff))).toMatchObject({ kind: "protocol-error" });
  });

  test("a failure arrives even when its details cannot", () => {
    const details = { rows: () => 1 } as unknown as Record<string, unknown>;
    const arrived = (it: WireFailure) =>
      readAll(
        bytesOf((writer) => writer.fail(3, it)),
        [1_000],
      ).frames[0];
    expect(arrived({ status: 500, code: "x", message: "m", details })).toMatchObject({
      head: { code: "x", message: "m" },
    });
    const long = arrived({
      status: 500,
      code: "x",
      message: "m".repeat(100_000),
      details: { big: "d".repeat(100_000) },
    });
    expect(long).toMatchObject({ head: { code: "x", message: expect.stringMatching(/^m{8000} …$/) } });
    expect(long).not.toHaveProperty("head.details");
  });
});
