import { afterEach, describe, expect, test, vi } from "vitest";
import { context, currentQuery, runWithContext } from "./context.ts";
import { QueryContext } from "./query-context.ts";

const replica = { instance: "flowers", backendTag: "iris:v1", replicaTag: "iris:v1#7" };
const trace = { traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", tracestate: "vendor=1" };
const query = { requestId: "r-1", endpoint: "iris", deadline: 1234.5, shardKey: "user-7", isShadow: false, trace };
const newQuery = () => new QueryContext(replica, query);

/** Counts what is made from here to the end of the test. */
const countAbortControllers = () => {
  const made = { count: 0 };
  class Counted extends AbortController {
    constructor() {
      super();
      made.count += 1;
    }
  }
  vi.stubGlobal("AbortController", Counted);
  return made;
};
afterEach(() => {
  vi.unstubAllGlobals();
});

describe("context()", () => {
  test("outside a handler throws a sentence that says where it works", () => {
    expect(context).toThrow(
      expect.objectContaining({ code: "no-context", message: expect.stringContaining("outside a handler") }),
    );
    expect(currentQuery()).toBeUndefined();
  });

  test("tells of the query, in the handler and after its awaits", async () => {
    const one = newQuery();
    await runWithContext(one, async () => {
      expect(context()).toBe(one);
      await new Promise((resolve) => setImmediate(resolve));
      expect(context()).toMatchObject({ ...replica, ...query });
      expect(currentQuery()).toBe(one);
    });
    expect(currentQuery()).toBeUndefined();
  });

  test("keeps queries that run side by side apart", async () => {
    const handler = async (id: string) => {
      await new Promise((resolve) => setImmediate(resolve));
      return `${id}=${context().requestId}`;
    };
    const answers = ["a", "b", "c"].map((id) =>
      runWithContext(new QueryContext(replica, { ...query, requestId: id }), () => handler(id)),
    );
    expect(await Promise.all(answers)).toEqual(["a=a", "b=b", "c=c"]);
  });

  test("is the caller's again once the handler has returned or thrown, also when one query runs inside another", () => {
    const [outer, inner] = [newQuery(), newQuery()];
    runWithContext(outer, () => {
      runWithContext(inner, () => expect(context()).toBe(inner));
      expect(context()).toBe(outer);
      const failing = () =>
        runWithContext(inner, () => {
          throw new Error("handler");
        });
      expect(failing).toThrow("handler");
      expect(context()).toBe(outer);
    });
    expect(currentQuery()).toBeUndefined();
  });

  test("works in a generator whose items are pulled as part of the query", async () => {
    const generate = async function* () {
      yield context().requestId;
    };
    const items = runWithContext(newQuery(), generate);
    expect(await runWithContext(newQuery(), () => items.next())).toEqual({ done: false, value: "r-1" });
  });
});

describe("a query's context", () => {
  test("makes no AbortController until somebody asks for the signal", () => {
    const made = countAbortControllers();
    const one = newQuery();
    one.onCancel({ queryCancelled: () => {} });
    one.cancel("gone");
    expect(made.count).toBe(0);
    expect(one.signal.aborted).toBe(true);
    expect(made.count).toBe(1);
  });

  test("aborts a signal that was asked for before, with the first reason", () => {
    const one = newQuery();
    const { signal } = one;
    expect(signal.aborted).toBe(false);
    one.cancel("the caller left");
    one.cancel("later");
    expect(signal.reason).toBe("the caller left");
    expect(one.signal).toBe(signal);
    expect(one).toMatchObject({ isCancelled: true, cancelReason: "the caller left" });
  });

  test("tells each listener once, but not those that stopped listening", () => {
    const one = newQuery();
    const told: string[] = [];
    const listeners = ["a", "b", "c", "d"].map((name) => ({
      queryCancelled: (reason: unknown) => told.push(`${name}: ${String(reason)}`),
    }));
    for (const listener of listeners) one.onCancel(listener);
    one.onCancel(listeners[0]!);
    one.offCancel(listeners[0]!);
    one.offCancel(listeners[2]!);
    one.cancel("gone");
    one.cancel("again");
    expect(told).toEqual(["b: gone", "d: gone"]);
  });

  test("shows its facts as JSON", () => {
    const { trace: _, ...facts } = query;
    expect(JSON.parse(JSON.stringify(newQuery()))).toEqual({ ...replica, ...facts, ...trace });
  });
});
