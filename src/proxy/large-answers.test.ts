/**
 * Large answers through memory that is read into again and again: byte by byte, to clients of every pace at once, beside some that leave,
 * and as far as they came when the replica is gone. A word of a body says whose it is and where it stands, so that what was overwritten
 * is seen.
 */
import { get, type IncomingMessage } from "node:http";
import { afterAll, afterEach, expect, test } from "vitest";
import { ProxyLab } from "../../tests/harness/proxy-lab.ts";
import { RawHttp } from "../../tests/harness/raw-http.ts";
import type { ServeRequest } from "../api/api.ts";
import { FLOW_BUDGET_BYTES } from "../model/limits.ts";

const lab = new ProxyLab();
const answers: Answer[] = [];
afterEach(async () => {
  for (const { message } of answers.splice(0)) message.destroy();
  await lab.close();
});
afterAll(() => lab.remove());

const WORDS = 2_500_000;
const BYTES = WORDS * 4;

const made = new Map<number, Buffer>();
const bodyOf = (owner: number): Buffer => {
  const kept = made.get(owner);
  if (kept !== undefined) return kept;
  const words = Uint32Array.from({ length: WORDS }, (_, index) => owner * 2 ** 24 + index);
  const body = Buffer.from(words.buffer);
  made.set(owner, body);
  return body;
};

const whole = (request: ServeRequest) => bodyOf(Number(request.query.get("owner")));

/** In parts of sizes that fit nothing, and without a length, so that they travel in chunks. */
const inParts = async function* (request: ServeRequest) {
  const body = whole(request);
  for (let at = 0, size = 1; at < body.length; at += size, size = ((size * 7) % 300_007) + 1) {
    yield body.subarray(at, at + size);
  }
};

class Answer {
  readonly message: IncomingMessage;
  readonly #owner: number;
  readonly #parts: Buffer[] = [];
  bytes = 0;
  end: "whole" | "cut" | undefined;

  constructor(message: IncomingMessage, owner: number, standsAfter: number) {
    this.message = message;
    this.#owner = owner;
    answers.push(this);
    message.on("data", (part: Buffer) => {
      this.#parts.push(part);
      const before = this.bytes;
      this.bytes += part.length;
      if (before < standsAfter && this.bytes >= standsAfter) message.pause();
    });
    message.on("error", () => {});
    message.on("close", () => {
      this.end = message.complete ? "whole" : "cut";
    });
  }

  ended(): Promise<void> {
    this.message.resume();
    return expect.poll(() => this.end, { timeout: 20_000 }).toBeDefined();
  }

  /** Where it is not what was sent; -1: nowhere. */
  firstWrongByte(): number {
    const got = Buffer.concat(this.#parts);
    const sent = bodyOf(this.#owner).subarray(0, got.length);
    return got.equals(sent) ? -1 : got.findIndex((byte, index) => byte !== sent[index]);
  }
}

/** Resolves with the head of the answer. */
const ask = (url: string, owner: number, standsAfter = Number.POSITIVE_INFINITY): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const request = get(`${url}/?owner=${owner}`, { agent: false }, (message) =>
      resolve(new Answer(message, owner, standsAfter)),
    );
    request.on("error", reject);
  });

const reached = (answer: Answer, bytes: number) =>
  expect.poll(() => answer.bytes, { timeout: 20_000 }).toBeGreaterThanOrEqual(bytes);

test.each([
  ["with their length", whole],
  ["in chunks", inParts],
])(
  "arrive byte by byte at clients that stand, that run and beside those that leave (%s)",
  async (_how, door) => {
    const { url, router } = await lab.serve({ door });
    const standing = await Promise.all([1, 2, 3, 4].map((owner) => ask(url, owner, owner * 300_000)));
    for (const [index, answer] of standing.entries()) await reached(answer, (index + 1) * 300_000);
    const leaving = await Promise.all([5, 6].map((owner) => ask(url, owner, 200_000)));
    for (const answer of leaving) {
      await reached(answer, 200_000);
      answer.message.destroy();
    }
    for (let round = 0; round < 2; round += 1) {
      const running = await Promise.all([7, 8, 9].map((owner) => ask(url, owner)));
      for (const answer of running) await answer.ended();
      expect(running.map((answer) => [answer.end, answer.bytes, answer.firstWrongByte()])).toEqual(
        running.map(() => ["whole", BYTES, -1]),
      );
    }
    // Whoever stands has some of the room for wide windows; afterwards all of it is there again.
    expect(router.flowBudget.left).toBeLessThan(FLOW_BUDGET_BYTES);
    for (const answer of standing) await answer.ended();
    await expect.poll(() => router.flowBudget.left).toBe(FLOW_BUDGET_BYTES);
    expect(standing.map((answer) => [answer.end, answer.bytes, answer.firstWrongByte()])).toEqual(
      standing.map(() => ["whole", BYTES, -1]),
    );
    expect(leaving.map((answer) => answer.firstWrongByte())).toEqual([-1, -1]);
  },
  60_000,
);

test("break off behind what came, byte by byte, when the replica is gone, and those of another go on", async () => {
  const proxy = await lab.serve({ tag: "a", door: whole, route: "/a" }, { tag: "b", door: whole, route: "/b" });
  const broken = await Promise.all([1, 2, 3].map((owner) => ask(`${proxy.url}/a`, owner, 400_000)));
  const unhurt = await Promise.all([4, 5].map((owner) => ask(`${proxy.url}/b`, owner, 400_000)));
  for (const answer of [...broken, ...unhurt]) await reached(answer, 400_000);
  await proxy.backends[0]!.replica.stop();
  for (const answer of unhurt) await answer.ended();
  for (const answer of broken) await answer.ended();
  expect(broken.map((answer) => [answer.end, answer.firstWrongByte()])).toEqual(broken.map(() => ["cut", -1]));
  await expect.poll(() => proxy.router.flowBudget.left).toBe(FLOW_BUDGET_BYTES);
  expect(unhurt.map((answer) => [answer.end, answer.bytes, answer.firstWrongByte()])).toEqual(
    unhurt.map(() => ["whole", BYTES, -1]),
  );
}, 60_000);

test("a large part arrives although none follows, and one before the handler fails", async () => {
  let goOn = () => {};
  async function* parts() {
    for (const _ of [1, 2, 3]) {
      const isThere = new Promise<void>((resolve) => {
        goOn = resolve;
      });
      yield bodyOf(1).subarray(0, 100_000);
      await isThere;
    }
    throw new Error("no more");
  }
  const { url } = await lab.serve({ door: parts });
  const answer = await ask(url, 1);
  for (const bytes of [100_000, 200_000, 300_000]) {
    await reached(answer, bytes);
    goOn();
  }
  await answer.ended();
  expect([answer.end, answer.bytes]).toEqual(["cut", 300_000]);
});

test("answers that wait behind another on their connection give back their room when the client leaves", async () => {
  const { url, router } = await lab.serve({ door: whole });
  const raw = new RawHttp(url);
  raw.send("GET /?owner=1 HTTP/1.1\r\nhost: x\r\n\r\n".repeat(3));
  await expect.poll(() => router.flowBudget.left).toBeLessThan(FLOW_BUDGET_BYTES);
  raw.socket.pause();
  raw.socket.destroy();
  await expect.poll(() => router.flowBudget.left).toBe(FLOW_BUDGET_BYTES);
});
