/** Handles: in a program that is connected to an instance, and in replicas that ask other backends. */
import { beforeAll, describe, expect, test } from "vitest";
import { backend, backendFrom, type Client, ref } from "../../src/index.ts";
import type { Front } from "../fixtures/apps/front.ts";
import type { Model } from "../fixtures/apps/model.ts";
import { fixture } from "../harness/echo.ts";
import { expectError } from "../harness/expect-error.ts";
import { ask } from "../harness/http.ts";
import { type Started, type StartInLab, useLab } from "../harness/lab.ts";

export const describeHandles = (options: Pick<StartInLab, "env">): void => {
  const lab = useLab("file");
  let instance: Started;
  let client: Client;

  beforeAll(async () => {
    instance = await lab().start({ env: options.env });
    ({ client } = instance);
    const model = backendFrom<typeof import("../fixtures/apps/model.ts")>();
    const code = model({ module: fixture("apps/model.ts"), export: "Model", args: ["m", {}] });
    await client.createBackend("models", code, { numReplicas: 2 });
    await client.createEndpoint("models", { route: "/models", backend: "models" });
  }, 60_000);

  describe("in a program", () => {
    test("methods take plain arguments and answer values", async () => {
      const models = client.getHandle<typeof Model>("models");
      expect(await models.shout("fish")).toBe("hello FISH");
      expect(await models.describe()).toMatchObject({ model: "m", isShadow: false });
    });

    test("the door takes what a request carries", async () => {
      const models = client.getHandle<typeof Model>("models");
      expect(await models({ any: "body" }, { query: { waitMs: "10" } })).toMatchObject({ model: "m" });
    });

    test("calls are spread over the replicas", async () => {
      const models = client.getHandle<typeof Model>("models");
      const pids = await Promise.all(Array.from({ length: 60 }, () => models.pid()));
      expect(new Set(pids).size).toBe(2);
    });

    test("an HttpError arrives as it was thrown, any other throw without its words and stack", async () => {
      const models = client.getHandle<typeof Model>("models");
      expect(await expectError(models.refuse("short and stout"), "http-error")).toMatchObject({
        status: 418,
        detail: "short and stout",
      });
      const error = await expectError(models.fail(), "handler-failed");
      expect(`${error.message} ${JSON.stringify(error.details)}`).not.toMatch(/model\.ts:\d+/);
    });

    test("a deadline ends the call with 504's code, an aborted signal cancels it", async () => {
      const models = client.getHandle<typeof Model>("models");
      const slow = { query: { waitMs: "5000" } };
      await expectError(models.options({ timeoutMs: 200 })(undefined, slow), "deadline-exceeded");
      const signal = AbortSignal.timeout(200);
      await expect(models.options({ signal })(undefined, slow)).rejects.toThrow();
    });

    test("a handle without a type calls by name; unknown and unreachable names are refused", async () => {
      const models = client.getHandle("models");
      expect(await models.invoke("shout", ["fish"])).toBe("hello FISH");
      await expectError(Promise.resolve(models.invoke("shuot", ["fish"])), "method-unknown");
      await expectError(
        Promise.resolve().then(() => models.invoke("constructor")),
        "method-not-reachable",
      );
    });

    test("a name that no endpoint can have is refused at once, and the handles of others are not the worse for it", async () => {
      const fresh = await lab().connect(instance.name);
      for (const name of ["", "two words", "__proto__", 5 as unknown as string]) {
        await expectError(
          Promise.resolve().then(() => fresh.getHandle(name).options({ timeoutMs: 1_500 }).invoke("shout", ["fish"])),
          "tag-invalid",
        );
      }
      expect(await fresh.getHandle<typeof Model>("models").shout("fish")).toBe("hello FISH");
    });

    test("an unknown endpoint is waited for until the deadline", async () => {
      await client.status(); // a controller is there to say so
      const nobody = client.getHandle("nobody").options({ timeoutMs: 1_500 });
      await expectError(Promise.resolve(nobody.invoke("shout", ["fish"])), "endpoint-unknown");
    });

    test("an endpoint that appears while a call waits is used", async () => {
      const call = client.getHandle<typeof Model>("later").shout("fish");
      await client.createEndpoint("later", { backend: "models" });
      expect(await call).toBe("hello FISH");
    });

    test("a handle follows traffic: once setTraffic resolves, no call goes the old way", async () => {
      const handle = client.getHandle<typeof Model>("models");
      await handle.pid();
      const other = backend<typeof Model>({ module: fixture("apps/model.ts"), export: "Model", args: ["other"] });
      await client.createBackend("other", other);
      await client.setTraffic("models", { other: 1 });
      const answers = await Promise.all(Array.from({ length: 20 }, () => handle.describe()));
      expect(new Set(answers.map((answer) => answer.model))).toEqual(new Set(["other"]));
      await client.setTraffic("models", { models: 1 });
      expect(await handle.describe()).toMatchObject({ model: "m" });
    });
  });

  test("in a replica: a handle as constructor argument and one by name", async () => {
    const front = backend<typeof Front>({
      module: fixture("apps/front.ts"),
      export: "Front",
      args: [ref<typeof Model>("models")],
    });
    await client.createBackend("front", front);
    await client.createEndpoint("front", { route: "/front", backend: "front" });
    const answer = await ask(`${instance.url}/front`, { body: { text: "fish" } });
    expect(answer).toMatchObject({ status: 200 });
    expect(answer.json()).toEqual({ byArgument: "hello FISH", byName: "hello FISH" });
  });
};
