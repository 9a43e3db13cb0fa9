/**
 * What a call through a handle does, wherever its code runs: in an instance, in an app of `startLocal`, behind a `localHandle`. Each runs
 * the same suites.
 */
import { describe, expect, test } from "vitest";
import { type Handle, HttpError, ServeError } from "../../src/index.ts";
import type { Calls, Deep, greet, Outer, web } from "../fixtures/apps/calls.ts";
import { expectError } from "../harness/expect-error.ts";
import { waitFor } from "../harness/wait-for.ts";

const DEADLINE_MS = 10_000;

const noted = (calls: Handle<typeof Calls>, note: string) =>
  waitFor(`the note "${note}"`, async () => (await calls.notes()).includes(note), DEADLINE_MS);

/** @param open the handle of Calls, one replica with `userConfig: { factor: 3 }`. */
export const describeCalls = (open: () => Handle<typeof Calls>): void => {
  describe("values", () => {
    test("cross by the codec: what is there arrives as it was", async () => {
      const value = {
        ...{ text: "é", none: null, absent: undefined, big: 2n ** 70n, at: new Date(0), zero: -0 },
        ...{ map: new Map([["a", new Set([1])]]), row: new Float32Array([1, 2]), bytes: new Uint8Array([1, 2, 3]) },
      };
      expect(await open().echo(value)).toEqual(value);
      expect(await open().nothing()).toBeUndefined();
    });

    test("are copies: neither side sees what the other does to its own", async () => {
      const sent = { list: [1] };
      const back = open().echo(sent);
      sent.list.push(2);
      expect(await back).toEqual({ list: [1] });
      (await open().kept()).list.push(4);
      expect(await open().kept()).toEqual({ list: [1, 2, 3] });
    });

    test("that cannot cross are refused with their path, as arguments and as results", async () => {
      const argument = await expectError(
        open().echo({ rows: [{ fn: () => 1 }] }) as Promise<unknown>,
        "value-unsupported",
      );
      expect(argument.message).toContain("value[0].rows[0].fn is a function");
      const result = await expectError(open().unsendable(), "result-invalid");
      expect(result.message).toContain("value.nested[0] is a function");
    });

    test("a Response is a Response", async () => {
      const response = await open().response();
      expect(response).toBeInstanceOf(Response);
      expect([response.status, response.headers.get("x-kind"), await response.text()]).toEqual([418, "pot", "tea"]);
    });

    test("the door gets what a request carries", async () => {
      const send = { method: "PUT", query: { a: "1" }, headers: { "X-Test": "yes" } };
      const answer = await open()({ name: "Ada" }, send);
      expect(answer).toEqual({ body: { name: "Ada" }, method: "PUT", path: "/", query: { a: "1" }, header: "yes" });
    });

    test("the life of the class has gone before: start, and reconfigure with its userConfig", async () => {
      expect(await open().notes()).toContain("started");
      expect(await open().scaled(2)).toBe(6);
    });
  });

  describe("errors", () => {
    test("are ServeErrors: an HttpError itself, a ServeError with its code, anything else handler-failed without a stack", async () => {
      const http = await open()
        .throws("http")
        .then(undefined, (error: unknown) => error);
      expect(http).toBeInstanceOf(HttpError);
      expect(http).toMatchObject({ status: 409, detail: "taken" });
      expect((await expectError(open().throws("serve"), "app-specific")).details).toEqual({ free: 0 });
      const bug = await expectError(open().throws("error"), "handler-failed");
      expect(bug.message).toContain("a bug");
      expect(`${bug.message}${JSON.stringify(bug.details)}`).not.toMatch(/calls\.ts/);
      expect(bug.cause).toBeUndefined();
      expect((await expectError(open().throws("text"), "handler-failed")).message).toContain("only text");
    });

    test("names that are no methods are refused: unknown ones with a suggestion, private and life-cycle ones at once", async () => {
      const loose = open() as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>;
      const unknown = await expectError(loose["ech0"]!(), "method-unknown");
      expect(unknown.message).toContain("echo");
      for (const name of ["_hidden", "start", "reconfigure", "close", "constructor", "call"]) {
        await expectError(loose[name]!(), "method-not-reachable");
      }
    });

    test("an unknown option is refused where it is written", () => {
      expect(() => open().options({ timeout: 5 } as never)).toThrow(/unknown option "timeout".*timeoutMs/);
    });

    test("iterating one value is refused", async () => {
      const iterate = async () => {
        for await (const _ of open().echo(1) as unknown as AsyncIterable<unknown>);
      };
      await expectError(iterate(), "not-a-stream");
    });
  });

  describe("streams", () => {
    test("come part by part; break ends the generator behind", async () => {
      const seen: number[] = [];
      for await (const i of open().count(1_000)) {
        seen.push(i);
        if (i === 3) break;
      }
      expect(seen).toEqual([1, 2, 3]);
      await noted(open(), "count ended");
    });

    test("cancel ends one that is not read", async () => {
      const before = (await open().notes()).filter((note) => note === "count ended").length;
      const stream = open().count(1_000);
      for await (const _ of stream) {
        stream.cancel();
        break;
      }
      await waitFor(
        "it ended",
        async () => (await open().notes()).filter((n) => n === "count ended").length > before,
        DEADLINE_MS,
      );
    });

    test("an error in the middle comes after the parts before it", async () => {
      const seen: number[] = [];
      const read = async () => {
        for await (const i of open().breaks(2)) seen.push(i);
      };
      await expectError(read(), "http-error");
      expect(seen).toEqual([1, 2]);
    });

    test("a reader that does not read is waited for, and gets everything", async () => {
      let sum = 0;
      for await (const i of open().count(50)) {
        if (i === 1) await new Promise((resolve) => setImmediate(resolve));
        sum += i;
      }
      expect(sum).toBe(1_275);
    });
  });

  describe("batches", () => {
    test("a full batch starts at once; an Error in a slot fails that item alone", async () => {
      const results = await Promise.allSettled([1, -2, 3, 4].map((item) => open().double(item)));
      expect(results.map((result) => (result.status === "fulfilled" ? result.value : "failed"))).toEqual([
        2,
        "failed",
        6,
        8,
      ]);
      const [, failed] = results;
      expect((failed as PromiseRejectedResult).reason).toMatchObject({ code: "handler-failed" });
      expect(String((failed as PromiseRejectedResult).reason)).toContain("-2 is negative");
    });

    test("calls of one moment are handled together, those beyond the size apart", async () => {
      const batches = await Promise.all([1, 2, 3, 4].map((item) => open().together(item)));
      expect(batches.slice(0, 3)).toEqual([1, 2, 3].map(() => [1, 2, 3]));
      expect(batches[3]).toEqual([4]);
    });

    test("a wrong number of results names both numbers", async () => {
      const [first, second] = [open().short(1), open().short(2)];
      const error = await expectError(first, "batch-wrong-length");
      expect(error.message).toMatch(/got 2 items and returned 1 results/);
      await expectError(second, "batch-wrong-length");
    });

    test("a call that is cancelled before its batch starts leaves it, and its place", async () => {
      const stop = new AbortController();
      const left = open().options({ signal: stop.signal }).pairs("left");
      await open().notes(); // it is there
      stop.abort();
      await expectError(left, "query-cancelled");
      expect(await Promise.all([open().pairs("b"), open().pairs("c")])).toEqual([
        ["b", "c"],
        ["b", "c"],
      ]);
    });
  });

  describe("ends", () => {
    test("a deadline ends the call and tells the handler", async () => {
      await expectError(open().options({ timeoutMs: 150 }).hang("late"), "deadline-exceeded");
      await noted(open(), "late began");
      await waitFor(
        "it was told",
        async () => (await open().notes()).some((note) => note.startsWith("late stopped: ")),
        DEADLINE_MS,
      );
    });

    test("an AbortSignal cancels the call, keeps its reason, and tells the handler", async () => {
      const stop = new AbortController();
      const call = open().options({ signal: stop.signal }).hang("aborted");
      await noted(open(), "aborted began");
      const reason = new Error("had enough");
      stop.abort(reason);
      expect((await expectError(call, "query-cancelled")).cause).toBe(reason);
      await noted(open(), "aborted stopped: query-cancelled");
    });

    test("a signal that has aborted sends nothing", async () => {
      const call = open().options({ signal: AbortSignal.abort() }).hang("unsent");
      await expectError(call, "query-cancelled");
      expect(await open().notes()).not.toContain("unsent began");
    });

    test("context() tells of the query: its id, its key, what is left of its time", async () => {
      const facts = await open().options({ shardKey: "table-7", timeoutMs: 5_000, idempotent: true }).facts();
      expect(facts).toMatchObject({ shardKey: "table-7", isShadow: false });
      expect(facts.replicaTag).toMatch(new RegExp(`^${facts.backendTag}#\\d+$`));
      expect(facts.requestId).toMatch(/\S/);
      expect(facts.leftMs).toBeGreaterThan(0);
      expect(facts.leftMs).toBeLessThanOrEqual(5_000);
    });
  });
};

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
