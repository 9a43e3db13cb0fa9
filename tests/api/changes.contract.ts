/**
 * What calls promise that make something new, and every way to wait for a goal, through the client library on real processes. The
 * suite runs on a healthy instance and on one whose controller dies after half of its saves: the results are the same.
 */
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { backend } from "../../src/index.ts";
import type { Model, ModelOptions } from "../fixtures/apps/model.ts";
import { processesOf, settled } from "../harness/census.ts";
import { fixture } from "../harness/echo.ts";
import { expectError, repeatUnlessAnswered } from "../harness/expect-error.ts";
import { ask } from "../harness/http.ts";
import { type Started, type StartInLab, useLab } from "../harness/lab.ts";
import { kill } from "../harness/processes.ts";
import { waitFor } from "../harness/wait-for.ts";

const PROXIES = 2;
const SAVED_DEADLINE_MS = 15_000;

const model = (name: string, options: ModelOptions = {}) =>
  backend<typeof Model>({ module: fixture("apps/model.ts"), export: "Model", args: [name, options] });

export const describeChanges = (options: Pick<StartInLab, "env">): void => {
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

  describe("create", () => {
    test("a backend and an endpoint answer HTTP as soon as their calls resolve", async () => {
      const { client } = instance;
      expect(await client.createBackend("first", model("first"), { numReplicas: 2 })).toMatchObject({
        state: "reached",
      });
      expect(await client.createEndpoint("first", { route: "/first", backend: "first" })).toMatchObject({
        state: "reached",
      });
      // Many times: with two proxies, one that has not learnt the route yet would show.
      const answers = await Promise.all(Array.from({ length: 20 }, () => get("/first")));
      expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
      expect(answers[0]?.json()).toMatchObject({ model: "first", greeting: "hello", isShadow: false });
      expect((await instance.status()).backends.find(({ tag }) => tag === "first")).toMatchObject({
        replicas: { wanted: 2, running: 2 },
        goal: { state: "reached" },
      });
    });

    test("the same goal id again, one after the other or at once, is the same goal and starts nothing more", async () => {
      const create = () => instance.client.createBackend("once", model("once"), undefined, { goalId: "create-once" });
      const goals = [...(await Promise.all([create(), create(), create()])), await create()];
      expect(goals.map(({ id, state }) => [id, state])).toEqual(goals.map(() => ["create-once", "reached"]));
      expect(await replicasOf("once")).toHaveLength(1);
      expect((await instance.status()).goals.filter(({ id }) => id === "create-once")).toHaveLength(1);
    });

    test("an equal value under a new goal id is reached without a new process, and both ids are kept", async () => {
      const { client } = instance;
      await client.createBackend("equal", model("equal"), { numReplicas: 1 }, { goalId: "equal-1" });
      const pids = await pidsOf("equal");
      await client.createBackend("equal", model("equal"), { numReplicas: 1 }, { goalId: "equal-2" });
      expect(await pidsOf("equal")).toEqual(pids);
      expect(await client.waitForGoal("equal-2")).toMatchObject({ state: "reached" });
      expect(await client.waitForGoal("equal-1")).toMatchObject({ state: "reached" });
    });

    test("a goal id of another call is refused", async () => {
      const { client } = instance;
      await client.createBackend("reuse", model("reuse"), undefined, { goalId: "reuse" });
      await expectError(client.deleteBackend("reuse", { goalId: "reuse" }), "goal-id-reused");
      expect(await replicasOf("reuse")).toHaveLength(1);
    });

    test("a start that throws fails the goal with the user's error, and the tag can be used again after a delete", async () => {
      const { client } = instance;
      const broken = model("broken", { failsAt: "start" });
      const error = await expectError(client.createBackend("broken", broken, { maxStartAttempts: 2 }), "goal-failed");
      expect(error.message).toMatch(/broken has no weights/);
      await client.deleteBackend("broken");
      await client.createBackend("broken", model("mended"));
      expect(await replicasOf("broken")).toHaveLength(1);
    });
  });

  describe("wait", () => {
    test("a timeout ends the wait with goal-pending and its goal id, and the goal goes on", async () => {
      const { client } = instance;
      const gate = join(lab().folder("gates"), "slow");
      const slow = model("slow", { startsWith: gate });
      const wait = { timeoutMs: 200, goalId: "create-slow" };
      const create = () => client.createBackend("slow", slow, undefined, wait);
      // No controller may have answered in so short a time: then nothing is known of the change, and repeating it is safe.
      const error = await expectError(repeatUnlessAnswered(create), "goal-pending");
      expect(error.details).toMatchObject({ goalId: "create-slow" });
      writeFileSync(gate, "");
      expect(await client.waitForGoal("create-slow")).toMatchObject({ id: "create-slow", state: "reached" });
      expect(await replicasOf("slow")).toHaveLength(1);
    });

    test('"saved" answers at once with a pending goal', async () => {
      const gate = join(lab().folder("gates"), "saved");
      const slow = model("saved", { startsWith: gate });
      const goal = await instance.client.createBackend("saved", slow, undefined, { wait: "saved" });
      expect(goal.state).toBe("pending");
      writeFileSync(gate, "");
      expect(await instance.client.waitForGoal(goal.id)).toMatchObject({ state: "reached" });
    });

    test("an aborted signal ends the wait and not the goal", async () => {
      const { client } = instance;
      const gate = join(lab().folder("gates"), "aborted");
      const slow = model("aborted", { startsWith: gate });
      const leaving = new AbortController();
      const wait = { goalId: "create-aborted", signal: leaving.signal };
      const aborted = expect(client.createBackend("aborted", slow, undefined, wait)).rejects.toThrow();
      const isSaved = async () => (await client.status()).goals.some(({ id }) => id === wait.goalId);
      await waitFor("the call is saved", isSaved, SAVED_DEADLINE_MS);
      leaving.abort();
      await aborted;
      writeFileSync(gate, "");
      expect(await client.waitForGoal("create-aborted")).toMatchObject({ state: "reached" });
    });

    test("an unknown goal id is goal-unknown", async () => {
      await expectError(instance.client.waitForGoal("never-drawn"), "goal-unknown");
    });

    test("a newer change supersedes a pending one, and sending the older one again does not undo it", async () => {
      const { client } = instance;
      const gate = join(lab().folder("gates"), "super");
      writeFileSync(gate, "");
      await client.createBackend("super", model("super", { startsWith: gate }));
      rmSync(gate); // a second replica would never be ready
      const older = { goalId: "super-older" };
      const grow = client.updateBackendConfig("super", { numReplicas: 2 }, older);
      const superseded = expectError(grow, "goal-superseded");
      await client.updateBackendConfig("super", { numReplicas: 2 }, { ...older, wait: "saved" });
      await client.updateBackendConfig("super", { maxQueuedQueries: 7, numReplicas: 1 }, { goalId: "super-newer" });
      expect((await superseded).details).toMatchObject({ goalId: "super-older", supersededBy: "super-newer" });
      await expectError(client.updateBackendConfig("super", { numReplicas: 2 }, older), "goal-superseded");
      expect(await replicasOf("super")).toHaveLength(1);
      expect(await client.getBackendConfig("super")).toMatchObject({ numReplicas: 1 });
    });

    test("a proxy that stands still holds up setTraffic's goal, named as its laggard", async () => {
      const { client } = instance;
      await client.createBackend("lag", model("lag"));
      await client.createEndpoint("lag", { backend: "lag" });
      await client.createBackend("lag2", model("lag2"));
      const [proxy] = processesOf(await instance.status(), "proxy");
      kill(proxy?.pid ?? 0, "SIGSTOP");
      try {
        const wait = { timeoutMs: 2_000, goalId: "lagging" };
        const split = () => client.setTraffic("lag", { lag: 0.5, lag2: 0.5 }, wait);
        const error = await expectError(repeatUnlessAnswered(split), "goal-pending");
        expect(error.details["laggards"]).toEqual([proxy?.name]);
      } finally {
        kill(proxy?.pid ?? 0, "SIGCONT");
      }
      expect(await client.waitForGoal("lagging")).toMatchObject({ state: "reached" });
    });
  });
};
