/** `maitred/testing` beside the contract of calls (tests/api/calls.contract.ts): what starts, what ends, and whose handles are whose. */
import { Hono } from "hono";
import { afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import itself from "../../tests/fixtures/apps/itself/app.ts";
import { spawnNode } from "../../tests/harness/command.ts";
import { expectError } from "../../tests/harness/expect-error.ts";
import { useLab } from "../../tests/harness/lab.ts";
import { waitFor } from "../../tests/harness/wait-for.ts";
import { backend, batch, context, defineApp, getHandle, type ServeRequest } from "../index.ts";
import { localHandle, startLocal } from "./testing.ts";

const DEADLINE_MS = 5_000;
const lab = useLab("test");

beforeAll(() => {
  vi.stubEnv("MAITRED_LOG_LEVEL", "silent");
});

class Counter {
  readonly life: string[] = [];
  count = 0;
  readonly #step: number;

  constructor(step = 1) {
    this.#step = step;
  }

  async start() {
    await new Promise((resolve) => setImmediate(resolve));
    this.life.push("start");
  }
  close() {
    this.life.push("close");
  }
  add() {
    this.life.push("add");
    this.count += this.#step;
    return this.count;
  }
}

class Broken {
  constructor(readonlyWhere: "constructor" | "start" = "start") {
    this.where = readonlyWhere;
    if (readonlyWhere === "constructor") throw new Error("no oven");
  }
  readonly where: string;
  start() {
    throw new Error("no gas");
  }
  bake() {
    return "bread";
  }
  fetch() {
    return new Response();
  }
}

describe("localHandle", () => {
  test("uses an object as it is: the test sees what the calls did", async () => {
    const counter = new Counter(5);
    await using handle = localHandle(counter);
    expect(await handle.add()).toBe(5);
    expect(counter.count).toBe(5);
  });

  test("starts the code once, before its first call, and closes it when disposed", async () => {
    const counter = new Counter();
    {
      await using handle = localHandle(counter);
      expect(counter.life).toEqual([]);
      await Promise.all([handle.add(), handle.add()]);
    }
    expect(counter.life).toEqual(["start", "add", "add", "close"]);
  });

  test("that was never called starts nothing and closes nothing", async () => {
    const counter = new Counter();
    await localHandle(counter)[Symbol.asyncDispose]();
    expect(counter.life).toEqual([]);
  });

  test("makes a class with its args, which must be JSON as in an instance", async () => {
    await using handle = localHandle(Counter, { args: [7] });
    expect(await handle.add()).toBe(7);
    expect(() => localHandle(Counter, { args: [1n as unknown as number] })).toThrow(/args\[0\] is a bigint/);
  });

  test("gives reconfigure its userConfig as JSON, as an instance does", async () => {
    class Configured {
      #config: unknown;
      reconfigure(config: { readonly at: unknown; readonly list: number[] }) {
        this.#config = config;
      }
      config() {
        return this.#config;
      }
    }
    const userConfig = { at: null, list: [1] };
    await using handle = localHandle(new Configured(), { config: { userConfig } });
    userConfig.list.push(2);
    expect(await handle.config()).toEqual({ at: null, list: [1] });
    const dated = { config: { userConfig: { at: new Date(0), list: [] } } };
    expect(() => localHandle(new Configured(), dated)).toThrow(/userConfig\.at is a Date/);
  });

  test("of a function calls it as a door, of a module its functions, of a fetch app its routes", async () => {
    const hello = async (request: ServeRequest<{ name: string }>) => `hello ${(await request.json()).name}`;
    expect(await localHandle(hello)({ name: "Ada" })).toBe("hello Ada");
    const scoring = await import("../../examples/composition/scoring.ts");
    expect(await localHandle(scoring).score([1, 3])).toBe(2);
    const app = new Hono().get("/menu/:day", (c) => c.text(`soup on ${c.req.param("day")}`));
    const response = await localHandle(app).fetch("/menu/monday");
    expect([response.status, await response.text()]).toEqual([200, "soup on monday"]);
  });

  test("the door reads what it is called with as a stream", async () => {
    await using handle = localHandle(async (request: ServeRequest) => {
      let bytes = 0;
      for await (const part of request.body!) bytes += part.length;
      return bytes;
    });
    expect(await handle(Buffer.from("abc"))).toBe(3);
  });

  test("of backend() imports the module", async () => {
    const module = new URL("../../examples/composition/scoring.ts", import.meta.url);
    const scoring = localHandle(
      backend<typeof import("../../examples/composition/scoring.ts")>({ module, export: "*" }),
    );
    expect(await scoring.score([2])).toBe(2);
    const nothing = localHandle(backend<{ run(): string }>({ module, export: "nothing" }));
    await expectError(nothing.run(), "export-not-found");
  });

  test("a start that fails fails the calls that wait for it, and all later ones, with its reason", async () => {
    for (const [where, words] of [
      ["constructor", /the constructor of Broken threw: no oven/],
      ["start", /start\(\) threw: no gas/],
    ] as const) {
      const handle = localHandle(Broken, { args: [where] });
      const [waiting, response] = [handle.bake(), handle.fetch("/")];
      expect((await expectError(waiting, "start-failed")).message).toMatch(words);
      await expectError(response, "start-failed");
      await expectError(handle.bake(), "start-failed");
    }
  });

  test("after it is disposed calls fail", async () => {
    const handle = localHandle(new Counter());
    await handle.add();
    const open = localHandle({ never: () => new Promise<never>(() => {}) });
    const call = open.never();
    await open[Symbol.asyncDispose]();
    await expectError(call, "no-instance");
    await handle[Symbol.asyncDispose]();
    await expectError(handle.add(), "no-instance");
  });

  test("refuses at once what could not be a backend", () => {
    expect(() => localHandle(new Counter(), { config: { numReplicas: 0 } })).toThrow(/numReplicas/);
    expect(() => localHandle(new Counter(), { config: { numReplica: 1 } as object })).toThrow(
      /did you mean "?numReplicas/i,
    );
  });

  test("keeps no process alive and leaves no file", async () => {
    const { status, stdout, stderr } = await spawnNode(["tests/fixtures/programs/local.ts"]).ended();
    expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: "Clock\ndeadline-exceeded\n0\n", stderr: "" });
    expect(lab().leftovers()).toEqual([]);
  });
});

describe("startLocal", () => {
  test("serves a single function at every path, and by its handle", async () => {
    await using app = await startLocal((request: ServeRequest) => `you asked for ${request.path}`);
    expect(await (await fetch(`${app.url}/any/path`)).text()).toBe("you asked for /any/path");
    expect(await app.handle()()).toBe("you asked for /");
  });

  test("serves an app whose file is called app.ts and holds the code", async () => {
    await using app = await startLocal(itself);
    expect(await app.handle("bell").ring()).toBe("ding");
  });

  test("close ends its HTTP, its calls and its code", async () => {
    const app = await startLocal(Counter, { args: [1] });
    await app.close();
    await app.close();
    await expect(fetch(app.url)).rejects.toThrow();
    await expectError(app.handle().add(), "no-instance");
  });

  test("rejects with the first start that fails, and closes the others", async () => {
    const counter = new Counter();
    const app = defineApp({
      backends: { good: { run: counter }, bad: { run: Broken, args: ["start"] } },
      endpoints: { good: { backend: "good" }, bad: { backend: "bad" } },
    });
    expect((await expectError(startLocal(app), "start-failed")).message).toContain('backend "bad"');
    await waitFor("the good one is closed", () => counter.life.includes("close"), DEADLINE_MS);
  });

  test("refuses what `run` refuses, in the same words, before any code runs", async () => {
    const counter = new Counter();
    const refusedBy = (endpoints: object, config: object = {}) =>
      startLocal(defineApp({ backends: { a: { run: counter, config } }, endpoints } as never) as never);
    expect((await expectError(refusedBy({ e: { backend: "b" } }), "backend-unknown")).message).toContain('"b"');
    await expectError(refusedBy({ e: { traffic: { a: 0.5 } } }), "weights-invalid");
    await expectError(refusedBy({ e: { backend: "a", route: "x" } }), "route-invalid");
    await expectError(refusedBy({ e: { backend: "a", route: "/x" }, f: { backend: "a", route: "/x" } }), "route-taken");
    await expectError(refusedBy({}, { maxBatchSize: 500 }), "config-invalid");
    expect(counter.life).toEqual([]);
  });

  test("a port that is taken is refused", async () => {
    await using first = await startLocal(() => "first");
    const port = Number(new URL(first.url).port);
    await expectError(
      startLocal(() => "second", { port }),
      "port-in-use",
    );
  });

  test("splits and shadows traffic", async () => {
    const seen: string[] = [];
    const version = (name: string) => ({
      run: () => {
        seen.push(`${name} ${context().isShadow}`);
        return name;
      },
    });
    await using app = await startLocal(
      defineApp({
        backends: { v1: version("v1"), v2: version("v2"), v3: version("v3") },
        endpoints: { e: { traffic: { v1: 0.5, v2: 0.5 }, shadows: { v3: 1 } } },
      }),
    );
    const answers = await Promise.all(Array.from({ length: 40 }, () => app.handle("e")()));
    expect(new Set(answers)).toEqual(new Set(["v1", "v2"]));
    await waitFor("every copy ran", () => seen.filter((it) => it === "v3 true").length === 40, DEADLINE_MS);
  });

  test("each backend has the batches that its configuration says", async () => {
    const together = () => ({ run: { run: batch((items: number[]) => items.map(() => items.length)) } });
    await using app = await startLocal(
      defineApp({
        backends: {
          two: { ...together(), config: { maxBatchSize: 2, batchWaitTimeoutMs: 5_000 } },
          three: { ...together(), config: { maxBatchSize: 3, batchWaitTimeoutMs: 5_000 } },
        },
        endpoints: { two: { backend: "two" }, three: { backend: "three" } },
      }),
    );
    const call = (endpoint: "two" | "three") => app.handle(endpoint).run(1);
    const two = Promise.all([call("two"), call("two")]);
    const three = Promise.all([call("three"), call("three"), call("three")]);
    expect([await two, await three]).toEqual([
      [2, 2],
      [3, 3, 3],
    ]);
  });
});

describe("handles in the code", () => {
  const who = getHandle<() => string>("who");

  /** Asks its own app from everywhere that code can be. */
  class Asker {
    #atStart: Promise<string> | undefined;
    readonly #later: Promise<string>;

    constructor() {
      this.#later = new Promise((resolve) => setTimeout(() => resolve(who().catch(() => "closed")), 1));
    }
    start() {
      this.#atStart = who();
    }
    byBatch = batch(async (items: number[]) => {
      const name = await who();
      return items.map(() => name);
    });
    async everywhere() {
      const name = who();
      return Promise.all([name, this.#atStart, this.#later, this.byBatch(1)]);
    }
    async *stream() {
      yield await who();
      yield await this.byBatch(1);
    }
  }

  const appOf = (name: string) =>
    defineApp({
      backends: { who: { run: () => name }, asker: { run: Asker } },
      endpoints: { who: { backend: "who" }, asker: { backend: "asker" } },
    });

  afterEach(() => vi.restoreAllMocks());

  test("lead to the app that the code belongs to, wherever they are called, also with several apps open", async () => {
    await using one = await startLocal(appOf("one"));
    await using two = await startLocal(appOf("two"));
    for (const [app, name] of [
      [two, "two"],
      [one, "one"],
      [two, "two"],
    ] as const) {
      expect(await app.handle("asker").everywhere()).toEqual([name, name, name, name]);
      const streamed: string[] = [];
      for await (const part of app.handle("asker").stream()) streamed.push(part);
      expect(streamed).toEqual([name, name]);
    }
  });

  test("of code that a test calls itself mean the only app that is open, and nothing when there is none or a choice", async () => {
    await expectError(who(), "no-instance");
    await using _one = await startLocal(appOf("one"));
    await using _own = localHandle(new Counter());
    expect(await who()).toBe("one");
    {
      await using _two = await startLocal(appOf("two"));
      await expectError(who(), "no-instance");
    }
    expect(await who()).toBe("one");
  });

  test("to an endpoint that the app does not have fail at once, with a suggestion", async () => {
    await using app = await startLocal(appOf("one"));
    const error = await expectError(app.handle("askr" as "asker").everywhere(), "endpoint-unknown");
    expect(error.message).toMatch(/"askr"; it has "who", "asker"\. Did you mean "asker"\?/);
    await using alone = localHandle(new Asker());
    expect((await expectError(alone.everywhere(), "endpoint-unknown")).message).toContain("startLocal()");
  });
});
