/** `deploy` and `plan` in code and by REST, on a real instance; by the command line: deploys.contract.ts. */
import { beforeAll, describe, expect, test } from "vitest";
import { defineApp } from "../../src/index.ts";
import type { Status } from "../../src/model/status.ts";
import type { Model } from "../fixtures/apps/model.ts";
import shop, { other } from "../fixtures/apps/shop.ts";
import { expectRefusal, maitred } from "../harness/command.ts";
import { fixture } from "../harness/echo.ts";
import { expectError } from "../harness/expect-error.ts";
import { writeFlowers } from "../harness/flowers-file.ts";
import { type Started, useLab } from "../harness/lab.ts";
import { rest } from "../harness/rest.ts";

const lab = useLab("file");
const MODEL = fixture("apps/model.ts").href;
/** Replicas start and end beside the machine's other tests. */
const STEP_MS = 40_000;

let instance: Started;
beforeAll(async () => {
  instance = await lab().start();
}, 60_000);

const status = (): Promise<Status> => instance.status();

test(
  "a deploy that waits no longer than told exits 3, and its deploy goes on",
  async () => {
    const args = ["deploy", writeFlowers(lab(), { version: "new", numReplicas: 2 }), "--goal", "slow-deploy"];
    expectRefusal(await maitred([...args, "--timeout", "1ms"]), { status: 3, code: "goal-pending" });
    expect((await maitred(["goal", "wait", "slow-deploy", "--timeout", "30s"])).status).toBe(0);
    expect((await maitred([...args, "--no-wait", "--json"])).json()).toMatchObject({ id: "slow-deploy" });
  },
  STEP_MS,
);

describe("an app in a program", () => {
  test(
    "is planned, deployed and called through handles that it types",
    async () => {
      const { client } = instance;
      const planned = await client.plan(shop);
      expect(planned.map(({ action, target }) => `${action} ${target}`).slice(0, 3)).toEqual([
        "create backend s1",
        "create backend s2",
        "create endpoint shop",
      ]);
      expect(await client.deploy(shop, { goalId: "shop" })).toMatchObject({ id: "shop", state: "reached" });
      expect(await client.deploy(shop, { goalId: "shop" })).toMatchObject({ id: "shop", state: "reached" });
      expect(await client.getHandle<typeof Model>("shop").describe()).toMatchObject({ model: "one" });
      expect(await client.plan(shop)).toEqual([]);
      const { backends, endpoints } = await status();
      expect(backends.find(({ tag }) => tag === "s1")).toMatchObject({ app: "shop" });
      expect(endpoints.find(({ tag }) => tag === "shop")).toMatchObject({ app: "shop" });
    },
    STEP_MS,
  );

  test("must be its file's default export, and made in a file", async () => {
    const { client } = instance;
    const error = await expectError(client.deploy(other), "app-invalid");
    expect(error.message).toContain("it is not that file's default export");
    const here = defineApp({ backends: { a: { run: () => "a" } }, endpoints: {} });
    await expectError(client.plan(here), "app-invalid");
    await expectError(client.deploy({} as never), "app-invalid");
  });
});

describe("REST", () => {
  const body = (numReplicas: unknown) => ({
    backends: { only: { module: MODEL, export: "Model", args: ["rest"], config: { numReplicas } } },
    endpoints: { only: { route: "/only", backend: "only" } },
  });

  test(
    "takes an app in one PUT, and plans of any call",
    async () => {
      const put = await rest(instance, "/v1/apps/resty", { method: "PUT", body: body(1) });
      expect(put).toMatchObject({ status: 202 });
      const { id } = put.json<{ id: string }>();
      expect((await rest(instance, `/v1/goals/${id}?waitMs=20000`)).json()).toMatchObject({ state: "reached" });
      const plan = async (call: object) => {
        const answer = await rest(instance, "/v1/plan", { method: "POST", body: call });
        expect(answer).toMatchObject({ status: 200 });
        return answer.json<{ action: string; target: string }[]>().map(({ action, target }) => `${action} ${target}`);
      };
      const before = JSON.stringify((await status()).endpoints);
      expect(await plan({ kind: "deploy", app: "resty", ...body(2) })).toEqual([
        "update backend only",
        expect.stringMatching(/^start replica only#/),
        "publish endpoint only",
      ]);
      expect(await plan({ kind: "deleteEndpoint", tag: "only" })).toEqual([
        "delete endpoint only",
        "withdraw endpoint only",
      ]);
      expect(await plan({ kind: "setTraffic", tag: "only", weights: { only: 1 } })).toEqual([]);
      expect(JSON.stringify((await status()).endpoints)).toBe(before);
      const refused = await rest(instance, "/v1/plan", {
        method: "POST",
        body: { kind: "deleteBackend", tag: "only" },
      });
      expect(refused.json()).toMatchObject({ status: 409, code: "backend-in-use" });
    },
    STEP_MS,
  );

  test("names the path of what is wrong in an app", async () => {
    const answer = await rest(instance, "/v1/apps/resty", { method: "PUT", body: body("2") });
    expect(answer.json<{ detail: string }>().detail).toContain(
      'app "resty": backends.only.config.numReplicas must be a number, got "2" (string): remove the quotes.',
    );
  });

  test("explains whatever has a name, and knows the nearest name of what has none", async () => {
    const explain = async (target: string) => {
      const answer = await rest(instance, `/v1/explain/${encodeURIComponent(target)}`);
      expect(answer).toMatchObject({ status: 200 });
      return answer.json<{ target: string; reason: string; timestamp: string }[]>();
    };
    const { processes } = await status();
    const names = ["only", "resty", ...processes.map(({ name }) => name)];
    for (const name of names) {
      const told = await explain(name);
      expect(told.length).toBeGreaterThan(0);
      for (const { reason, timestamp } of told) {
        expect(reason).toMatch(/\S/);
        expect(new Date(timestamp).toISOString()).toBe(timestamp);
      }
    }
    const unknown = await rest(instance, "/v1/explain/onyl");
    expect(unknown.json()).toMatchObject({ status: 404, code: "target-unknown" });
    expect(unknown.json<{ detail: string }>().detail).toContain('Did you mean "only"?');
  });

  test("refuses a tag of another app, and names its owner", async () => {
    const answer = await rest(instance, "/v1/apps/thief", { method: "PUT", body: body(1) });
    expect(answer.json()).toMatchObject({ status: 409, code: "tag-owned" });
    expect(answer.json<{ detail: string }>().detail).toContain('backends.only: this tag belongs to the app "resty".');
  });
});
