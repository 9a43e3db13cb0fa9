/**
 * What a call through a handle does, wherever its code runs: in an instance, in an app of `startLocal`, behind a `localHandle`. Each runs
 * the same suites.
 */
import { describe, expect, test } from "vitest";
import { type Handle, HttpError } from "../../src/index.ts";
import type { Calls } from "../fixtures/apps/calls.ts";
import { expectError } from "../harness/expect-error.ts";
import { waitFor } from "../harness/wait-for.ts";

const DEADLINE_MS = 10_000;

export const noted = (calls: Handle<typeof Calls>, note: string) =>
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
