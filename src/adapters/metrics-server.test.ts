import { connect } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { ask } from "../../tests/harness/http.ts";
import { RawHttp } from "../../tests/harness/raw-http.ts";
import { waitFor } from "../../tests/harness/wait-for.ts";
import { MAX_METRICS_CONNECTIONS } from "../model/limits.ts";
import type { MetricsListening } from "../ports/metrics-server.ts";
import { createMetricsServer } from "./metrics-server.ts";

const DEADLINE_MS = 5_000;
const TOKEN = "a-token";
const listening: MetricsListening[] = [];
afterEach(() => {
  for (const one of listening.splice(0)) one.close();
});

const listen = async (host: string, scrape: () => Promise<string> = async () => "text\n"): Promise<string> => {
  const one = await createMetricsServer(() => TOKEN).listen({ host, port: 0 }, scrape);
  listening.push(one);
  const name = host === "0.0.0.0" ? "127.0.0.1" : host;
  expect(one.url).toBe(`http://${name}:${one.port}/metrics`);
  return one.url;
};

test("GET and HEAD of /metrics are answered in Prometheus' own type, everything else is refused", async () => {
  const url = await listen("127.0.0.1");
  const type = "text/plain; version=0.0.4; charset=utf-8";
  expect(await ask(url)).toMatchObject({ status: 200, text: "text\n", headers: { "content-type": type } });
  expect(await ask(`${url}?format=x`)).toMatchObject({ status: 200 });
  expect(await ask(url, { method: "HEAD" })).toMatchObject({ status: 200, text: "" });
  expect(await ask(url, { method: "POST" })).toMatchObject({ status: 405, headers: { allow: "GET, HEAD" } });
  expect(await ask(url.replace("/metrics", "/"))).toMatchObject({ status: 404 });
});

describe("who may ask", () => {
  test("on loopback everybody but web pages", async () => {
    const url = await listen("localhost");
    expect(await ask(url, { headers: { host: "localhost:9464" } })).toMatchObject({ status: 200 });
    expect(await ask(url, { headers: { host: "[::1]" } })).toMatchObject({ status: 200 });
    expect(await ask(url, { headers: { host: "evil.example" } })).toMatchObject({ status: 403 });
    expect(await ask(url, { headers: { origin: "http://evil.example" } })).toMatchObject({ status: 403 });
  });

  test("beyond loopback whoever has the token, from wherever", async () => {
    const url = await listen("0.0.0.0");
    const withToken = (token: string) => ask(url, { headers: { authorization: `Bearer ${token}` } });
    expect(await ask(url)).toMatchObject({ status: 401, text: expect.stringContaining("state folder") });
    expect(await withToken("another")).toMatchObject({ status: 401 });
    expect(await withToken(`${TOKEN}x`)).toMatchObject({ status: 401 });
    expect(await withToken(TOKEN)).toMatchObject({ status: 200 });
  });
});

test("a port in use is refused with a sentence that names it", async () => {
  const { port } = new URL(await listen("127.0.0.1"));
  const again = createMetricsServer(() => TOKEN).listen({ host: "127.0.0.1", port: Number(port) }, async () => "");
  await expect(again).rejects.toMatchObject({ code: "port-in-use", message: expect.stringContaining(port) });
});

test("a scrape that fails is a 500 with its reason", async () => {
  const url = await listen("127.0.0.1", () => Promise.reject(new Error("no numbers today")));
  expect(await ask(url)).toMatchObject({ status: 500, text: "no numbers today\n" });
});

test("a scraper that does not read, and as many connections as there may be, keep nobody from scraping", async () => {
  const long = "x".repeat(50_000_000);
  const url = await listen("127.0.0.1", async () => long);
  const slow = new RawHttp(url);
  slow.socket.pause();
  slow.send("GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n");
  expect((await ask(url)).text).toHaveLength(long.length);

  const { port } = new URL(url);
  const idle = Array.from({ length: 2 * MAX_METRICS_CONNECTIONS }, () => connect(Number(port), "127.0.0.1"));
  let closed = 0;
  for (const socket of idle) {
    socket.on("error", () => {});
    socket.on("close", () => {
      closed += 1;
    });
    socket.resume();
  }
  await waitFor("those above the bound are closed", () => closed > MAX_METRICS_CONNECTIONS, DEADLINE_MS);
  slow.close();
  for (const socket of idle) socket.destroy();
  await waitFor("there is room again", async () => (await ask(url)).status === 200, DEADLINE_MS);
});
