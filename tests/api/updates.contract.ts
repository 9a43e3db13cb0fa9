/**
 * What calls promise about backends that run already: configurations, restarts, deletions, and what is read of them. The suite runs on
 * a healthy instance and on one whose controller dies after half of its saves: the results are the same.
 */
import { beforeAll, describe, expect, test } from "vitest";
import { backend } from "../../src/index.ts";
import type { Model, ModelOptions } from "../fixtures/apps/model.ts";
import { processesOf, settled } from "../harness/census.ts";
import { ECHO, fixture, openLedger } from "../harness/echo.ts";
import { expectError } from "../harness/expect-error.ts";
import { ask } from "../harness/http.ts";
import { type Started, type StartInLab, useLab } from "../harness/lab.ts";
import { isGood, startLoad } from "../harness/load.ts";
import { waitFor } from "../harness/wait-for.ts";

const PROXIES = 2;
const STARTED_DEADLINE_MS = 5_000;

const model = (name: string, options: ModelOptions = {}) =>
  backend<typeof Model>({ module: fixture("apps/model.ts"), export: "Model", args: [name, options] });

export const describeUpdates = (options: Pick<StartInLab, "env">): void => {
  const lab = useLab("file");
  let instance: Started;

  beforeAll(async () => {
    instance = await lab().start({ proxies: PROXIES, env: options.env });
  }, 60_000);

  const replicasOf = async (tag: string) => {
    const status = await settled(lab(), instance);
    return processesOf(status, "replica").filter(({ name }) => name.startsWith(`${tag}#`));
  };
  const pidsOf = async (tag: string) => (await replicasOf(tag)).map(({ pid }) => pid);
  const get = (path: string) => ask(`${instance.url}${path}`);

  describe("update", () => {
    test("scaling runs exactly what is wanted, and ordinals are never used again", async () => {
      const { client } = instance;
      await client.createBackend("scale", backend(ECHO));
      const names = new Set((await replicasOf("scale")).map(({ name }) => name));
      for (const numReplicas of [3, 1, 2]) {
        await client.updateBackendConfig("scale", { numReplicas });
        const now = await replicasOf("scale");
        expect(now).toHaveLength(numReplicas);
        for (const { name } of now) names.add(name);
      }
      // 1, then 2 more, then all but one go, then 1 more.
      expect(names.size).toBe(4);
    });

    test("a userConfig reaches running replicas without a new process, and leaves other fields alone", async () => {
      const { client } = instance;
      await client.createBackend("greet", model("greet"), { numReplicas: 2, userConfig: { greeting: "hi" } });
      await client.createEndpoint("greet", { route: "/greet", backend: "greet" });
      const pids = await pidsOf("greet");
      expect((await get("/greet")).json()).toMatchObject({ greeting: "hi" });
      await client.updateBackendConfig<typeof Model>("greet", { userConfig: { greeting: "good day" } });
      const answers = await Promise.all(Array.from({ length: 10 }, () => get("/greet")));
      for (const answer of answers) expect(answer.json()).toMatchObject({ greeting: "good day" });
      expect(await pidsOf("greet")).toEqual(pids);
      expect(await client.getBackendConfig("greet")).toMatchObject({ numReplicas: 2 });
    });

    test("a reconfigure that throws fails the goal with the user's error, and the replica serves on as before", async () => {
      const { client } = instance;
      await client.createBackend("rude", model("rude"), { userConfig: { greeting: "hi" } });
      await client.createEndpoint("rude", { route: "/rude", backend: "rude" });
      const pids = await pidsOf("rude");
      const failing = client.updateBackendConfig<typeof Model>("rude", { userConfig: { greeting: "" } });
      expect((await expectError(failing, "goal-failed")).message).toMatch(/an empty greeting is rude/);
      expect((await get("/rude")).json()).toMatchObject({ greeting: "hi" });
      expect(await pidsOf("rude")).toEqual(pids);
    });

    test("values of env are masked wherever they are shown", async () => {
      const { client } = instance;
      await client.createBackend("masked", backend(ECHO), { env: { TOKEN: "do-not-show" } });
      expect(JSON.stringify([await client.status(), await client.getBackendConfig("masked")])).not.toMatch(
        /do-not-show/,
      );
    });
  });

  describe("restart and delete", () => {
    test("a restart replaces every replica, and no request fails meanwhile", async () => {
      const { client } = instance;
      await client.createBackend("again", model("again"), { numReplicas: 2 });
      await client.createEndpoint("again", { route: "/again", backend: "again" });
      const before = await pidsOf("again");
      const load = startLoad({ url: `${instance.url}/again`, perSecond: 50 });
      await client.restartBackend("again");
      const after = await pidsOf("again");
      expect(after).toHaveLength(2);
      expect(after.filter((pid) => before.includes(pid))).toEqual([]);
      expect((await load.stop()).filter((sent) => !isGood(sent))).toEqual([]);
    });

    test("an endpoint's deletion closes its route, then its backend can go, to the last process", async () => {
      const { client } = instance;
      await client.createBackend("leaving", model("leaving"));
      await client.createEndpoint("leaving", { route: "/leaving", backend: "leaving" });
      await expectError(client.deleteBackend("leaving"), "backend-in-use");
      await client.deleteEndpoint("leaving");
      const answers = await Promise.all(Array.from({ length: 10 }, () => get("/leaving")));
      expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 404));
      const pids = await pidsOf("leaving");
      await client.deleteBackend("leaving");
      const status = await settled(lab(), instance);
      expect(status.backends.map(({ tag }) => tag)).not.toContain("leaving");
      expect(status.processes.map(({ pid }) => pid)).toEqual(expect.not.arrayContaining(pids));
      await expectError(client.getBackendConfig("leaving"), "backend-unknown");
    });

    test("a drain lets started queries end; force does not wait for them", async () => {
      const { client } = instance;
      for (const force of [false, true]) {
        const tag = `drain-${force}`;
        const ledger = openLedger(lab().folder(tag));
        await client.createBackend(tag, backend(ECHO), { env: { LEDGER: ledger.folder } });
        await client.createEndpoint(tag, { route: `/${tag}`, backend: tag });
        // POST: nobody may try it again elsewhere.
        const open = ask(`${instance.url}/${tag}?waitMs=${force ? 14_000 : 1_500}`, { method: "POST" });
        await waitFor("the query has started", () => ledger.all().length > 0, STARTED_DEADLINE_MS);
        await client.deleteEndpoint(tag);
        await client.deleteBackend(tag, { force });
        expect((await open).status).toBe(force ? 502 : 200);
      }
    });

    test("deleting what is not there is reached", async () => {
      expect(await instance.client.deleteBackend("never-was")).toMatchObject({ state: "reached" });
      expect(await instance.client.deleteEndpoint("never-was")).toMatchObject({ state: "reached" });
    });
  });

  test("reads: lists, HTTP options and the reasons of decisions", async () => {
    const { client } = instance;
    await client.createBackend("read", backend(ECHO), { numReplicas: 2 });
    await client.createEndpoint("read", { route: "/read", methods: ["POST"], backend: "read" });
    expect(await client.listReplicas("read")).toMatchObject([{ kind: "replica" }, { kind: "replica" }]);
    expect(await client.listProxies()).toHaveLength(PROXIES);
    expect((await client.listBackends()).find(({ tag }) => tag === "read")).toMatchObject({
      config: { numReplicas: 2 },
    });
    expect((await client.listEndpoints()).find(({ tag }) => tag === "read")).toEqual({
      tag: "read",
      route: "/read",
      methods: ["POST"],
      traffic: { read: 1 },
      shadows: {},
    });
    expect(await client.getHttpConfig()).toMatchObject({ host: "127.0.0.1", proxiesPerNode: PROXIES });
    expect(await client.explain("read")).toEqual(expect.any(Array));
  });
};
