/** A backend whose newest version cannot start answers with the one that ran, also when nothing of that is left running: on a real instance. */
import { expect, test } from "vitest";
import { CodeFolder } from "../harness/code-folder.ts";
import { maitred } from "../harness/command.ts";
import { expectError } from "../harness/expect-error.ts";
import { ask } from "../harness/http.ts";
import { type Started, useLab } from "../harness/lab.ts";
import { rest } from "../harness/rest.ts";
import { waitFor } from "../harness/wait-for.ts";

const lab = useLab("test");
const DEADLINE_MS = 30_000;

const deploy = async (instance: Started, folder: CodeFolder, goalId: string) => {
  const config = { maxStartAttempts: 1, numReplicas: 2 };
  const body = {
    backends: { app: { module: folder.url("app.ts"), export: "App", config } },
    endpoints: { app: { route: "/app", backend: "app" } },
  };
  const answer = await rest(instance, "/v1/apps/app", { method: "PUT", body, headers: { "idempotency-key": goalId } });
  expect(answer.status).toBe(202);
  return instance.client.waitForGoal(goalId);
};

test("after a failed roll-out, a stop and a start bring back the version that ran; a mended one then replaces it", async () => {
  const instance = await lab().start();
  const app = (body: string) => ({ "app.ts": `export class App { ${body} }` });
  const folder = new CodeFolder({ "package.json": '{ "type": "module" }' }, lab().folder("app"));
  folder.write(app('call(): string { return "1"; }'));
  await deploy(instance, folder, "first");
  folder.write(app('constructor() { throw new Error("no weights"); } call(): string { return "2"; }'));
  await expectError(deploy(instance, folder, "second"), "goal-failed");

  const named = ["--instance", instance.name] as const;
  expect(await maitred(["stop", ...named])).toMatchObject({ status: 0 });
  expect(
    lab()
      .leftovers()
      .filter((left) => left.startsWith("process")),
  ).toEqual([]);
  const started = await maitred(["start", ...named, "--port", "0", "--json"]);
  const [url] = started.json<{ urls: readonly [string] }>().urls;
  const read = async () => (await ask(`${url}/app`).catch(() => undefined))?.text;
  await waitFor("the endpoint answers with the old version", async () => (await read()) === "1", DEADLINE_MS);

  const client = await lab().connect(instance.name);
  const seen = async () => (await client.status()).backends.find(({ tag }) => tag === "app");
  await waitFor("both replicas run", async () => (await seen())?.replicas.running === 2, DEADLINE_MS);
  const reason =
    /the roll-out stopped: .*no weights.* 2 of 2 replicas run the version before it \(code \w{8}, configuration 1\)/;
  await waitFor("status says so", async () => reason.test((await seen())?.reason ?? ""), DEADLINE_MS);
  const told = (await client.explain("app")).map((it) => it.reason);
  expect(told.some((it) => reason.test(it))).toBe(true);

  folder.write(app('call(): string { return "3"; }'));
  await deploy({ ...instance, client }, folder, "third");
  expect(await read()).toBe("3");
  expect(await seen()).not.toHaveProperty("reason");
}, 90_000);

test("a replica that ends after its userConfig was refused is back at its first start, with the one that it had", async () => {
  const instance = await lab().start();
  const { client } = instance;
  const code = `export class App {
    reconfigure(word: unknown): void { if (word === "bad") throw new Error("no such word"); }
    call(): number { return process.pid; }
  }`;
  const folder = new CodeFolder({ "package.json": '{ "type": "module" }', "app.ts": code }, lab().folder("app"));
  await deploy(instance, folder, "first");
  await expectError(client.updateBackendConfig("app", { userConfig: "bad" }), "goal-failed");

  const before = await client.listReplicas("app");
  const [lost] = before;
  const told = (await client.explain(lost!.name)).map((it) => `${it.target}: ${it.reason}`);
  const refusedAt = told.findIndex((it) => /^replica\/.*no such word/.test(it));
  expect(refusedAt, told.join("\n")).toBeGreaterThan(told.findIndex((it) => it.startsWith("backend/app: update")));
  process.kill(lost!.pid!, "SIGKILL");
  const seen = async () => (await client.listReplicas("app")).find(({ name }) => name === lost?.name);
  const isBack = async () => {
    const now = await seen();
    return now?.state === "ready" && now.pid !== lost?.pid;
  };
  await waitFor("it is back", isBack, DEADLINE_MS);
  expect(await seen()).toMatchObject({ incarnation: 2 });
  const names = (await client.listReplicas("app")).map(({ name }) => name);
  expect(names).toEqual(before.map(({ name }) => name));
}, 60_000);
