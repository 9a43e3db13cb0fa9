import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { backendOf, endpointOf, RouterLab } from "../../tests/harness/router-lab.ts";
import { waitFor } from "../../tests/harness/wait-for.ts";
import type { WireQuery } from "../../tests/harness/wire-replica.ts";
import { END } from "../core/wire/frame-writer.ts";
import { decodeValue, encodeValue } from "../core/wire/values.ts";
import { FLOW_WINDOW_BYTES, STREAM_WINDOW_BYTES } from "../model/limits.ts";
import { FRAME, WIRE_PROTOCOL } from "../model/wire.ts";

const DEADLINE_MS = 5_000;
const answerName = (query: WireQuery) => query.answer(query.head.kind === "method" ? query.head.name : query.head.kind);

let lab: RouterLab;
beforeEach(() => {
  lab = new RouterLab();
});
afterEach(() => lab.close());

const resultOf = async (asked: ReturnType<RouterLab["ask"]>) => {
  const { parts, failure } = await asked.outcome;
  return failure ?? decodeValue(Buffer.concat(parts));
};

describe("a router and its replicas", () => {
  test("a query goes out as one frame, and its head and body arrive as they were given", async () => {
    const replica = await lab.replica({ onQuery: answerName });
    lab.publish(endpointOf({ b: backendOf([replica]) }));
    const body = encodeValue([1, "two"]);
    expect(await resultOf(lab.ask({ body, shardKey: "k", requestId: "r-9", timeoutMs: 5_000 }))).toBe("run");
    const [query] = await replica.received(1);
    expect(query?.head).toMatchObject({
      ...{ kind: "method", name: "run", endpoint: "e", requestId: "r-9", shardKey: "k", isShadow: false },
    });
    expect(query?.head.timeoutMs).toBeGreaterThan(4_000);
    expect(query?.head.timeoutMs).toBeLessThanOrEqual(5_000);
    expect([query?.isWhole, query?.value, query?.streamId]).toEqual([true, [1, "two"], 1]);
    expect(query?.line.hello).toEqual({
      ...{ protocol: WIRE_PROTOCOL, instanceId: "i-1", replica: replica.entry.replica, incarnation: 1, peer: "test" },
    });
  });

  test("answers find their queries in whatever order they come, over one connection", async () => {
    const replica = await lab.replica();
    lab.publish(endpointOf({ b: backendOf([replica]) }));
    const asked = Array.from({ length: 50 }, (_, index) => lab.ask({ name: `m${index}` } as never));
    const queries = await replica.received(50);
    for (const query of [...queries].reverse()) answerName(query);
    expect(await Promise.all(asked.map(resultOf))).toEqual(asked.map((_, index) => `m${index}`));
    expect(replica.lines).toHaveLength(1);
  });

  test("queries that come before any snapshot, or before any replica, wait for them", async () => {
    const early = lab.ask();
    const replica = await lab.replica({ onQuery: answerName });
    lab.publish(endpointOf({ b: backendOf([]) }));
    const waiting = lab.ask();
    lab.publish(endpointOf({ b: backendOf([replica]) }));
    expect([await resultOf(early), await resultOf(waiting)]).toEqual(["run", "run"]);
  });

  test("queries spread over replicas by what is in flight there", async () => {
    const replicas = await Promise.all([1, 2, 3, 4].map(() => lab.replica()));
    lab.publish(endpointOf({ b: backendOf(replicas) }));
    for (let count = 0; count < 200; count += 1) lab.ask();
    const total = () => replicas.reduce((sum, { queries }) => sum + queries.length, 0);
    await waitFor("all queries are there", () => total() === 200, DEADLINE_MS);
    for (const { queries } of replicas) {
      expect(queries.length).toBeGreaterThanOrEqual(45);
      expect(queries.length).toBeLessThanOrEqual(55);
    }
  });

  test("backends get their weights, and new weights hold from the next query on", async () => {
    const [one, two] = [
      await lab.replica({ backend: "b1", onQuery: answerName }),
      await lab.replica({ backend: "b2" }),
    ];
    two.onQuery = answerName;
    const backends = { b1: backendOf([one]), b2: backendOf([two]) };
    lab.publish(endpointOf(backends, { traffic: { b1: 0.9, b2: 0.1 } }));
    await Promise.all(Array.from({ length: 1_000 }, () => lab.ask().outcome));
    expect(two.queries.length).toBeGreaterThan(60);
    expect(two.queries.length).toBeLessThan(140);
    const before = one.queries.length;
    lab.publish(endpointOf(backends, { traffic: { b1: 0, b2: 1 } }));
    await Promise.all(Array.from({ length: 100 }, () => lab.ask().outcome));
    expect(one.queries).toHaveLength(before);
  });

  test("a shard key always goes to the same backend", async () => {
    const replicas = await Promise.all([1, 2, 3].map((n) => lab.replica({ backend: `b${n}`, onQuery: answerName })));
    lab.publish(endpointOf(Object.fromEntries(replicas.map((replica, n) => [`b${n + 1}`, backendOf([replica])]))));
    await Promise.all(Array.from({ length: 300 }, (_, index) => lab.ask({ shardKey: `key-${index % 30}` }).outcome));
    const homes = new Map<string, Set<number>>();
    for (const [index, { queries }] of replicas.entries()) {
      for (const { head } of queries) {
        const key = head.shardKey!;
        homes.set(key, (homes.get(key) ?? new Set()).add(index));
      }
    }
    expect([...homes.values()].map((at) => at.size)).toEqual(new Array(30).fill(1));
    expect(new Set([...homes.values()].flatMap((at) => [...at])).size).toBe(3);
  });

  test("a replica that is withdrawn finishes what it has and is then disconnected", async () => {
    const [old, young] = [await lab.replica(), await lab.replica({ onQuery: answerName })];
    lab.publish(endpointOf({ b: backendOf([old]) }));
    const running = lab.ask();
    const [query] = await old.received(1);
    lab.publish(endpointOf({ b: backendOf([young]) }));
    expect(await resultOf(lab.ask())).toBe("run");
    expect(old.queries).toHaveLength(1);
    expect(old.open).toHaveLength(1);
    query!.answer("late");
    expect(await resultOf(running)).toBe("late");
    await waitFor("the old replica has no connection", () => old.open.length === 0, DEADLINE_MS);
  });

  test("queries that wait for a backend which nothing names any more go where the endpoint goes now", async () => {
    const replica = await lab.replica({ backend: "new", onQuery: answerName });
    lab.publish(endpointOf({ old: backendOf([]) }));
    const waiting = lab.ask();
    lab.publish(endpointOf({ new: backendOf([replica]) }));
    expect(await resultOf(waiting)).toBe("run");
  });

  test("a failure of the handler arrives with status, code and details", async () => {
    const failure = { status: 418, code: "http-error", message: "teapot", details: { status: 418, detail: "teapot" } };
    const replica = await lab.replica({ onQuery: (query) => query.fail(failure) });
    lab.publish(endpointOf({ b: backendOf([replica]) }));
    expect((await lab.ask().outcome).failure).toEqual(failure);
  });

  test("an incomplete snapshot is refused as a whole", () => {
    const closure = endpointOf({ b: backendOf([]) }, { traffic: { b: 0.5, other: 0.5 } });
    expect(() => lab.publish(closure)).toThrow("closure of endpoint e is whole");
    expect(lab.router.endpoints()).toEqual({ endpoints: [], learnt: false });
  });

  test("what is known is told to listeners, can be saved as JSON, and serves a router that hears nobody", async () => {
    const replica = await lab.replica({ onQuery: answerName });
    const heard: unknown[] = [];
    lab.router.onEndpoints((known) => heard.push(known));
    const closure = endpointOf({ b: backendOf([replica]) }, { spec: { route: "/e" } });
    lab.publish(closure);
    expect(heard).toEqual([{ endpoints: [closure], learnt: true }]);
    const saved = JSON.parse(JSON.stringify(lab.router.snapshots())) as unknown;

    const later = new RouterLab();
    try {
      expect(later.router.endpoints().learnt).toBe(false);
      expect(later.router.restore(saved)).toBe(true);
      expect(later.router.endpoints()).toEqual({ endpoints: [closure], learnt: true });
      expect(await resultOf(later.ask())).toBe("run");
      expect(later.router.restore(saved)).toBe(false);
    } finally {
      await later.close();
    }
  });

  test("files that are not snapshots are not served from", () => {
    const good = { version: 1, applied: { epoch: 1, counter: 1 }, endpoints: [endpointOf({ b: backendOf([]) })] };
    const bad = [
      undefined,
      null,
      {},
      [],
      "x",
      { ...good, version: 2 },
      { ...good, applied: {} },
      { ...good, endpoints: {} },
      { ...good, endpoints: [{}] },
      { ...good, endpoints: [{ ...good.endpoints[0], backends: {} }] },
    ];
    for (const saved of bad) expect(lab.router.restore(saved)).toBe(false);
    expect(lab.router.restore(good)).toBe(true);
  });

  test("a sink that throws harms no other query", async () => {
    const replica = await lab.replica({ onQuery: answerName });
    lab.publish(endpointOf({ b: backendOf([replica]) }));
    const throwing = () => {
      throw new Error("sink");
    };
    lab.router.send(
      {
        ...{ kind: "method", name: "x", endpoint: "e", requestId: "r-7", shardKey: undefined, trace: undefined },
        ...{ body: undefined, timeoutMs: undefined, idempotent: undefined, safeMethod: false },
      },
      { onReply: throwing, onData: throwing, onFailure: throwing },
    );
    expect(await resultOf(lab.ask())).toBe("run");
    expect(lab.log.lines).toContainEqual(expect.objectContaining({ event: "reply-sink-threw" }));
  });

  test("stopping fails what is open and closes every connection", async () => {
    const replica = await lab.replica();
    lab.publish(endpointOf({ b: backendOf([replica]) }));
    const running = lab.ask();
    const waiting = lab.ask({ endpoint: "unknown" });
    await replica.received(1);
    lab.router.stop();
    expect((await running.outcome).failure?.code).toBe("no-instance");
    expect((await waiting.outcome).failure?.code).toBe("no-instance");
    expect((await lab.ask().outcome).failure?.code).toBe("no-instance");
    await waitFor("the connection is closed", () => replica.open.length === 0, DEADLINE_MS);
    expect(lab.router.counts().open).toBe(0);
  });
});

describe("bodies in parts", () => {
  test("a large request body goes as far as credit allows, and arrives whole", async () => {
    const replica = await lab.replica();
    lab.publish(endpointOf({ b: backendOf([replica]) }));
    const body = Buffer.alloc(1_000_000, "0123456789");
    const asked = lab.ask({ body });
    const [query] = await replica.received(1);
    expect([query!.body.length, query!.isWhole]).toEqual([65_536, false]);
    query!.credit(100_000);
    await waitFor("the credit is used up", () => query!.body.length === 165_536, DEADLINE_MS);
    expect(query!.isWhole).toBe(false);
    query!.credit(10_000_000);
    await waitFor("the body is there", () => query!.isWhole, DEADLINE_MS);
    expect(query!.body.equals(body)).toBe(true);
    query!.answer("done");
    expect(await resultOf(asked)).toBe("done");
  });

  test("an answer in parts arrives part by part, and credit is given for what was used up", async () => {
    const replica = await lab.replica();
    lab.publish(endpointOf({ b: backendOf([replica]) }));
    const asked = lab.ask();
    const [query] = await replica.received(1);
    query!.reply({ kind: "http", status: 200, headers: ["a", "b"] }, new Uint8Array(40_000));
    await waitFor("the head is there", () => asked.soFar.head, DEADLINE_MS);
    expect(asked.soFar.head).toEqual({ kind: "http", status: 200, headers: ["a", "b"] });
    asked.consumed(20_000);
    query!.data(new Uint8Array(20_000));
    await waitFor("the second part is there", () => asked.soFar.parts.length === 2, DEADLINE_MS);
    expect(query!.line.credits.get(query!.streamId)).toBeUndefined();
    asked.consumed(40_000);
    // From its first use on there may be more on the way.
    const grown = FLOW_WINDOW_BYTES - STREAM_WINDOW_BYTES;
    await waitFor("credit came", () => query!.line.credits.get(query!.streamId) === 60_000 + grown, DEADLINE_MS);
    query!.data(undefined, END);
    expect((await asked.outcome).failure).toBeUndefined();
    asked.consumed(1_000_000);
  });

  test("a failure after the head reaches the sink as well", async () => {
    const replica = await lab.replica();
    lab.publish(endpointOf({ b: backendOf([replica]) }));
    const asked = lab.ask();
    const [query] = await replica.received(1);
    query!.reply({ kind: "items" }, encodeValue(1));
    query!.fail({ status: 500, code: "handler-failed", message: "later" });
    expect(await asked.outcome).toMatchObject({ head: { kind: "items" }, failure: { code: "handler-failed" } });
    expect(asked.soFar.ends).toBe(1);
  });
});

describe("peers that do not keep the rules", () => {
  const frame = (type: number, streamId: number, head: readonly number[] = []) => {
    const bytes = Buffer.alloc(12 + head.length);
    bytes.writeUInt32LE(bytes.length - 4, 0);
    bytes.writeUInt8(type, 4);
    bytes.writeUInt16LE(head.length, 6);
    bytes.writeUInt32LE(streamId, 8);
    bytes.set(head, 12);
    return bytes;
  };

  test.each([
    ["an unknown frame type", frame(99, 1)],
    ["a frame that only routers send", frame(FRAME.QUERY, 1)],
    ["a reply whose head is none", frame(FRAME.REPLY, 1, [0xc1])],
    ["a part before its reply", frame(FRAME.DATA, 1)],
    ["a stream that was never opened", frame(FRAME.REPLY, 77, [0x91, 1])],
    ["an impossible length", Buffer.from([1, 0, 0, 0])],
    ["another protocol", Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n")],
  ])("%s closes that connection, fails its queries, and nothing else", async (_what, bytes) => {
    const [bad, good] = [await lab.replica({ backend: "bad" }), await lab.replica({ backend: "good" })];
    lab.publish(
      endpointOf({ bad: backendOf([bad]) }, { tag: "bad" }),
      endpointOf({ good: backendOf([good]) }, { tag: "good" }),
    );
    const [hurt, unhurt] = [lab.ask({ endpoint: "bad" }), lab.ask({ endpoint: "good" })];
    await Promise.all([bad.received(1), good.received(1)]);
    bad.lines[0]!.raw(bytes);
    expect(await hurt.outcome).toMatchObject({ failure: { status: 502, code: "wire-protocol" } });
    await waitFor("the connection is closed", () => bad.open.length === 0, DEADLINE_MS);
    good.queries[0]!.answer("fine");
    expect(await resultOf(unhurt)).toBe("fine");
    // A new connection works again.
    bad.onQuery = answerName;
    expect(await resultOf(lab.ask({ endpoint: "bad" }))).toBe("run");
  });

  test.each([
    ["another instance", { instanceId: "other" }],
    ["another replica", { replica: "b#99" }],
    ["an older incarnation", { incarnation: 7 }],
    ["another protocol", { protocol: WIRE_PROTOCOL + 1 }],
  ])("a HELLO of %s gets no query, which then goes elsewhere", async (_what, hello) => {
    const [stranger, right] = [await lab.replica({ hello }), await lab.replica({ onQuery: answerName })];
    lab.publish(endpointOf({ b: backendOf([stranger]) }));
    const asked = lab.ask();
    await waitFor("the stranger was met", () => stranger.lines.some((line) => line.isClosed), DEADLINE_MS);
    lab.publish(endpointOf({ b: backendOf([stranger, right]) }));
    expect(await resultOf(asked)).toBe("run");
    expect(stranger.queries).toEqual([]);
  });

  test("a replica that refuses our HELLO gets no query either", async () => {
    const [refusing, right] = [await lab.replica({ silent: true }), await lab.replica({ onQuery: answerName })];
    lab.publish(endpointOf({ b: backendOf([refusing]) }));
    const asked = lab.ask();
    await waitFor("the replica was reached", () => refusing.lines[0], DEADLINE_MS);
    refusing.lines[0]!.writer.fail(0, { status: 502, code: "peer-refused", message: "not the one you mean." });
    refusing.lines[0]!.flush();
    lab.publish(endpointOf({ b: backendOf([refusing, right]) }));
    expect(await resultOf(asked)).toBe("run");
    expect(lab.log.lines).toContainEqual(
      expect.objectContaining({
        event: "replica-connection-lost",
        fields: expect.objectContaining({ kind: "mismatch", why: "not the one you mean." }),
      }),
    );
  });
});
