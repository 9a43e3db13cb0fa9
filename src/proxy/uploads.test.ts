/** Bodies that are streamed from the client's socket into the handler: whole, held back, cut off, malformed, answered early, too slow. */
import { createHash } from "node:crypto";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { ProxyLab } from "../../tests/harness/proxy-lab.ts";
import { RawHttp } from "../../tests/harness/raw-http.ts";
import type { ServeRequest } from "../api/api.ts";
import { HttpError } from "../base/serve-error.ts";
import { MAX_BODY_BYTES } from "../model/limits.ts";

const lab = new ProxyLab();
const sockets: RawHttp[] = [];
afterEach(async () => {
  for (const raw of sockets.splice(0)) raw.close();
  await lab.close();
});
afterAll(() => lab.remove());

const open = (url: string): RawHttp => {
  const raw = new RawHttp(url);
  sockets.push(raw);
  return raw;
};

const POST = "POST /p HTTP/1.1\r\nhost: x\r\n";
const CHUNKED = `${POST}transfer-encoding: chunked\r\n\r\n`;
const GET = "GET /g HTTP/1.1\r\nhost: x\r\n\r\n";
const sized = (bytes: number, more = "") => `${POST}content-length: ${bytes}\r\n${more}\r\n`;
const chunk = (part: Uint8Array) =>
  Buffer.concat([Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from("\r\n")]);

/** Not the same everywhere, so that parts that change places are seen. */
const PART = Buffer.from(Array.from({ length: 100_003 }, (_, index) => (index * 31 + (index >> 8)) & 0xff));
const PARTS = 50;
const DIGEST = createHash("sha1")
  .update(Buffer.alloc(PART.length * PARTS, PART))
  .digest("hex");

const write = async (raw: RawHttp, bytes: Uint8Array): Promise<void> => {
  if (raw.isClosed || raw.socket.write(bytes)) return;
  await new Promise<void>((resolve) => {
    const goOn = () => {
      raw.socket.off("drain", goOn).off("close", goOn);
      resolve();
    };
    raw.socket.on("drain", goOn).on("close", goOn);
  });
};

/** Reads what it is sent, as it comes. */
const digest = async (request: ServeRequest) => {
  const hash = createHash("sha1");
  let bytes = 0;
  for await (const part of request.body ?? []) {
    hash.update(part);
    bytes += part.length;
  }
  return `${bytes} ${hash.digest("hex")}`;
};

/** A handler that reads one part, and the others when it is let. */
class Gate {
  taken = 0;
  ended: unknown;
  readonly #opened = Promise.withResolvers<void>();
  #isOpen = false;

  readonly door = async (request: ServeRequest): Promise<string> => {
    try {
      for await (const part of request.body ?? []) {
        this.taken += part.length;
        if (!this.#isOpen) await this.#opened.promise;
      }
    } catch (error) {
      this.ended = error;
      throw error;
    }
    this.ended = "whole";
    return String(this.taken);
  };

  open(): void {
    this.#isOpen = true;
    this.#opened.resolve();
  }
}

describe("a large body", () => {
  test.each(["with its length", "in chunks"] as const)(
    "arrives as it was sent (%s), and the connection goes on",
    async (framing) => {
      const { url } = await lab.serve({ door: digest });
      const raw = open(url).send(framing === "in chunks" ? CHUNKED : sized(PART.length * PARTS));
      for (let sent = 0; sent < PARTS; sent += 1) await write(raw, framing === "in chunks" ? chunk(PART) : PART);
      if (framing === "in chunks") raw.send("0\r\n\r\n");
      expect((await raw.answers())[0]).toMatchObject({ status: 200, body: `${PART.length * PARTS} ${DIGEST}` });
      raw.send(GET);
      expect((await raw.answers(2))[1]).toMatchObject({ status: 200 });
      expect(raw.isClosed).toBe(false);
    },
  );

  test("does not fall into ever smaller parts, however it is cut when it comes", async () => {
    let parts = 0;
    const door = async (request: ServeRequest) => {
      for await (const _ of request.body ?? []) parts += 1;
    };
    const { url } = await lab.serve({ door });
    const raw = open(url).send(CHUNKED);
    for (let sent = 0; sent < 2 * PARTS; sent += 1) await write(raw, chunk(PART));
    raw.send("0\r\n\r\n");
    expect((await raw.answers())[0]).toMatchObject({ status: 204 });
    expect(parts).toBeLessThan((2 * PARTS * PART.length) / 8_192);
  });

  test("may be larger than what is put together in memory", async () => {
    const { url } = await lab.serve({ door: digest });
    const bytes = MAX_BODY_BYTES + 1_000_000;
    const raw = open(url).send(sized(bytes));
    for (let left = bytes; left > 0; left -= PART.length) await write(raw, PART.subarray(0, left));
    expect((await raw.answers())[0]?.body).toMatch(new RegExp(`^${bytes} `));
  });

  test.each([
    ["json() of a request", async (request: ServeRequest) => request.json()],
    ["json() of a fetch app", { fetch: async (request: Request) => Response.json(await request.json()) }],
  ])("is 413 for %s beyond the limit, whether it says its length or not", async (_name, door) => {
    const { url } = await lab.serve({ door });
    expect(
      (
        await open(url)
          .send(sized(MAX_BODY_BYTES + 1))
          .answers()
      )[0],
    ).toMatchObject({
      status: 413,
      body: expect.stringMatching(/larger than 32000000 bytes\. Send less, .* as a stream\./),
    });
    const raw = open(url).send(CHUNKED);
    const part = chunk(Buffer.alloc(1_000_000, "1"));
    for (let sent = 0; sent <= MAX_BODY_BYTES && raw.text === ""; sent += 1_000_000) await write(raw, part);
    expect((await raw.answers())[0]).toMatchObject({ status: 413, body: expect.stringContaining("body-too-large") });
  });

  test("goes to a fetch app as the stream of its Request", async () => {
    const app = { fetch: async (request: Request) => new Response(String((await request.bytes()).length)) };
    const { url } = await lab.serve({ door: app });
    const response = await fetch(url, { method: "POST", body: Buffer.alloc(1_000_000) });
    expect(await response.text()).toBe("1000000");
  });

  test("comes back while it is still being sent", async () => {
    const { url } = await lab.serve({ door: (request: ServeRequest) => new Response(request.body) });
    const raw = open(url).send(`${CHUNKED}3\r\nabc\r\n`);
    await expect.poll(() => raw.text).toContain("abc");
    raw.send("3\r\ndef\r\n");
    await expect.poll(() => raw.text).toContain("def");
    raw.send("0\r\n\r\n");
    await expect.poll(() => raw.text).toMatch(/\r\n0\r\n\r\n$/);
  });
});

test("a small body in chunks that is there at once is one frame, whole from the first moment", async () => {
  let isNull: boolean | undefined;
  const proxy = await lab.serve({
    door: async (request: ServeRequest) => {
      isNull = request.body === null;
      return "x";
    },
  });
  await open(proxy.url).send(`${CHUNKED}0\r\n\r\n`).answers();
  // A stream that may still get parts is never null.
  expect(isNull).toBe(true);
});

test("a handler that does not read makes the client wait, and nobody grow", async () => {
  const gate = new Gate();
  const { url } = await lab.serve({ door: gate.door });
  const total = PART.length * 400;
  const raw = open(url).send(sized(total));
  let sent = 0;
  const sending = (async () => {
    for (; sent < total; sent += PART.length) await write(raw, PART);
  })();
  let before = -1;
  const stands = () => {
    const isSame = sent > 0 && sent === before;
    before = sent;
    return isSame;
  };
  await expect.poll(stands, { interval: 200 }).toBe(true);
  // What the system's own buffers hold, and a few windows: far below the 40 MB of the whole.
  expect(sent).toBeLessThan(20_000_000);
  expect(gate.taken).toBeLessThanOrEqual(65_536);
  gate.open();
  await sending;
  expect((await raw.answers())[0]).toMatchObject({ status: 200, body: String(total) });
});

describe("a client that leaves while its upload stands still", () => {
  /** Reads one part, then works on something else. */
  const standing = () => {
    const began = Promise.withResolvers<void>();
    const left = Promise.withResolvers<unknown>();
    const door = async (request: ServeRequest) => {
      for await (const _ of request.body ?? []) break;
      request.signal.addEventListener("abort", () => left.resolve(request.signal.reason));
      began.resolve();
      return new Promise(() => {});
    };
    return { door, began: began.promise, left: left.promise };
  };

  test.each(["closes", "resets"] as const)("is noticed when it %s, also behind all that it has sent", async (how) => {
    const { door, began, left } = standing();
    const { url } = await lab.serveWith({ limits: { readAheadAfterMs: 20 } }, { door });
    const raw = open(url).send(sized(50_000_000));
    // More than a window; what does not fit anywhere stays in this process.
    for (let sent = 0; sent < 1_000_000; sent += PART.length) raw.send(PART);
    await began;
    if (how === "closes") raw.socket.end();
    else raw.socket.resetAndDestroy();
    expect(await left).toMatchObject({ code: "query-cancelled" });
  });

  test("what is read ahead of a handler is bounded, for each and for all together, and comes whole when it reads", async () => {
    const gates = [new Gate(), new Gate()];
    let next = 0;
    const door = (request: ServeRequest) => gates[next++]!.door(request);
    const limits = { readAheadAfterMs: 20, readAheadBytes: 1_000_000, readAheadTotalBytes: 1_500_000 };
    const proxy = await lab.serveWith({ limits }, { door });
    const total = PART.length * 300;
    const sent = [0, 0];
    const raws = sent.map(() => open(proxy.url).send(sized(total)));
    const sending = raws.map(async (raw, index) => {
      for (; sent[index]! < total; sent[index]! += PART.length) await write(raw, PART);
    });
    let before = -1;
    const stands = () => {
      const now = sent[0]! + sent[1]!;
      const isSame = now > 0 && now === before;
      before = now;
      return isSame;
    };
    await expect.poll(stands, { interval: 300 }).toBe(true);
    const kernelBytes = 14_000_000;
    for (const bytes of sent) expect(bytes).toBeLessThan(kernelBytes + limits.readAheadBytes);
    for (const gate of gates) gate.open();
    await Promise.all(sending);
    for (const raw of raws) expect((await raw.answers())[0]).toMatchObject({ status: 200, body: String(total) });
  });
});

describe("a body that does not come whole", () => {
  test("fails in the handler when its client leaves", async () => {
    const gate = new Gate();
    gate.open();
    const { url } = await lab.serve({ door: gate.door });
    const raw = open(url).send(sized(1_000_000));
    await write(raw, PART);
    await expect.poll(() => gate.taken).toBe(PART.length);
    raw.close();
    await expect.poll(() => gate.ended).toMatchObject({ code: "query-cancelled" });
  });

  test("fails in the handler when a chunk is malformed, and is never taken for the whole", async () => {
    const gate = new Gate();
    gate.open();
    const proxy = await lab.serve({ door: gate.door });
    const raw = open(proxy.url).send(CHUNKED);
    await write(raw, chunk(PART));
    await expect.poll(() => gate.taken).toBe(PART.length);
    raw.send("nonsense\r\n");
    expect((await raw.answers())[0]).toMatchObject({ status: 400 });
    await expect.poll(() => gate.ended).toMatchObject({ code: "query-cancelled" });
    await raw.closed();
    expect(proxy.router.counts().open).toBe(0);
  });

  test("is 504 at the deadline, and its client can read that", async () => {
    const gate = new Gate();
    gate.open();
    const { url } = await lab.serve({ door: gate.door, timeoutMs: 1_500 });
    // Once it is connected, what is sent is with the handler at once, and its deadline finds it there.
    expect((await open(url).send(GET).answers())[0]).toMatchObject({ status: 200 });
    const raw = open(url).send(sized(1_000_000));
    await write(raw, PART);
    expect((await raw.answers())[0]).toMatchObject({
      status: 504,
      head: expect.stringMatching(/\r\nConnection: close/i),
      body: expect.stringContaining("deadline-exceeded"),
    });
    await expect.poll(() => gate.ended).toMatchObject({ code: "deadline-exceeded" });
    await raw.closed();
  });
});

describe("an answer that does not wait for the body", () => {
  const refusing = () => {
    throw new HttpError(401, "who are you?");
  };

  test("is read by a client that sends on, and ends the connection", async () => {
    const { url } = await lab.serve({ door: refusing });
    const raw = open(url).send(sized(PART.length * PARTS));
    for (let sent = 0; sent < PARTS; sent += 1) await write(raw, PART);
    expect((await raw.answers())[0]).toMatchObject({ status: 401, head: expect.stringMatching(/connection: close/i) });
    await raw.closed();
  });

  test("is read by a client that then waits, and the connection ends", async () => {
    const { url } = await lab.serve({ door: refusing });
    const raw = open(url).send(sized(1_000_000));
    await write(raw, PART);
    expect((await raw.answers())[0]).toMatchObject({ status: 401 });
    await raw.closed();
  });

  test("is the only one, also when the rest of the body is malformed", async () => {
    const { url } = await lab.serve({ door: refusing });
    const raw = open(url).send(CHUNKED);
    await write(raw, chunk(PART));
    await raw.answers();
    raw.send("nonsense\r\n");
    expect((await raw.closed()).match(/HTTP\/1\.1 /g)).toHaveLength(1);
  });

  test("in parts is seen to its end; the rest of the body is dropped, and the connection goes on", async () => {
    async function* parts() {
      yield "first ";
      await new Promise((resolve) => setImmediate(resolve));
      yield "last";
    }
    const { url } = await lab.serve({ door: (request: ServeRequest) => (request.method === "GET" ? "next" : parts()) });
    const raw = open(url).send(sized(PART.length * PARTS));
    await write(raw, PART);
    await expect.poll(() => raw.text).toMatch(/\r\n0\r\n\r\n$/);
    for (let sent = 1; sent < PARTS; sent += 1) await write(raw, PART);
    raw.send(GET);
    await expect.poll(() => raw.text).toMatch(/next$/);
    expect(raw.isClosed).toBe(false);
  });
});

describe("a client that asks for a nod", () => {
  const EXPECTS = "expect: 100-continue\r\n";

  test("gets it when the handler reads", async () => {
    const reads = Promise.withResolvers<void>();
    const door = async (request: ServeRequest) => {
      await reads.promise;
      return digest(request);
    };
    const proxy = await lab.serve({ door });
    const raw = open(proxy.url).send(sized(PART.length, EXPECTS));
    await expect.poll(() => proxy.router.counts().open).toBe(1);
    expect(raw.text).toBe("");
    reads.resolve();
    await expect.poll(() => raw.text).toBe("HTTP/1.1 100 Continue\r\n\r\n");
    await write(raw, PART);
    await expect.poll(() => raw.text).toContain(`${PART.length} `);
  });

  test("gets none when the handler answers without reading", async () => {
    const { url } = await lab.serve({ door: () => new Response(null, { status: 403 }) });
    const raw = open(url).send(sized(PART.length, EXPECTS));
    expect((await raw.answers())[0]).toMatchObject({ status: 403 });
    expect(raw.text).not.toContain("100 Continue");
  });
});

test("uploads that wait for a slot lose nothing", async () => {
  const proxy = await lab.serve({ door: digest, config: { maxConcurrentQueries: 1 } });
  // The router is told of more room than there is: the replica refuses, and the query is sent again.
  const upload = async () => {
    const raw = open(proxy.url).send(sized(PART.length * PARTS));
    for (let sent = 0; sent < PARTS; sent += 1) await write(raw, PART);
    return (await raw.answers())[0]?.body;
  };
  const answers = await Promise.all(Array.from({ length: 8 }, upload));
  expect(answers).toEqual(answers.map(() => `${PART.length * PARTS} ${DIGEST}`));
});
