/** `deploy` and `plan` of app files on a real instance, by the command line, the client library and REST. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { defineApp } from "../../src/index.ts";
import type { Status } from "../../src/model/status.ts";
import type { Model } from "../fixtures/apps/model.ts";
import shop, { other } from "../fixtures/apps/shop.ts";
import { settled } from "../harness/census.ts";
import { expectRefusal, maitred } from "../harness/command.ts";
import { fixture } from "../harness/echo.ts";
import { expectError } from "../harness/expect-error.ts";
import { ask } from "../harness/http.ts";
import { type Started, useLab } from "../harness/lab.ts";
import { rest } from "../harness/rest.ts";

const lab = useLab("file");
const MAITRED = new URL("../../src/index.ts", import.meta.url).href;
const MODEL = fixture("apps/model.ts").href;
/** Replicas start and end with the machine's other tests. */
const STEP_MS = 40_000;

let instance: Started;
beforeAll(async () => {
  instance = await lab().start();
}, 60_000);

const status = (): Promise<Status> => instance.status();
const backend = async (tag: string) => (await status()).backends.find((it) => it.tag === tag);
const pids = async (tag: string) =>
  (await settled(lab(), instance)).processes.filter(({ name }) => name.startsWith(`${tag}#`)).map(({ pid }) => pid);

interface File {
  readonly version: string;
  readonly numReplicas?: number;
  /** Of which `v1` gets the rest. */
  readonly v2?: number;
  readonly failsAt?: string;
}

/** Writes the app file of the `flowers` app anew, and answers its path. */
const flowers = ({ version, numReplicas = 2, v2 = 0, failsAt }: File): string => {
  const path = join(lab().folder("apps"), "flowers.ts");
  const args = JSON.stringify([version, failsAt === undefined ? {} : { failsAt }]);
  writeFileSync(
    path,
    `import { backend, defineApp } from ${JSON.stringify(MAITRED)};
const module = ${JSON.stringify(MODEL)};
export default defineApp({
  backends: {
    v1: { run: backend({ module, export: "Model", args: ${args} }), config: { numReplicas: ${numReplicas} } },
    v2: { run: backend({ module, export: "Model", args: ["two"] }) },
  },
  endpoints: { flowers: { route: "/flowers", traffic: { v1: ${1 - v2}, v2: ${v2} } } },
});\n`,
  );
  return path;
};

describe("an app file", () => {
  test(
    "is planned, then deployed, and is nothing to do the second time",
    async () => {
      const file = flowers({ version: "one" });
      const planned = await maitred(["plan", file]);
      expect(planned).toMatchObject({ status: 0, stderr: "" });
      for (const line of [/create backend +v1 +it is new and wants 2 replicas/, /start replica +v1#\d+ /]) {
        expect(planned.stdout).toMatch(line);
      }
      expect((await status()).backends).toEqual([]);

      const deployed = await maitred(["deploy", file]);
      expect(deployed).toMatchObject({ status: 0, stderr: "" });
      expect(deployed.stdout).toMatch(/^deployed flowers goal \w+\n/);
      expect(deployed.stdout).toMatch(/created +backend v1\n +created +backend v2\n +created +endpoint flowers\n$/);
      expect((await ask(`${instance.url}/flowers`)).json()).toMatchObject({ model: "one" });
      expect(await backend("v1")).toMatchObject({ replicas: { wanted: 2, running: 2 } });

      expect((await maitred(["plan", file])).stdout).toMatch(/^nothing to do/);
      const again = await maitred(["deploy", file, "--json"]);
      expect(again.json()).toMatchObject({ state: "reached", changes: [] });
      expect((await maitred(["goal", "list"])).stdout).not.toContain("#");
    },
    STEP_MS,
  );

  test(
    "keeps what was changed by hand where the file says the same as before",
    async () => {
      await maitred(["traffic", "set", "flowers", "v1=90%", "v2=10%"]);
      await maitred(["backend", "scale", "v2", "2"]);
      const done = await maitred(["deploy", flowers({ version: "one", numReplicas: 1 }), "--json"]);
      expect(done.json()).toMatchObject({ changes: [{ change: "update", part: { kind: "backend", tag: "v1" } }] });
      expect((await status()).endpoints[0]?.traffic).toEqual({ v1: 0.9, v2: 0.1 });
      expect([await backend("v1"), await backend("v2")]).toMatchObject([
        { replicas: { running: 1 } },
        { replicas: { running: 2 } },
      ]);
    },
    STEP_MS,
  );

  test(
    "with code that fails leaves the old replicas serving, and says why; the file before it rolls forward",
    async () => {
      const before = await pids("v1");
      const failed = await maitred(["deploy", flowers({ version: "bad", numReplicas: 1, failsAt: "start" })]);
      expect(expectRefusal(failed, { status: 1, code: "goal-failed" })).toContain("bad has no weights");
      expect(await pids("v1")).toEqual(expect.arrayContaining(before));
      const answers = await Promise.all(Array.from({ length: 20 }, () => ask(`${instance.url}/flowers`)));
      expect(new Set(answers.map((answer) => `${answer.status} ${answer.json<{ model: string }>().model}`))).toSatisfy(
        (seen: Set<string>) => seen.has("200 one") && [...seen].every((it) => /^200 (one|two)$/.test(it)),
      );
      const explained = await maitred(["explain", "v1"]);
      expect(explained.stdout).toContain("the roll-out stopped");

      const back = await maitred(["deploy", flowers({ version: "one", numReplicas: 1 })]);
      expect(back).toMatchObject({ status: 0, stderr: "" });
      const after = await pids("v1");
      expect(after).toHaveLength(1);
      expect(after).not.toEqual(before);
    },
    STEP_MS,
  );

  test(
    "that waits no longer than told exits 3, and its deploy goes on",
    async () => {
      const args = ["deploy", flowers({ version: "new", numReplicas: 2 }), "--goal", "slow-deploy"];
      expectRefusal(await maitred([...args, "--timeout", "1ms"]), { status: 3, code: "goal-pending" });
      expect((await maitred(["goal", "wait", "slow-deploy", "--timeout", "30s"])).status).toBe(0);
      expect((await maitred([...args, "--no-wait", "--json"])).json()).toMatchObject({ id: "slow-deploy" });
    },
    STEP_MS,
  );
});

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

  test("refuses a tag of another app, and names its owner", async () => {
    const answer = await rest(instance, "/v1/apps/thief", { method: "PUT", body: body(1) });
    expect(answer.json()).toMatchObject({ status: 409, code: "tag-owned" });
    expect(answer.json<{ detail: string }>().detail).toContain('backends.only: this tag belongs to the app "resty".');
  });
});
