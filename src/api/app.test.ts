import { afterEach, describe, expect, test } from "vitest";
import {
  appDefinitionOf,
  backend,
  backendFrom,
  backendRefOf,
  defineApp,
  getHandle,
  isApp,
  isRef,
  ref,
  refEndpointOf,
  resolveRefs,
} from "./app.ts";
import type { Caller, CallResult } from "./caller.ts";
import { OpenCall } from "./open-call.ts";
import { installCallerFactory } from "./process-record.ts";

class Iris {
  readonly path: string;
  constructor(path: string) {
    this.path = path;
  }
  predict(row: number[]): number {
    return row.length;
  }
}
const module = new URL("./iris.ts", import.meta.url);

describe("backend()", () => {
  test("keeps where the code lies, with defaults", () => {
    const iris = backend<typeof Iris>({ module, export: "Iris", args: ["v1.onnx"] });
    expect(backendRefOf(iris)).toMatchObject({ module: module.href, export: "Iris", args: ["v1.onnx"] });
    expect(backendRefOf(backend<() => void>({ module: "./hello.ts" }))).toMatchObject({
      module: "./hello.ts",
      export: "default",
      args: [],
    });
    expect(Object.isFrozen(iris)).toBe(true);
  });

  test("is told from an object that only looks like one", () => {
    expect(backendRefOf({ module: module.href, export: "Iris", args: [] })).toBeUndefined();
    expect(backendRefOf(undefined)).toBeUndefined();
  });

  test("reports everything that is wrong with it together", () => {
    const declare = () => backend({ modul: "x", export: "", args: "v1" } as never);
    expect(declare).toThrow(expect.objectContaining({ code: "config-invalid" }));
    expect(declare).toThrow(
      /unknown key "modul"\. Did you mean "module"\?.*module must be.*export must be.*args must be/,
    );
  });

  test("backendFrom() makes the same", () => {
    const iris = backendFrom<{ Iris: typeof Iris }>()({ module, export: "Iris", args: ["a"] });
    expect(backendRefOf(iris)).toMatchObject({ module: module.href, export: "Iris", args: ["a"] });
  });
});

describe("defineApp()", () => {
  test("notes the file that called it", () => {
    const app = defineApp({ backends: { hello: { run: () => "hi" } }, endpoints: { hello: { backend: "hello" } } });
    const file = appDefinitionOf(app)?.file;
    expect([import.meta.url, import.meta.filename]).toContain(file);
  });

  test("keeps the code, arguments and configuration as they were given, and the rest frozen", () => {
    const args: [string] = ["v1.onnx"];
    const config = { numReplicas: 2 };
    const app = defineApp({
      name: "flowers",
      backends: { "iris:v1": { run: Iris, args, config } },
      endpoints: { iris: { backend: "iris:v1", route: "/iris" } },
    });
    const definition = appDefinitionOf(app)!;
    expect(definition).toMatchObject({ name: "flowers", endpoints: { iris: { backend: "iris:v1", route: "/iris" } } });
    expect(definition.backends["iris:v1"]?.run).toBe(Iris);
    expect(definition.backends["iris:v1"]?.args).toBe(args);
    expect(definition.backends["iris:v1"]?.config).toBe(config);
    for (const part of [app, app.backends, app.backends["iris:v1"], app.endpoints, app.endpoints.iris]) {
      expect(Object.isFrozen(part)).toBe(true);
    }
    expect(Object.isFrozen(Iris)).toBe(false);
    expect(Object.isFrozen(config)).toBe(false);
    expect(isApp(app)).toBe(true);
    expect(isApp({ ...definition })).toBe(false);
  });

  test.each([
    [{ endpoints: {} }, /"backends" must be an object/],
    [{ backends: {}, endpoints: 3 }, /"endpoints" must be an object of tag → entry, got number/],
    [{ backends: { a: null }, endpoints: {} }, /"a" in "backends" must be an object/],
    [{ backends: { a: { run: undefined } }, endpoints: {} }, /backend "a" has no `run`.*is an import of it undefined/],
    [
      { backends: { a: { run: Iris, arg: [] } }, endpoints: {} },
      /backend "a" has an unknown key "arg"\. Did you mean "args"\?/,
    ],
    [
      { backends: { a: { run: Iris, nodeArgs: [] } }, endpoints: {} },
      /backend "a" has an unknown key "nodeArgs"\. It belongs in config: \{ nodeArgs: … \}\./,
    ],
    [{ backends: {}, endpoints: {}, nane: "x" }, /the app has an unknown key "nane"\. Did you mean "name"\?/],
  ])("refuses %j with a sentence", (app, message) => {
    expect(() => defineApp(app as never)).toThrow(
      expect.objectContaining({ code: "app-invalid", message: expect.stringMatching(message) }),
    );
  });
});

describe("ref()", () => {
  test("stands for a handle among constructor arguments, in memory and as JSON", () => {
    const embed = ref<typeof Iris>("embed");
    expect(refEndpointOf(embed)).toBe("embed");
    expect(refEndpointOf(JSON.parse(JSON.stringify(embed)))).toBe("embed");
    expect(refEndpointOf({ $ref: "embed" })).toBe("embed");
    for (const value of [null, "embed", {}, [], { $endpoint: 3 }, { $endpoint: "embed", more: 1 }]) {
      expect(isRef(value)).toBe(false);
    }
  });

  test("is replaced by the handle, everything else stays as it is", () => {
    const options = { threads: 2 };
    const [handle, topK, other] = resolveRefs([{ $ref: "embed" }, 3, options]);
    expect(typeof handle).toBe("function");
    expect(topK).toBe(3);
    expect(other).toBe(options);
  });

  test.each(["", "a/b", 7 as unknown as string])("refuses %j as a tag", (tag) => {
    expect(() => ref(tag)).toThrow(expect.objectContaining({ code: "tag-invalid" }));
    expect(() => getHandle(tag)).toThrow(expect.objectContaining({ code: "tag-invalid" }));
  });
});

describe("getHandle()", () => {
  afterEach(() => installCallerFactory(undefined));

  const callerOf = (name: string): Caller => ({
    callMethod: (method, args) => answer(`${name}.${method}(${args.join()})`),
    callDoor: (body) => answer(`${name}(${String(body)})`),
    fetch: async (request) => new Response(`${name} ${request.url}`),
  });
  const answer = (value: unknown): CallResult => {
    const open = new OpenCall(() => {});
    open.resolve(value);
    return open.result;
  };

  test("is made before the process is connected, and works from then on", async () => {
    const iris = getHandle<typeof Iris>("iris");
    await expect(iris.predict([1])).rejects.toMatchObject({
      code: "no-instance",
      message: expect.stringContaining('client.getHandle("iris")'),
    });
    installCallerFactory(callerOf);
    expect(await iris.predict([1, 2])).toBe("iris.predict(1,2)");
    expect(await getHandle("iris").invoke("predict", [3])).toBe("iris.predict(3)");
  });

  test("answers every kind of call with the same error while the process is not connected", async () => {
    const hello = getHandle<() => string>("hello");
    const api = getHandle<{ fetch(request: Request): Response }>("api");
    await expect(hello()).rejects.toMatchObject({ code: "no-instance" });
    await expect(api.fetch("/")).rejects.toMatchObject({ code: "no-instance" });
  });

  test("asks for its caller once, and again when another is installed", async () => {
    let asked = 0;
    installCallerFactory((endpoint) => {
      asked += 1;
      return callerOf(endpoint);
    });
    const hello = getHandle<() => string>("hello");
    expect(asked).toBe(0);
    await hello();
    await hello();
    expect(asked).toBe(1);
    installCallerFactory((endpoint) => callerOf(`new ${endpoint}`));
    expect(await hello()).toBe("new hello(undefined)");
    installCallerFactory(undefined);
    await expect(hello()).rejects.toMatchObject({ code: "no-instance" });
  });
});
