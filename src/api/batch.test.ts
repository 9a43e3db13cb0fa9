import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type BatchContext, batch, isBatched } from "./batch.ts";
import { context, runWithContext } from "./context.ts";
import { declaresBatches, flushBatches, processRecord, setBatchOverrides } from "./process-record.ts";
import { QueryContext } from "./query-context.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setImmediate", "clearImmediate"] });
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
  setBatchOverrides({ maxBatchSize: undefined, batchWaitTimeoutMs: undefined });
});

const replica = { instance: "flowers", backendTag: "iris:v1", replicaTag: "iris:v1#1" };
const newQuery = (requestId = "r-1") =>
  new QueryContext(replica, {
    ...{ requestId, endpoint: "iris", isShadow: false },
    ...{ deadline: undefined, shardKey: undefined, trace: undefined },
  });

/** A batch function that doubles numbers and notes the batches it got. */
const doubler = (options?: { maxBatchSize?: number; batchWaitTimeoutMs?: number }) => {
  const batches: number[][] = [];
  const double = batch(async (items: number[]) => {
    batches.push([...items]);
    return items.map((item) => item * 2);
  }, options);
  return { double, batches };
};

describe("a batch starts", () => {
  test("when it is full, without waiting, and each caller gets its own result", async () => {
    const { double, batches } = doubler({ maxBatchSize: 3, batchWaitTimeoutMs: 1000 });
    expect(await Promise.all([double(1), double(2), double(3)])).toEqual([2, 4, 6]);
    expect(batches).toEqual([[1, 2, 3]]);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("when its time is over, which runs from its first item", async () => {
    const { double, batches } = doubler({ maxBatchSize: 10, batchWaitTimeoutMs: 100 });
    const first = double(1);
    await vi.advanceTimersByTimeAsync(60);
    const second = double(2);
    await vi.advanceTimersByTimeAsync(39);
    expect(batches).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect(batches).toEqual([[1, 2]]);
    expect(await Promise.all([first, second])).toEqual([2, 4]);
  });

  test("not at once when its time is longer than a timer of Node's can count", async () => {
    const { double, batches } = doubler();
    setBatchOverrides({ maxBatchSize: 2, batchWaitTimeoutMs: 3_000_000_000 });
    const first = double(1);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(batches).toEqual([]);
    expect(await Promise.all([first, double(2)])).toEqual([2, 4]);
  });

  test("anew after one has started: the next item begins its own time", async () => {
    const { double, batches } = doubler({ maxBatchSize: 2, batchWaitTimeoutMs: 100 });
    const results = [double(1), double(2), double(3)];
    expect(batches).toEqual([[1, 2]]);
    await vi.advanceTimersByTimeAsync(100);
    expect(batches).toEqual([[1, 2], [3]]);
    expect(await Promise.all(results)).toEqual([2, 4, 6]);
  });

  test("by default with what one turn of the event loop brought, ten at most", async () => {
    const { double, batches } = doubler();
    const results = Array.from({ length: 12 }, (_, i) => double(i));
    expect(batches).toEqual([[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]]);
    await vi.advanceTimersToNextTimerAsync();
    expect(batches[1]).toEqual([10, 11]);
    expect(await Promise.all(results)).toHaveLength(12);
  });

  test("beside one that still runs", async () => {
    const started: number[][] = [];
    const gate = Promise.withResolvers<void>();
    const slow = batch(
      async (items: number[]) => {
        started.push(items);
        await gate.promise;
        return items;
      },
      { maxBatchSize: 1 },
    );
    const results = [slow(1), slow(2)];
    expect(started).toEqual([[1], [2]]);
    gate.resolve();
    expect(await Promise.all(results)).toEqual([1, 2]);
  });

  test("at once when the process drains", async () => {
    const { double, batches } = doubler({ batchWaitTimeoutMs: 60_000 });
    const result = double(4);
    flushBatches("drain");
    expect(batches).toEqual([[4]]);
    expect(await result).toBe(8);
    expect(vi.getTimerCount()).toBe(0);
    expect(processRecord().waitingBatches.size).toBe(0);
  });
});

describe("what fails", () => {
  test("an Error in a slot fails that item alone", async () => {
    const check = batch(
      async (items: number[]): Promise<(number | Error)[]> =>
        items.map((item) => (item < 0 ? new RangeError(`${item} is negative`) : item)),
    );
    const results = Promise.allSettled([check(1), check(-2), check(3)]);
    await vi.advanceTimersToNextTimerAsync();
    expect(await results).toMatchObject([
      { status: "fulfilled", value: 1 },
      { status: "rejected", reason: { name: "RangeError", message: "-2 is negative" } },
      { status: "fulfilled", value: 3 },
    ]);
  });

  test.each([
    ["an async", async () => Promise.reject(new Error("model crashed"))],
    [
      "a sync",
      () => {
        throw new Error("model crashed");
      },
    ],
  ])("what %s batch function throws fails all its items with the same error", async (_, fn) => {
    const broken = batch(fn as () => Promise<number[]>, { maxBatchSize: 2 });
    const [first, second] = await Promise.allSettled([broken(1), broken(2)]);
    expect(first).toMatchObject({ status: "rejected", reason: { message: "model crashed" } });
    expect(second).toEqual(first);
  });

  test("a wrong number of results fails all items and names both numbers", async () => {
    const short = batch(async (items: number[]) => items.slice(1), { maxBatchSize: 3 });
    const results = await Promise.allSettled([short(1), short(2), short(3)]);
    for (const result of results) {
      expect(result).toMatchObject({
        status: "rejected",
        reason: { code: "batch-wrong-length", message: expect.stringContaining("got 3 items and returned 2 results") },
      });
    }
  });

  test("something else than a list is a wrong number of results", async () => {
    const nothing = batch(async () => undefined as unknown as number[], { maxBatchSize: 1 });
    await expect(nothing(1)).rejects.toMatchObject({
      code: "batch-wrong-length",
      message: expect.stringContaining("returned undefined instead of an array"),
    });
  });

  test("a failed batch does not stop the next one", async () => {
    let calls = 0;
    const flaky = batch(
      async (items: number[]) => {
        calls += 1;
        if (calls === 1) throw new Error("first");
        return items;
      },
      { maxBatchSize: 1 },
    );
    await expect(flaky(1)).rejects.toThrow("first");
    expect(await flaky(2)).toBe(2);
  });
});

describe("cancelled queries", () => {
  test("take their item out of a batch that has not started", async () => {
    const { double, batches } = doubler({ maxBatchSize: 3, batchWaitTimeoutMs: 100 });
    const query = newQuery();
    const kept = double(1);
    const left = runWithContext(query, () => double(2));
    query.cancel(new Error("the caller left"));
    await expect(left).rejects.toThrow("the caller left");
    const later = [double(3), double(4)];
    expect(await Promise.all([kept, ...later])).toEqual([2, 6, 8]);
    expect(batches).toEqual([[1, 3, 4]]);
  });

  test("leave no timer behind when nobody else waits", async () => {
    const { double, batches } = doubler({ batchWaitTimeoutMs: 100 });
    const query = newQuery();
    const left = runWithContext(query, () => double(2));
    query.cancel(new Error("gone"));
    await expect(left).rejects.toThrow("gone");
    expect(vi.getTimerCount()).toBe(0);
    expect(processRecord().waitingBatches.size).toBe(0);
    const next = double(5);
    await vi.advanceTimersByTimeAsync(100);
    expect(await next).toBe(10);
    expect(batches).toEqual([[5]]);
  });

  test("do not enter a batch at all once they are cancelled", async () => {
    const { double, batches } = doubler({ maxBatchSize: 1 });
    const query = newQuery();
    query.cancel(new Error("gone"));
    await expect(runWithContext(query, () => double(1))).rejects.toThrow("gone");
    expect(batches).toEqual([]);
  });

  test("abort the signal of their item in a batch that runs, and no other", async () => {
    let seen: BatchContext | undefined;
    const gate = Promise.withResolvers<void>();
    const slow = batch(
      async (items: number[], batchContext) => {
        seen = batchContext;
        await gate.promise;
        return items;
      },
      { maxBatchSize: 3 },
    );
    const [one, two] = [newQuery("a"), newQuery("b")];
    const results = [runWithContext(one, () => slow(1)), runWithContext(two, () => slow(2)), slow(3)];
    const { signals } = seen!;
    expect(seen!.signals).toBe(signals);
    two.cancel("gone");
    expect(signals.map((signal) => signal.aborted)).toEqual([false, true, false]);
    gate.resolve();
    expect(await Promise.all(results)).toEqual([1, 2, 3]);
  });

  test("cost no AbortController when nobody looks at a signal", async () => {
    vi.stubGlobal(
      "AbortController",
      class {
        constructor() {
          throw new Error("an AbortController was made");
        }
      },
    );
    const { double } = doubler({ maxBatchSize: 2 });
    const query = newQuery();
    const left = runWithContext(newQuery(), () => double(1));
    const kept = runWithContext(query, () => double(2));
    expect(await Promise.all([left, kept])).toEqual([2, 4]);
    query.cancel("gone");
  });
});

describe("inside a batch function", () => {
  test("context() is refused, whoever's item started the batch", async () => {
    const ask = batch(async (items: number[]) => items.map(() => context().requestId), { maxBatchSize: 1 });
    await expect(runWithContext(newQuery(), () => ask(1))).rejects.toMatchObject({
      code: "no-context",
      message: expect.stringContaining("batch function"),
    });
  });

  test("a callers' context is its own again after the batch", async () => {
    const { double } = doubler({ maxBatchSize: 2 });
    const ask = async () => {
      await double(1);
      return context().requestId;
    };
    const answers = ["a", "b"].map((id) => runWithContext(newQuery(id), ask));
    expect(await Promise.all(answers)).toEqual(["a", "b"]);
  });
});

describe("as a class member", () => {
  test("each object has batches of its own, with itself as `this`", async () => {
    class Scaler {
      readonly factor: number;
      constructor(factor: number) {
        this.factor = factor;
      }
      scale = batch(
        async function (this: Scaler, items: number[]) {
          return items.map((item) => item * this.factor);
        },
        { maxBatchSize: 2 },
      );
      shift = batch(async (items: number[]) => items.map((item) => item + this.factor), { maxBatchSize: 1 });
    }
    const [two, three] = [new Scaler(2), new Scaler(3)];
    const results = [two.scale(1), three.scale(1), two.scale(5), three.scale(5)];
    expect(await Promise.all(results)).toEqual([2, 3, 10, 15]);
    expect(await two.shift(10)).toBe(12);
  });

  test("one function shared by several objects never mixes them in a batch", async () => {
    const batches: unknown[] = [];
    const shared = batch(async function (this: { name: string }, items: number[]) {
      batches.push([this.name, ...items]);
      return items;
    });
    const [a, b] = [
      { name: "a", shared },
      { name: "b", shared },
    ];
    const results = [a.shared(1), a.shared(2), b.shared(3), a.shared(4)];
    await vi.advanceTimersToNextTimerAsync();
    expect(await Promise.all(results)).toEqual([1, 2, 3, 4]);
    expect(batches).toEqual([
      ["a", 1, 2],
      ["b", 3],
      ["a", 4],
    ]);
  });
});

describe("the backend's configuration", () => {
  test("overrides what the code declares, from the next item on", async () => {
    const { double, batches } = doubler({ maxBatchSize: 1, batchWaitTimeoutMs: 0 });
    setBatchOverrides({ maxBatchSize: 2, batchWaitTimeoutMs: 500 });
    const results = [double(1), double(2), double(3)];
    expect(batches).toEqual([[1, 2]]);
    await vi.advanceTimersByTimeAsync(499);
    expect(batches).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(batches).toEqual([[1, 2], [3]]);
    expect(await Promise.all(results)).toEqual([2, 4, 6]);
  });

  test("that changes starts what waits under the old one", async () => {
    const { double, batches } = doubler({ batchWaitTimeoutMs: 60_000 });
    const result = double(1);
    setBatchOverrides({ maxBatchSize: undefined, batchWaitTimeoutMs: 1 });
    expect(batches).toEqual([[1]]);
    expect(await result).toBe(2);
  });
});

describe("batch()", () => {
  test("marks what it makes and notes that something is batched", () => {
    const { double } = doubler();
    expect(isBatched(double)).toBe(true);
    expect(isBatched(() => {})).toBe(false);
    expect(isBatched(undefined)).toBe(false);
    expect(declaresBatches()).toBe(true);
  });

  test.each([
    [{ maxBatchSize: 0 }, /maxBatchSize must be a positive whole number, got 0 \(number\)/],
    [{ maxBatchSize: 2.5 }, /positive whole number/],
    [{ maxBatchSize: "16" }, /got "16" \(string\)/],
    [{ batchWaitTimeoutMs: -1 }, /batchWaitTimeoutMs must be a number from 0 to 2147483647/],
    [{ batchWaitTimeoutMs: Number.POSITIVE_INFINITY }, /batchWaitTimeoutMs/],
    [{ maxBatchSize: 0, batchWaitTimeoutMs: -1 }, /maxBatchSize.*batchWaitTimeoutMs/],
    [{ maxBatchsize: 4 }, /unknown option "maxBatchsize"\. Did you mean "maxBatchSize"\?/],
  ])("refuses the options %j", (options, message) => {
    const declare = () => batch((items: number[]) => items, options as object);
    expect(declare).toThrow(
      expect.objectContaining({ code: "config-invalid", message: expect.stringMatching(message) }),
    );
  });

  test("refuses what is not a function", () => {
    expect(() => batch([] as never)).toThrow(/takes a function of a list of items, got object/);
  });
});
