/** Bodies that are read whole before their query is sent, and come slowly: the time of the query runs meanwhile. */
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { ProxyLab } from "../../tests/harness/proxy-lab.ts";
import { RawHttp } from "../../tests/harness/raw-http.ts";
import { context } from "../api/api.ts";

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

const sized = (bytes: number, more = "") => `POST /p HTTP/1.1\r\nhost: x\r\ncontent-length: ${bytes}\r\n${more}\r\n`;

describe("a small body that is slow", () => {
  test("is 504 at the deadline, and reaches no handler", async () => {
    let calls = 0;
    const door = () => {
      calls += 1;
    };
    const { url } = await lab.serveWith({ limits: { lingerMs: 50 } }, { door, timeoutMs: 300 });
    const raw = open(url).send(sized(100)).send("abc");
    const answer = (await raw.answers())[0]!;
    expect(answer).toMatchObject({ status: 504, head: expect.stringMatching(/\r\nConnection: close/i) });
    expect(JSON.parse(answer.body)).toMatchObject({
      code: "deadline-exceeded",
      detail: expect.stringContaining('endpoint "e": no complete answer within 300 ms'),
      details: { endpoint: "e", timeoutMs: 300 },
    });
    expect((await raw.closed()).match(/HTTP\/1\.1 /g)).toHaveLength(1);
    expect(calls).toBe(0);
  });

  test("leaves its query the rest of the time", async () => {
    let leftMs = Number.NaN;
    const door = () => {
      leftMs = context().deadline! - performance.now();
    };
    const { url } = await lab.serve({ door, timeoutMs: 60_000 });
    const raw = open(url).send(sized(4, "expect: 100-continue\r\n"));
    await expect.poll(() => raw.text).toContain("100 Continue");
    // The time has begun by now; what is spent until the body comes is gone, whatever the machine does meanwhile.
    const begunAt = performance.now();
    await new Promise((resolve) => setTimeout(resolve, 500));
    const spentMs = performance.now() - begunAt;
    raw.send("body");
    await expect.poll(() => raw.text).toContain(" 204 ");
    // Rounded to whole milliseconds on the way.
    expect(leftMs).toBeLessThanOrEqual(60_000 - spentMs + 5);
  });
});
