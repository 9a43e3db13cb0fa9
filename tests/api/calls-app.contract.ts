/** What an app of several backends does for the calls into it: doors, HTTP, backends that call each other, slots. */
import { describe, expect, test } from "vitest";
import { type Handle, ServeError } from "../../src/index.ts";
import type { Calls, Deep, greet, Outer, web } from "../fixtures/apps/calls.ts";
import { expectError } from "../harness/expect-error.ts";
import { waitFor } from "../harness/wait-for.ts";
import { noted } from "./calls.contract.ts";

const DEADLINE_MS = 10_000;

export interface CallsApp {
  readonly calls: Handle<typeof Calls>;
  /** Its `inner` is a `ref` to calls, its module level another handle. */
  readonly outer: Handle<typeof Outer>;
  /** Its `outer` is a `ref` to outer: the first of three levels. */
  readonly deep: Handle<typeof Deep>;
  readonly greet: Handle<typeof greet>;
  readonly web: Handle<typeof web>;
  /** A `Calls` that runs one query at a time, three wait, the fifth is refused. */
  readonly single: Handle<typeof Calls>;
  /** Where it answers: `/calls` (exposes `paired`), `/brief` (the same backend, 300 ms), `/deep`, `/single`, `/web/*`. */
  readonly url: string;
}

export const describeCallsApp = (open: () => CallsApp): void => {
  test("a function is its own door", async () => {
    expect(await open().greet({ name: "Ada" }, { query: { table: "seven" } })).toBe("hello Ada at seven");
  });

  test("an object with fetch answers Requests, through its handle and over HTTP", async () => {
    const response = await open().web.fetch("/menu?day=1", { method: "POST", body: "soup" });
    expect([response.status, await response.json()]).toEqual([
      201,
      { method: "POST", pathname: "/menu", search: "?day=1", body: "soup" },
    ]);
    const overHttp = await fetch(`${open().url}/web/menu?day=2`);
    expect([overHttp.status, await overHttp.json()]).toEqual([
      201,
      { method: "GET", pathname: "/web/menu", search: "?day=2", body: "" },
    ]);
  });

  test("HTTP has its own words for the same door: JSON, problems, 404", async () => {
    const { url } = open();
    const answer = await fetch(`${url}/calls`, { method: "POST", body: JSON.stringify({ name: "Ada" }) });
    expect(await answer.json()).toMatchObject({ body: { name: "Ada" }, method: "POST", path: "/calls" });
    const refused = await fetch(`${url}/calls`, { method: "POST", body: "{" });
    expect([refused.status, refused.headers.get("content-type")]).toEqual([400, "application/problem+json"]);
    expect((await fetch(`${url}/nowhere`)).status).toBe(404);
  });

  describe("three backends deep", () => {
    const stopped = (name: string) =>
      waitFor(
        `${name} was told to stop`,
        async () => (await open().calls.notes()).find((note) => note.startsWith(`${name} stopped: `)),
        DEADLINE_MS,
      );

    test("handles lead to the same app, by ref and at module level; all is one request, and its time is what is left of it", async () => {
      const { deep, outer, ref, module } = await open().deep.options({ timeoutMs: 5_000 }).facts();
      expect([outer, ref.requestId, module.requestId]).toEqual([deep, deep, deep]);
      expect([ref.endpoint, module.endpoint]).toEqual(["calls", "calls"]);
      for (const { leftMs } of [ref, module]) expect(leftMs).toBeLessThan(5_000);
    });

    test("errors come through as they were thrown", async () => {
      expect(
        await open()
          .deep.throws("http")
          .then(undefined, (error: unknown) => error),
      ).toMatchObject({ status: 409 });
      expect((await expectError(open().deep.throws("serve"), "app-specific")).details).toEqual({ free: 0 });
      expect((await expectError(open().deep.throws("error"), "handler-failed")).message).toContain("a bug");
    });

    test("a stream flows through, and its reader's leaving reaches the innermost generator", async () => {
      const before = (await open().calls.notes()).filter((note) => note === "count ended").length;
      const seen: number[] = [];
      for await (const i of open().deep.count(1_000)) {
        seen.push(i);
        if (i === 21) break;
      }
      expect(seen).toEqual([11, 21]);
      const ended = async () => (await open().calls.notes()).filter((note) => note === "count ended").length;
      await waitFor("the generator ended", async () => (await ended()) > before, DEADLINE_MS);
    });

    test("a deadline holds for everything below, however long the calls there would wait", async () => {
      const call = open().deep.options({ timeoutMs: 300 }).hangLong("deadline");
      await expectError(call, "deadline-exceeded");
      await stopped("deadline");
    });

    test("cancelling the outermost call cancels the innermost", async () => {
      const stop = new AbortController();
      const call = open().deep.options({ signal: stop.signal }).hang("cancelled");
      await noted(open().calls, "cancelled began");
      stop.abort();
      await expectError(call, "query-cancelled");
      expect(await stopped("cancelled")).toBe("cancelled stopped: query-cancelled");
    });

    test("an HTTP client that leaves cancels the innermost", async () => {
      const stop = new AbortController();
      const body = JSON.stringify({ name: "left" });
      const left = fetch(`${open().url}/deep`, { method: "POST", body, signal: stop.signal }).catch(() => "left");
      await noted(open().calls, "left began");
      stop.abort();
      expect(await left).toBe("left");
      expect(await stopped("left")).toBe("left stopped: query-cancelled");
    });
  });

  describe("an HTTP client", () => {
    const post = (path: string, body: unknown, init: RequestInit = {}) =>
      fetch(`${open().url}${path}`, { method: "POST", body: JSON.stringify(body), ...init });

    test("that leaves in the middle of an event stream ends the generator", async () => {
      const before = (await open().calls.notes()).filter((note) => note === "count ended").length;
      const response = await post("/calls", { name: "s", op: "stream" });
      expect(response.headers.get("content-type")).toBe("text/event-stream");
      const reader = response.body!.getReader();
      expect(Buffer.from((await reader.read()).value!).toString()).toMatch(/^data: 1\n\n/);
      await reader.cancel();
      const ended = async () => (await open().calls.notes()).filter((note) => note === "count ended").length;
      await waitFor("the generator ended", async () => (await ended()) > before, DEADLINE_MS);
    });

    test("whose time is over gets 504, and the handler is told", async () => {
      const response = await post("/brief", { name: "brief", op: "hang" });
      expect([response.status, await response.json()]).toMatchObject([504, { code: "deadline-exceeded" }]);
      await waitFor(
        "it was told",
        async () => (await open().calls.notes()).some((n) => n.startsWith("brief stopped")),
        DEADLINE_MS,
      );
    });

    test("that leaves frees its slot at once", async () => {
      const stop = new AbortController();
      const left = post("/single", { name: "slot", op: "hang" }, { signal: stop.signal }).catch(() => "left");
      const next = post("/single", { name: "next" });
      stop.abort();
      expect(await left).toBe("left");
      expect((await next).status).toBe(200);
    });

    test("that leaves before its batch starts leaves the batch", async () => {
      const headers = { "x-serve-call-method": "paired" };
      const stop = new AbortController();
      const left = post("/calls", "gone", { headers, signal: stop.signal }).catch(() => "left");
      await noted(open().calls, "gone waits");
      stop.abort();
      expect(await left).toBe("left");
      await noted(open().calls, "gone left");
      const answers = await Promise.all(["b", "c"].map((item) => post("/calls", item, { headers })));
      expect(
        (await Promise.all(answers.map((answer) => answer.json()))).map((items) => (items as string[]).sort()),
      ).toEqual([
        ["b", "c"],
        ["b", "c"],
      ]);
    });
  });

  test("maxConcurrentQueries holds, the queue is bounded, and what waits is answered", async () => {
    const { single } = open();
    const results = await Promise.allSettled(Array.from({ length: 5 }, () => single.slow(50)));
    const answered = results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
    const refused = results.flatMap((result) => (result.status === "rejected" ? [result.reason as ServeError] : []));
    expect(answered).toEqual([1, 1, 1, 1]);
    expect(refused.map(({ code, retryable }) => [code, retryable])).toEqual([["queue-full", true]]);
  });

  test("a slot is free as soon as its call is cancelled, although the handler goes on", async () => {
    const { single } = open();
    const stop = new AbortController();
    const first = single.options({ signal: stop.signal }).slow(60_000);
    const second = single.notes();
    stop.abort();
    await expectError(first, "query-cancelled");
    expect(await second).toContain("started");
  });

  test("ServeErrors are recognised by their class", async () => {
    await expect(open().outer.throws("serve")).rejects.toBeInstanceOf(ServeError);
  });
};
