import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import type { Caller, CallResult } from "./caller.ts";
import { createHandle } from "./handle.ts";
import type { CallOptions, Send } from "./handle-types.ts";
import { failedCall, OpenCall } from "./open-call.ts";
import type { ServeRequest } from "./request-types.ts";

/** Notes each call and answers with what it got. */
class EchoCaller implements Caller {
  readonly calls: unknown[] = [];

  callMethod(method: string, args: readonly unknown[], options: CallOptions): CallResult {
    return this.#answer({ method, args, options });
  }
  callDoor(body: unknown, send: Send, options: CallOptions): CallResult {
    return this.#answer({ body, send, options });
  }
  async fetch(request: Request, options: CallOptions): Promise<Response> {
    this.calls.push({ fetch: request.url, options });
    return new Response(`${request.method} ${request.url}`, { headers: request.headers });
  }

  #answer(call: unknown): CallResult {
    this.calls.push(call);
    const open = new OpenCall(() => {});
    open.resolve(call);
    return open.result;
  }
}

class Iris {
  predict(row: number[]): unknown {
    return row;
  }
  async *explain(row: number[]): AsyncGenerator<number> {
    yield* row;
  }
  call(request: ServeRequest<{ row: number[] }>): unknown {
    return request.json();
  }
}

const newHandle = () => {
  const caller = new EchoCaller();
  return { caller, iris: createHandle<typeof Iris>("iris", caller), untyped: createHandle("iris", caller) };
};

describe("a handle", () => {
  test("turns a method into a call with its arguments", async () => {
    const { iris } = newHandle();
    expect(await iris.predict([1, 2])).toEqual({ method: "predict", args: [[1, 2]], options: {} });
  });

  test("is its own door, which takes a body and what is sent beside it", async () => {
    const { iris, caller } = newHandle();
    expect(await iris({ row: [1] }, { query: { k: "v" } })).toEqual({
      body: { row: [1] },
      send: { query: { k: "v" } },
      options: {},
    });
    await createHandle<(request: ServeRequest) => string>("hello", caller)();
    expect(caller.calls.at(-1)).toEqual({ body: undefined, send: {}, options: {} });
  });

  test("keeps the options it was given, merges further ones, and leaves the handle it came from alone", async () => {
    const { iris, caller } = newHandle();
    const patient = iris.options({ timeoutMs: 200, shardKey: "user-7" });
    await patient.options({ timeoutMs: 500, idempotent: true }).predict([1]);
    await patient({ row: [] });
    await iris.predict([2]);
    expect(caller.calls).toMatchObject([
      { options: { timeoutMs: 500, shardKey: "user-7", idempotent: true } },
      { options: { timeoutMs: 200, shardKey: "user-7" } },
      { options: {} },
    ]);
  });

  test.each([
    [{ timeoutMS: 5 }, /unknown option "timeoutMS"\. Did you mean "timeoutMs"\?/],
    [{ timeoutMs: 0 }, /timeoutMs must be a number above 0/],
    [{ timeoutMs: "5" }, /timeoutMs/],
    [{ timeoutMs: Number.NaN }, /timeoutMs/],
    [{ shardKey: 7 }, /shardKey must be a string, got 7 \(number\)/],
    [{ shardKey: null }, /shardKey must be a string/],
    [{ signal: {} }, /signal must be an AbortSignal/],
    [{ idempotent: "no" }, /idempotent must be true or false, got "no" \(string\)/],
  ])("refuses the options %j where they are written", (options, message) => {
    const { iris } = newHandle();
    expect(() => iris.options(options as CallOptions)).toThrow(
      expect.objectContaining({ code: "config-invalid", message: expect.stringMatching(message) }),
    );
  });

  test("without a type calls methods by name", async () => {
    const { untyped } = newHandle();
    expect(await untyped.options({ timeoutMs: 9 }).invoke("predict", [[1]], { shardKey: "a" })).toEqual({
      method: "predict",
      args: [[1]],
      options: { timeoutMs: 9, shardKey: "a" },
    });
    await expect(untyped.invoke("predict", "row" as never)).rejects.toMatchObject({ code: "config-invalid" });
  });

  test("with a fetch door takes what fetch takes; a path is enough", async () => {
    const { caller } = newHandle();
    const api = createHandle<{ fetch(request: Request): Response }>("api", caller);
    expect(await (await api.fetch("/api/flower?x=1")).text()).toBe("GET http://localhost/api/flower?x=1");
    const posted = await api.fetch(new URL("https://example.com/a"), { method: "PUT", headers: { "x-a": "1" } });
    expect(await posted.text()).toBe("PUT https://example.com/a");
    expect(posted.headers.get("x-a")).toBe("1");
    const request = new Request("http://h/b", { method: "POST", body: "hi" });
    expect(await (await api.options({ timeoutMs: 7 }).fetch(request)).text()).toBe("POST http://h/b");
    expect(caller.calls.at(-1)).toEqual({ fetch: "http://h/b", options: { timeoutMs: 7 } });
    await expect(api.fetch("http://")).rejects.toBeInstanceOf(TypeError);
  });

  test.each(["constructor", "start", "close", "reconfigure", "checkHealth", "call", "_private", "__proto"])(
    "has no way to %s",
    async (name) => {
      const { iris, untyped, caller } = newHandle();
      const method = (iris as unknown as Record<string, () => Promise<unknown>>)[name]!;
      const refused = { code: "method-not-reachable", message: expect.stringContaining(`"${name}"`) };
      await expect(method()).rejects.toMatchObject(refused);
      await expect(untyped.invoke(name)).rejects.toMatchObject(refused);
      expect(caller.calls).toEqual([]);
    },
  );

  test("can be awaited, printed, compared and put into JSON without making a call", async () => {
    const { iris, caller } = newHandle();
    expect(await iris).toBe(iris);
    expect(await Promise.resolve(iris)).toBe(iris);
    expect(inspect(iris)).toContain("Function");
    expect(String(iris)).toContain("function");
    expect(JSON.stringify({ iris })).toBe("{}");
    expect(typeof iris).toBe("function");
    expect(iris).not.toEqual(newHandle().untyped.options({ timeoutMs: 1 }));
    expect(caller.calls).toEqual([]);
  });

  test("cannot be changed", () => {
    const { iris } = newHandle();
    expect(() => {
      (iris as unknown as Record<string, unknown>)["predict"] = 1;
    }).toThrow(TypeError);
  });
});

describe("a call", () => {
  /** Unhandled rejections from here on, once the ones that would come have come. */
  const unhandledDuring = async (run: () => unknown): Promise<unknown[]> => {
    const seen: unknown[] = [];
    const note = (reason: unknown) => seen.push(reason);
    const others = process.listeners("unhandledRejection");
    process.removeAllListeners("unhandledRejection");
    process.on("unhandledRejection", note);
    try {
      await run();
      // Node reports them after the microtasks of the turn in which they were rejected.
      await new Promise((resolve) => setImmediate(resolve));
      await new Promise((resolve) => setImmediate(resolve));
    } finally {
      process.off("unhandledRejection", note);
      for (const other of others) process.on("unhandledRejection", other);
    }
    return seen;
  };

  const counting = async function* (upTo: number) {
    for (let i = 1; i <= upTo; i += 1) yield i;
  };

  test("whose result is a stream is iterated without an await", async () => {
    const open = new OpenCall(() => {});
    setImmediate(() => open.resolve(counting(3)));
    const items: unknown[] = [];
    for await (const item of open.result) items.push(item);
    expect(items).toEqual([1, 2, 3]);
  });

  test("gives the stream itself when it is awaited", async () => {
    const open = new OpenCall(() => {});
    open.resolve(counting(2));
    const items: unknown[] = [];
    for await (const item of (await open.result) as AsyncIterable<unknown>) items.push(item);
    expect(items).toEqual([1, 2]);
  });

  test("keeps the order of items that are asked for before the first one came", async () => {
    const open = new OpenCall(() => {});
    const iterator = open.result[Symbol.asyncIterator]();
    const items = [iterator.next(), iterator.next(), iterator.next()];
    open.resolve(counting(2));
    expect(await Promise.all(items)).toEqual([
      { done: false, value: 1 },
      { done: false, value: 2 },
      { done: true, value: undefined },
    ]);
  });

  test("ends its stream when the loop breaks off", async () => {
    let ended = false;
    const stream = (async function* () {
      try {
        yield* counting(10);
      } finally {
        ended = true;
      }
    })();
    const open = new OpenCall(() => {});
    open.resolve(stream);
    for await (const item of open.result) if (item === 2) break;
    expect(ended).toBe(true);
  });

  test("is cancelled when its iterator is given up before there is a stream", async () => {
    const reasons: unknown[] = [];
    const open = new OpenCall((reason) => reasons.push(reason));
    const iterator = open.result[Symbol.asyncIterator]();
    expect(await iterator.return?.()).toEqual({ done: true, value: undefined });
    expect(reasons).toEqual([undefined]);
    expect(await iterator.next()).toEqual({ done: true, value: undefined });
  });

  test("passes on the reason it is cancelled for", () => {
    const reasons: unknown[] = [];
    new OpenCall((reason) => reasons.push(reason)).result.cancel("enough");
    expect(reasons).toEqual(["enough"]);
  });

  test("whose result is one value says so to a loop", async () => {
    const open = new OpenCall(() => {});
    open.resolve([1, 2]);
    const loop = async () => {
      for await (const item of open.result) void item;
    };
    await expect(loop()).rejects.toMatchObject({ code: "not-a-stream", message: expect.stringContaining("await") });
  });

  test("that fails rejects its await and its loop, and nothing else", async () => {
    const seen = await unhandledDuring(async () => {
      const loop = async () => {
        for await (const item of failedCall(new Error("lost"))) void item;
      };
      await expect(loop()).rejects.toThrow("lost");
      await expect(failedCall(new Error("lost"))).rejects.toThrow("lost");
    });
    expect(seen).toEqual([]);
  });

  test("that fails and that nobody awaits does not end the process", async () => {
    const seen = await unhandledDuring(() => {
      const open = new OpenCall(() => open.reject(new Error("cancelled")));
      open.result.cancel();
      void failedCall(new Error("no one looks"));
    });
    expect(seen).toEqual([]);
  });

  test("whose promise was forked is reported as any promise is", async () => {
    const seen = await unhandledDuring(() => {
      void failedCall(new Error("mine")).then(() => {});
    });
    expect(seen).toMatchObject([{ message: "mine" }]);
  });
});
