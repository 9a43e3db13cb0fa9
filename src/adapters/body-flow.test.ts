/** Uploads whose handler does not read: what is read ahead of it costs its bytes, however it was cut. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterAll, afterEach, expect, test } from "vitest";
import { ProxyLab } from "../../tests/harness/proxy-lab.ts";
import { RawHttp } from "../../tests/harness/raw-http.ts";
import type { ServeRequest } from "../api/api.ts";

/** More bytes than the systems between hold: most of them have been read when all are sent. */
const CHUNKS = 2_000_000;

const lab = new ProxyLab();
afterEach(() => lab.close());
afterAll(() => lab.remove());

const memory = async () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  for (let turn = 0; turn < 3; turn += 1) {
    await new Promise((resolve) => setImmediate(resolve));
    collect();
  }
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
};

test("a body in chunks of one byte takes little memory while it waits, and arrives whole", async () => {
  const [started, goOn] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const door = async (request: ServeRequest) => {
    started.resolve();
    await goOn.promise;
    return (await request.text()).length;
  };
  const { url } = await lab.serveWith({ limits: { readAheadAfterMs: 20 } }, { door });
  const raw = new RawHttp(url).send("POST /p HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n");
  await started.promise;
  const before = await memory();
  raw.send("1\r\na\r\n".repeat(CHUNKS));
  await expect.poll(() => raw.socket.writableLength, { timeout: 20_000 }).toBe(0);
  expect((await memory()) - before).toBeLessThan(20 * CHUNKS);
  raw.send("0\r\n\r\n");
  goOn.resolve();
  const [answer] = await raw.answers();
  expect(answer).toMatchObject({ status: 200, body: String(CHUNKS + 1) });
  raw.close();
}, 30_000);
