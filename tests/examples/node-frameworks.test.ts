/** docs/recipes/node-frameworks.md: frameworks with `fetch` as they are, those of Node's `(req, res)` by the adapter that is printed there. */
import { readFileSync } from "node:fs";
import { type LocalAppServer, startLocal } from "maitred/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { defineApp } from "../../src/index.ts";
import { express, Fastified, hono, left } from "../fixtures/apps/frameworks.ts";
import { ask } from "../harness/http.ts";
import { useLab } from "../harness/lab.ts";
import { waitFor } from "../harness/wait-for.ts";
import { serveFile } from "./serve-file.ts";

const DEADLINE_MS = 10_000;
const lab = useLab("file");

test("the recipe prints the adapter as it is", () => {
  const recipe = readFileSync("docs/recipes/node-frameworks.md", "utf8");
  const blocks = [...recipe.matchAll(/```ts\n(.*?)```/gs)].map(([, code]) => code!.trim());
  for (const file of ["fetch-of.ts", "fastify.ts"]) {
    const source = readFileSync(`examples/node-frameworks/${file}`, "utf8");
    expect(blocks).toContain(source.replace(/^\/\*\*.*?\*\/\n/s, "").trim());
  }
});

test("a Fastify app is run as a file", async () => {
  const { url } = await serveFile(lab(), "examples/node-frameworks/fastify.ts");
  expect(await ask(`${url}/menu/monday`)).toMatchObject({ status: 200, text: '{"day":"monday","dish":"soup"}' });
  const ordered = await ask(`${url}/orders`, { body: { dish: "soup" } });
  expect(ordered).toMatchObject({ status: 201, text: '{"ordered":{"dish":"soup"}}' });
  expect((await ask(`${url}/nothing`)).json()).toMatchObject({ message: "Route GET:/nothing not found" });
});

const APPS = { hono, fastify: Fastified, node: express } as const;

describe.each(Object.keys(APPS) as (keyof typeof APPS)[])("%s behind a wildcard route", (name) => {
  const app = () =>
    defineApp({
      backends: { web: { run: APPS[name] as typeof hono } },
      endpoints: {
        web: { backend: "web", route: "/api/*" },
        stripped: { backend: "web", route: "/shop/*", stripPrefix: true },
      },
    });
  let server: LocalAppServer<ReturnType<typeof app>>;
  const api = (path: string, init?: RequestInit) => fetch(`${server.url}/api${path}`, init);

  beforeAll(async () => {
    server = await startLocal(app());
  });
  afterAll(() => server.close());

  test("sees method, path, query, headers and body as they were sent, and chooses the status", async () => {
    const response = await api("/echo?q=1", { method: "PUT", body: "é", headers: { "x-test": "yes" } });
    expect(response.status).toBe(201);
    expect(await response.json()).toEqual({ method: "PUT", path: "/api/echo", q: "1", header: "yes", body: "é" });
  });

  test("sees the path without its prefix where the endpoint says so", async () => {
    const response = await fetch(`${server.url}/shop/api/echo`);
    expect(await response.json()).toMatchObject({ method: "GET", path: "/api/echo", body: "" });
  });

  test("is reached by handle.fetch too", async () => {
    const response = await server.handle("web").fetch("/api/echo?q=2", { method: "POST", body: "x" });
    expect(await response.json()).toMatchObject({ method: "POST", q: "2", body: "x" });
  });

  test("sets several cookies, and answers without a body", async () => {
    const response = await api("/cookies");
    expect([response.status, response.headers.getSetCookie(), await response.text()]).toEqual([
      204,
      ["a=1", "b=2"],
      "",
    ]);
  });

  test("streams its answer, and hears when its client leaves", async () => {
    const before = left.length;
    const response = await api("/ticks");
    const reader = response.body!.getReader();
    expect(Buffer.from((await reader.read()).value!).toString()).toMatch(/^tick /);
    await reader.read(); // another part, while the answer goes on
    await reader.cancel();
    await waitFor("it heard", () => left.slice(before).includes(name), DEADLINE_MS);
  });

  test("reads a large request as it comes", async () => {
    const part = new Uint8Array(64 * 1024);
    let sent = 0;
    const body = new ReadableStream({
      pull(controller) {
        if (sent === 100 * part.length) controller.close();
        else {
          controller.enqueue(part);
          sent += part.length;
        }
      },
    });
    const response = await api("/count", { method: "POST", body, duplex: "half", headers: { "content-type": "x/y" } });
    expect([response.status, await response.text()]).toEqual([200, String(100 * part.length)]);
  });

  test("answers before it has read what is sent", async () => {
    const answer = await ask(`${server.url}/api/refuse`, { body: "x".repeat(1_000_000), method: "POST" });
    expect(answer).toMatchObject({ status: 413, text: "too much" });
  });

  test("has its own answers for what it does not know, and for what it throws", async () => {
    expect((await api("/nothing")).status).toBe(404);
    expect((await api("/throws")).status).toBe(500);
  });
});
