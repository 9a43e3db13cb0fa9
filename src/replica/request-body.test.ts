/** What a body holds while it waits; how it comes to its handler is in serve-request.test.ts. */
import { expect, test } from "vitest";
import { FLOW_WINDOW_BYTES, PART_MEMORY_SHARE, STREAM_WINDOW_BYTES } from "../model/limits.ts";
import { RequestBody } from "./request-body.ts";

const NOTHING = new Uint8Array(0);
const CHUNK_BYTES = 65_536;

/** A few bytes in the middle of what a socket delivered. */
const viewOf = (bytes: number, value: number): Uint8Array =>
  new Uint8Array(CHUNK_BYTES).fill(value).subarray(100, 100 + bytes);

const bodyOf = (first: Uint8Array): RequestBody => new RequestBody({ giveCredit: () => {} }, first, "more");

async function partsOf(body: RequestBody): Promise<readonly Uint8Array[]> {
  const parts: Uint8Array[] = [];
  for (let part = await body.read(); part !== undefined; part = await body.read()) parts.push(part);
  return parts;
}

const heldBy = (parts: readonly Uint8Array[]): number =>
  [...new Set(parts.map(({ buffer }) => buffer))].reduce((sum, { byteLength }) => sum + byteLength, 0);

test("small parts that nobody reads do not keep alive what the socket delivered around them", async () => {
  const body = bodyOf(NOTHING);
  const sent: Uint8Array[] = [];
  for (let index = 0; index < STREAM_WINDOW_BYTES / 32; index += 1) {
    sent.push(new Uint8Array(32).fill(index));
    body.add(viewOf(32, index), "more");
  }
  body.add(NOTHING, "complete");
  const parts = await partsOf(body);
  expect(Buffer.concat(parts).equals(Buffer.concat(sent))).toBe(true);
  expect(heldBy(parts)).toBeLessThanOrEqual(PART_MEMORY_SHARE * STREAM_WINDOW_BYTES);
  expect(parts.length).toBeLessThan(10);
});

test("the beginning of a body of which more will come is no exception, nor is a part that is awaited", async () => {
  const body = bodyOf(viewOf(32, 1));
  expect((await body.read())!.buffer.byteLength).toBe(32);
  const awaited = body.read();
  body.add(viewOf(32, 2), "complete");
  expect((await awaited)!.buffer.byteLength).toBe(32);
});

test("large parts are not copied, and nothing is written behind a part that was taken", async () => {
  const body = bodyOf(NOTHING);
  const large = viewOf(CHUNK_BYTES / 2, 7);
  for (const part of [viewOf(3, 1), viewOf(3, 2), viewOf(3, 3), large, viewOf(3, 4)]) body.add(part, "more");
  const [first, second, third] = [await body.read(), await body.read(), await body.read()];
  expect([...first!]).toEqual([1, 1, 1, 2, 2, 2, 3, 3, 3]);
  expect(second).toBe(large);
  expect([...third!]).toEqual([4, 4, 4]);
  body.add(viewOf(3, 5), "complete");
  expect([...(await body.read())!]).toEqual([5, 5, 5]);
  expect([...new Uint8Array(first!.buffer)].slice(9)).not.toContain(5);
});

test("a body put together from parts of all sizes is what was sent", async () => {
  const body = bodyOf(NOTHING);
  const whole = body.readAll();
  const sent: Buffer[] = [];
  for (let index = 0; sent.reduce((sum, { length }) => sum + length, 0) < 2 * FLOW_WINDOW_BYTES; index += 1) {
    const bytes = [1, 40_000, 17, 5_000, 20_000, 4_096, 3][index % 7]!;
    expect(body.add(viewOf(bytes, index), "more")).toBe(true);
    sent.push(Buffer.alloc(bytes, index));
    // The reader takes it, and gives credit.
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
  body.add(NOTHING, "complete");
  expect(Buffer.concat(sent).equals(await whole)).toBe(true);
});
