/** Loading user code: what a start goes through, what loaded code offers, and how a failed start is told. */
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { MODULE, ReplicaLab, type ReplicaWish } from "../../tests/harness/replica-lab.ts";
import { httpHead, resultOf, textOf } from "../../tests/harness/wire-client.ts";
import { backend, batch, type CallerFactory, defineApp, failedCall, getHandle, ref } from "../api/api.ts";
import { ServeError } from "../base/serve-error.ts";
import type { BackendTag } from "../model/ids.ts";
import { targetOf } from "../target/target.ts";
import { reconfigure } from "./load-target.ts";

const lab = new ReplicaLab();
afterEach(() => lab.close());
afterAll(() => lab.remove());

const never = () => new Promise<never>(() => {});

async function startError(wish: ReplicaWish) {
  const started = await lab.start(wish);
  expect(await started.exited).toBe(1);
  expect(started.link.last?.state).toBe("starting");
  return started.link.last?.error;
}

describe("start", () => {
  test("a class goes through constructor, start and reconfigure, in this order, before it is ready", async () => {
    const life: unknown[] = [];
    class Iris {
      constructor(...args: unknown[]) {
        life.push(["constructor", ...args]);
      }
      async start() {
        await new Promise((resolve) => setImmediate(resolve));
        life.push("start");
      }
      async reconfigure(config: unknown) {
        await new Promise((resolve) => setImmediate(resolve));
        life.push(["reconfigure", config]);
      }
      predict() {}
    }
    const started = await lab.start({
      exports: { Iris },
      code: { export: "Iris", args: ["v1.onnx", { threads: 2 }] },
      config: { userConfig: { threshold: 0.5 } },
    });
    expect(life).toEqual([["constructor", "v1.onnx", { threads: 2 }], "start", ["reconfigure", { threshold: 0.5 }]]);
    expect(started.link.reports.map(({ state }) => state)).toEqual(["starting", "ready"]);
    expect(started.link.last).toEqual({
      state: "ready",
      address: started.address,
      configRevision: 1,
      error: undefined,
      offers: { door: undefined, methods: ["predict"], batches: expect.any(Boolean) },
      health: "healthy",
    });
  });

  test("a userConfig that is not given is not delivered, a falsy one is", async () => {
    const seen: unknown[] = [];
    class A {
      reconfigure(config: unknown) {
        seen.push(config);
      }
      call() {}
    }
    await lab.start({ exports: { default: A } });
    expect(seen).toEqual([]);
    await lab.start({ exports: { default: A }, config: { userConfig: 0 } });
    expect(seen).toEqual([0]);
  });

  test("null is no userConfig to code that takes none, at its start and in an update", async () => {
    await lab.start({ exports: { default: () => 1 }, config: { userConfig: null } });
    const plain = targetOf(() => 1);
    await expect(reconfigure(plain, "b:v1" as BackendTag, null)).resolves.toBeUndefined();
    await expect(reconfigure(plain, "b:v1" as BackendTag, 0)).rejects.toThrow("set userConfig to null");
  });

  class Base {
    inherited() {}
    overridden() {}
  }
  class Full extends Base {
    field = () => 1;
    predict = batch(async (rows: number[]) => rows);
    model = 3;
    Nested = class {};
    override overridden = 1 as never;
    call() {}
    fetch() {}
    start() {}
    close() {}
    checkHealth() {}
    _private() {}
    #hidden() {}
    get lazy(): () => void {
      throw new Error("a getter was called");
    }
    method() {
      this.#hidden();
    }
  }

  test.each<readonly [string, unknown, object]>([
    ["a function", () => 1, { door: "function", methods: [] }],
    ["a class", Full, { door: "call", methods: ["field", "inherited", "method", "predict"], batches: true }],
    ["an object with fetch", { fetch: () => new Response() }, { door: "fetch", methods: [] }],
    ["an object", { a: () => 1, b: 2, toString: () => "x" }, { door: undefined, methods: ["a"] }],
    ["an object without prototype", Object.assign(Object.create(null), { a: () => 1 }), { methods: ["a"] }],
  ])("%s offers its door and its methods, and nothing else", async (_name, value, offers) => {
    const started = await lab.start({ exports: { default: value } });
    expect(started.link.last?.offers).toMatchObject(offers);
  });

  test("a whole module offers its functions", async () => {
    const exports = { score: (n: number) => n + 1, limits: {}, Model: class {}, call: () => "door", close: () => {} };
    const started = await lab.start({ exports, code: { export: "*" } });
    expect(started.link.last?.offers).toMatchObject({ door: "call", methods: ["score"] });
    const client = await started.connect();
    expect(resultOf(await client.call("score", 1))).toBe(2);
    expect(textOf(await client.send(httpHead()).answer)).toBe("door");
  });

  test("methods keep their `this`", async () => {
    class Counter {
      #count = 0;
      add(n: number) {
        this.#count += n;
        return this.#count;
      }
    }
    const client = await (await lab.start({ exports: { default: Counter } })).connect();
    await client.call("add", 2);
    expect(resultOf(await client.call("add", 3))).toBe(5);
  });

  test("a ref among the arguments arrives as a handle, and getHandle works in the code", async () => {
    const calls: unknown[] = [];
    const callers: CallerFactory = (endpoint) => ({
      callMethod: (method, args) => {
        calls.push([endpoint, method, ...args]);
        return failedCall(new ServeError("queue-full", "full"));
      },
      callDoor: () => failedCall(new ServeError("queue-full", "full")),
      fetch: () => Promise.reject(new ServeError("queue-full", "full")),
    });
    type Embedder = { embed(text: string): Promise<number> };
    class Search {
      readonly embed: Embedder;
      constructor(embed: Embedder) {
        this.embed = embed;
      }
      async call() {
        await this.embed.embed("a").catch(() => {});
        await getHandle("rank")
          .invoke("rank", ["b"])
          .catch(() => {});
        return calls;
      }
    }
    const started = await lab.start({
      exports: { default: Search },
      code: { args: [{ $endpoint: ref("embed").$endpoint }] },
      callers,
    });
    const client = await started.connect();
    expect(JSON.parse(textOf(await client.send(httpHead()).answer))).toEqual([
      ["embed", "embed", "a"],
      ["rank", "rank", "b"],
    ]);
  });

  describe("of a backend of an app", () => {
    class Iris {
      readonly #path: string;
      constructor(path: string) {
        this.#path = path;
      }
      call() {
        return this.#path;
      }
    }
    const app = defineApp({
      backends: {
        "iris:v1": { run: Iris, args: ["v1.onnx"] },
        echo: { run: (request: { method: string }) => request.method },
        lazy: { run: backend<typeof Iris>({ module: new URL(MODULE), export: "Iris", args: ["lazy.onnx"] }) },
      },
      endpoints: {},
    });
    const code = (tag: string) => ({ kind: "app", module: MODULE, backend: tag as BackendTag, args: [] }) as const;

    test.each([
      ["iris:v1", "v1.onnx"],
      ["echo", "GET"],
      ["lazy", "lazy.onnx"],
    ])("%s", async (tag, expected) => {
      const started = await lab.start({ exports: { default: app, Iris }, code: code(tag) });
      expect(textOf(await (await started.connect()).send(httpHead()).answer)).toBe(expected);
    });

    test("a tag that the file has not is named with those that it has", async () => {
      expect(await startError({ exports: { default: app }, code: code("iris:v2") })).toMatchObject({
        code: "export-not-found",
        message:
          'app file /srv/app.ts has no backend "iris:v2"; it has "iris:v1", "echo", "lazy". Did you mean "iris:v1"?',
      });
    });

    test("a file that exports no app any more says so", async () => {
      expect(await startError({ exports: { default: () => 1 }, code: code("iris:v1") })).toMatchObject({
        code: "app-invalid",
      });
    });
  });
});

describe("a start that fails is reported with the user's own message, and the process ends with 1", () => {
  const boom = () => {
    throw new Error("no GPU");
  };
  test.each<readonly [string, ReplicaWish, string, RegExp]>([
    [
      "constructor",
      {
        exports: {
          default: class {
            constructor() {
              boom();
            }
          },
        },
      },
      "start-failed",
      /^backend "b:v1": the constructor of default threw: no GPU \(\/.*load-target\.test\.ts:\d+:\d+\)$/,
    ],
    [
      "start",
      { exports: { default: { start: async () => boom(), call() {} } } },
      "start-failed",
      /^backend "b:v1": start\(\) threw: no GPU \(\/.*load-target\.test\.ts:\d+:\d+\)$/,
    ],
    [
      "reconfigure",
      { exports: { default: { reconfigure: boom, call() {} } }, config: { userConfig: 1 } },
      "start-failed",
      /^backend "b:v1": reconfigure\(\) threw: no GPU \(\/.*load-target\.test\.ts:\d+:\d+\)$/,
    ],
    [
      "a userConfig that nobody takes",
      { exports: { default: () => 1 }, config: { userConfig: 1 } },
      "start-failed",
      /no reconfigure\(\)/,
    ],
    [
      "a start that never ends",
      { exports: { default: { start: never, call() {} } }, config: { startTimeoutMs: 20 } },
      "start-timeout",
      /not ready within 20 ms/,
    ],
    [
      "an import that never ends",
      { exports: never, config: { startTimeoutMs: 20 } },
      "start-timeout",
      /not ready within 20 ms/,
    ],
    [
      "an import that fails",
      {
        exports: async () => {
          throw new ServeError("module-syntax", "module /srv/app.ts does not compile: x.");
        },
      },
      "module-syntax",
      /^module \/srv/,
    ],
    [
      "a missing export",
      { exports: { Iris: class {}, helper: 1 }, code: { export: "Irsi" } },
      "export-not-found",
      /has no export "Irsi"; it exports "Iris", "helper"\. Did you mean "Iris"\?$/,
    ],
    ["no default export", { exports: { a: 1 } }, "export-not-found", /has no default export; it exports "a"\.$/],
    ["a number", { exports: { default: 3 } }, "target-invalid", /export "default" is a number/],
    ["null", { exports: { default: null } }, "target-invalid", /is null/],
    ["a promise", { exports: { default: Promise.resolve(1) } }, "target-invalid", /is a promise/],
    [
      "an object without anything",
      { exports: { default: {} } },
      "target-invalid",
      /without call\(\), fetch\(\) or any method/,
    ],
    ["an app", { exports: { default: defineApp({ backends: {}, endpoints: {} }) } }, "target-invalid", /is an app/],
    [
      "arguments for a function",
      { exports: { default: () => 1 }, code: { args: [1] } },
      "target-invalid",
      /args are for the constructor/,
    ],
  ])("%s", async (_name, wish, code, message) => {
    expect(await startError(wish)).toMatchObject({ code, message: expect.stringMatching(message) });
  });

  test("an exception that no code awaits, while it starts", async () => {
    const loading = Promise.withResolvers<never>();
    const starting = lab.start({ exports: () => loading.promise });
    const started = lab.latest();
    await started.replica.crash(new Error("later"));
    expect(await started.exited).toBe(1);
    expect(started.link.last?.error).toMatchObject({ code: "start-failed", message: expect.stringContaining("later") });
    loading.reject(new Error("never mind"));
    await starting;
  });
});
