/** The controller on a real SQLite store: leadership, durability, reads, waits, and what a crash leaves. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  appBackend,
  appEndpoint,
  createBackend,
  createEndpoint,
  deleteBackend,
  deleteEndpoint,
  deploy,
  setTraffic,
  shutdown,
  stop,
  update,
} from "../../tests/harness/calls.ts";
import { ControllerLab } from "../../tests/harness/controller-lab.ts";
import { waitFor } from "../../tests/harness/wait-for.ts";
import { ServeError } from "../base/serve-error.ts";
import type { EndpointTag, GoalId } from "../model/ids.ts";
import { MAX_DEPLOY_CHANGES } from "../model/limits.ts";
import { NO_SNAPSHOT, type PollAnswer } from "../model/longpoll.ts";
import type { BackendRecord, InstanceRecord } from "../model/records.ts";
import type { Store } from "../ports/store.ts";

const DEADLINE_MS = 10_000;
const never = new AbortController().signal;

let lab: ControllerLab;
beforeEach(() => {
  lab = new ControllerLab();
});
afterEach(() => lab.close());

const poll = (name: string, applied = NO_SNAPSHOT) => ({
  client: `client-${name}`,
  kind: "program" as const,
  name,
  subscribe: ["e"] as EndpointTag[],
  applied,
  waitMs: 5_000,
});
const replicasIn = (answer: PollAnswer): string[] =>
  answer.kind !== "news"
    ? []
    : answer.endpoints.flatMap((it) =>
        Object.values(it.backends).flatMap((b) => b.replicas.map((r) => r.replica as string)),
      );

describe("a life", () => {
  test("of a new instance makes its record, and answers status", async () => {
    const controller = await lab.lead({ http: { location: "none", port: 9_999 } });
    expect(controller.isLeading()).toBe(true);
    expect(await controller.status()).toMatchObject({
      schemaVersion: 1,
      instance: "lab",
      phase: "running",
      http: { port: 9_999, host: "127.0.0.1", location: "none" },
      backends: [],
      processes: [{ kind: "controller", state: "ready" }],
    });
    expect((await lab.saved()).get("instance")).toMatchObject({ id: "lab-id", name: "lab", phase: "running" });
  });

  test("tells its status in one order, whatever was planned in between", async () => {
    await lab.startAgent();
    const controller = await lab.lead();
    const endpoints = { f: appEndpoint({ v1: 1 }), e: appEndpoint({ v2: 1 }) };
    const backends = { v2: appBackend({ numReplicas: 2 }), v1: appBackend({ numReplicas: 2 }) };
    await lab.settle(controller, deploy("shop", backends, endpoints));
    const status = async () => {
      const { processes, ...rest } = await controller.status();
      return { ...rest, processes: processes.map(({ uptimeMs: _, ...it }) => it) };
    };
    const before = await status();
    const plan = await controller.plan({ ...deploy("shop", {}, {}), goalId: "g-plan" as GoalId });
    expect(plan.filter(({ action }) => action === "drain replica")).toHaveLength(4);
    expect(await status()).toEqual(before);
    expect(before.backends.map(({ tag }) => tag)).toEqual(["v1", "v2"]);
    expect(before.endpoints.map(({ tag }) => tag)).toEqual(["e", "f"]);
    const actors = before.processes.slice(2).map(({ name }) => Number(name.split("#")[1]));
    expect(actors).toEqual(actors.toSorted((x, y) => x - y));
  });

  test("starts what is asked for, reports it, and remembers it for the next one", async () => {
    await lab.startAgent();
    const first = await lab.lead();
    const goal = await lab.settle(first, createBackend("b", { numReplicas: 2, env: { SECRET: "s3cret" } }));
    expect(goal).toEqual({ id: goal.id, state: "reached" });
    const status = await first.status();
    expect(status.backends).toMatchObject([
      { tag: "b", replicas: { wanted: 2, running: 2 }, config: { env: { SECRET: "***" } }, goal: { state: "reached" } },
    ]);
    expect(status.processes.map(({ kind, state }) => `${kind} ${state}`)).toEqual([
      "agent ready",
      "controller ready",
      "replica ready",
      "replica ready",
    ]);
    await first.stop();
    const second = await lab.lead({ isFirstLife: false });
    expect(second.goal(goal.id)).toEqual(goal);
    expect((await second.status()).backends).toMatchObject([{ tag: "b", replicas: { wanted: 2, running: 2 } }]);
    expect([...lab.agents[0]!.starts.values()]).toEqual([1, 1]);
  });

  test("waits while another one leads, and begins when that one has resigned", async () => {
    const first = await lab.lead();
    const { controller: second, epochs } = lab.startController({ isFirstLife: false });
    await expect(lab.submit(second, createBackend("b"))).rejects.toMatchObject({
      code: "not-leading",
      retryable: true,
    });
    await expect(second.status()).rejects.toThrow(expect.objectContaining({ code: "not-leading" }));
    await first.stop();
    await waitFor("the second leads", () => second.isLeading() && epochs.length > 0, DEADLINE_MS);
    expect(epochs[0]).toBeGreaterThan(lab.controllers[0]!.epochs[0]!);
    await expect(lab.submit(first, createBackend("b"))).rejects.toMatchObject({ code: "not-leading" });
  });

  test("whose leadership was taken changes nothing more, and says so to nobody as done", async () => {
    const first = await lab.lead();
    const leader = await lab.controllers[0]!.store.get(lab.keys.leader);
    await lab.controllers[0]!.store.revokeLease(leader!.lease!);
    await expect(lab.submit(first, createBackend("b"))).rejects.toMatchObject({ code: "not-leading", retryable: true });
    expect((await lab.saved()).has("backends/b")).toBe(false);
    await waitFor("it leads again, by a newer epoch", () => lab.controllers[0]!.epochs.length > 1, DEADLINE_MS);
    expect(lab.controllers[0]!.ends).toEqual(["deposed"]);
    expect((await lab.settle(first, deleteBackend("b"))).state).toBe("reached");
  });

  test("refuses a state that a newer version has written, and leaves it as it is", async () => {
    await (await lab.lead()).stop();
    const { store } = lab.controllers[0]!;
    const record = JSON.parse((await store.get(lab.keys.instance))!.value) as InstanceRecord;
    const value = JSON.stringify({ ...record, schemaVersion: 99, somethingNew: [1] });
    await store.txn({ compare: [], then: [{ kind: "put", key: lab.keys.instance, value }] });
    const { failures, controller } = lab.startController();
    await waitFor("it has failed", () => failures.length > 0, DEADLINE_MS);
    expect(failures[0]).toMatchObject({ code: "schema-newer", message: expect.stringContaining("99") });
    expect(controller.isLeading()).toBe(false);
    expect((await store.get(lab.keys.instance))?.value).toBe(value);
    expect(await store.get(lab.keys.leader)).toBeUndefined();
  });
});

describe("a write whose answer is lost", () => {
  /** Loses the answers of the controller's next writes that `when` picks, made or not. */
  const losing = (made: "made" | "not made", when: { armed: boolean }) => (store: Store) =>
    new Proxy(store, {
      get: (target, name) => {
        if (name !== "txn")
          return (...args: never[]) => (target[name as keyof Store] as (...a: never[]) => unknown)(...args);
        return async (txn: Parameters<Store["txn"]>[0]) => {
          if (!when.armed) return target.txn(txn);
          when.armed = false;
          if (made === "made") await target.txn(txn);
          throw new ServeError("store-unavailable", "the answer was lost", { retryable: true });
        };
      },
    });

  test.each(["made", "not made"] as const)(
    "is found out by a new life, and the call sent again is made once (%s)",
    async (made) => {
      await lab.startAgent();
      const when = { armed: false };
      const controller = await lab.lead({ through: losing(made, when) });
      const id = lab.drawId();
      when.armed = true;
      await expect(lab.submit(controller, createBackend("b", { numReplicas: 2 }), id)).rejects.toMatchObject({
        code: "store-unavailable",
        retryable: true,
      });
      await waitFor("a new life has begun", () => lab.controllers[0]!.epochs.length === 2, DEADLINE_MS);
      expect(lab.controllers[0]!.ends).toEqual(["write-unknown"]);
      expect((await lab.settle(controller, createBackend("b", { numReplicas: 2 }), id)).state).toBe("reached");
      expect(lab.agents[0]!.starts.size).toBe(2);
    },
  );
});

describe("a call", () => {
  test("is durable when it is answered", async () => {
    const controller = await lab.lead();
    await lab.submit(controller, createBackend("b"));
    expect((await lab.saved()).get("backends/b") as BackendRecord).toMatchObject({ tag: "b", configRevision: 1 });
  });

  test("that is refused rejects with its code and changes nothing", async () => {
    const controller = await lab.lead();
    const before = await lab.saved();
    await expect(lab.submit(controller, setTraffic("e", { b: 1 }))).rejects.toMatchObject({ code: "endpoint-unknown" });
    await expect(lab.submit(controller, createBackend("b", { numReplicas: 0 }))).rejects.toMatchObject({
      code: "config-invalid",
      message: expect.stringContaining("numReplicas"),
    });
    expect(await lab.saved()).toEqual(before);
  });

  test("of many at once shares a transaction with the others, each with its own answer", async () => {
    const controller = await lab.lead();
    const { revision: before } = await lab.controllers[0]!.store.list("x");
    const goals = await Promise.all(
      Array.from({ length: 40 }, (_, index) => lab.submit(controller, createBackend(`b${index}`))),
    );
    expect(new Set(goals.map((goal) => goal.id)).size).toBe(40);
    const { revision: after } = await lab.controllers[0]!.store.list("x");
    expect(after - before).toBeLessThan(10);
  });

  test("that comes in the same round of the event loop as others shares their transaction", async () => {
    const controller = await lab.lead();
    const { revision: before } = await lab.controllers[0]!.store.list("x");
    await Promise.all(
      Array.from({ length: 40 }, async (_, index) => {
        for (let steps = 0; steps < 5 * index; steps += 1) await Promise.resolve();
        await lab.submit(controller, createBackend(`b${index}`));
      }),
    );
    const { revision: after } = await lab.controllers[0]!.store.list("x");
    expect(after - before).toBeLessThan(10);
  });

  test("waits for its goal only as long as the caller wants", async () => {
    await lab.startAgent({ fateOf: () => "starting" });
    const controller = await lab.lead();
    const { id } = await lab.submit(controller, createBackend("b"));
    expect(await controller.waitForGoal(id, 20, never)).toMatchObject({
      state: "pending",
      progress: { done: 0, total: 1 },
    });
    const leaving = new AbortController();
    const wait = controller.waitForGoal(id, 60_000, leaving.signal);
    leaving.abort();
    expect((await wait).state).toBe("pending");
    await expect(controller.waitForGoal("nobody", 10, never)).rejects.toMatchObject({ code: "goal-unknown" });
    const last = controller.waitForGoal(id, 60_000, never);
    await controller.stop();
    await expect(last).rejects.toMatchObject({ code: "not-leading", retryable: true });
  });

  test("that deploys as much as is allowed fits one transaction of the store; one thing more is refused", async () => {
    await lab.startAgent();
    const controller = await lab.lead();
    const many = (count: number) =>
      deploy("many", Object.fromEntries(Array.from({ length: count }, (_, index) => [`b${index}`, appBackend()])));
    const most = (MAX_DEPLOY_CHANGES - 3) / 2;
    await expect(lab.submit(controller, many(most + 1))).rejects.toMatchObject({ code: "value-too-large" });
    expect(await lab.settle(controller, many(most))).toMatchObject({ state: "reached" });
    expect((await controller.status()).backends).toHaveLength(most);
  });

  test("that fails says why in its goal, in status and in explain", async () => {
    await lab.startAgent({ fateOf: () => ({ fails: { code: "start-failed", message: "no weights" } }) });
    const controller = await lab.lead();
    const goal = await lab.settle(controller, createBackend("b"));
    expect(goal).toMatchObject({ state: "failed", error: { message: expect.stringContaining("no weights") } });
    expect((await controller.status()).backends[0]?.reason).toContain("no weights");
    const told = (target: string) => controller.explain(target).map((it) => `${it.target}: ${it.reason}`);
    const decided = expect.stringMatching(/^backend\/b: .*no weights/);
    expect(told("b")).toEqual(["backend/b: create backend: it is new and wants 1 replica", decided]);
    expect(told(goal.id)).toEqual(
      expect.arrayContaining([expect.stringMatching(/^goal\/.*: it failed: .*no weights/), decided]),
    );
    expect(told("b#1")).toEqual(
      expect.arrayContaining([
        "replica/b#1: start replica: its backend wants 1 replica",
        "replica/b#1: no weights",
        "replica/b#1: its starts have been given up on node local, incarnation 0.",
        decided,
      ]),
    );
    expect(() => controller.explain("bb")).toThrow(expect.objectContaining({ code: "target-unknown" }));
    lab.agents[0]!.play({});
    expect((await lab.settle(controller, update("b", { userConfig: 1 }))).state).toBe("reached");
    expect((await controller.status()).backends[0]?.reason).toBeUndefined();
  });
});

describe("the long poll", () => {
  test("tells of an endpoint, then of its changes, and goals wait for the acknowledgement", async () => {
    await lab.startAgent();
    const controller = await lab.lead();
    await lab.settle(controller, createBackend("b"));
    const first = await controller.poll(poll("p"), never);
    expect(first).toMatchObject({ kind: "news", complete: true, endpoints: [] });
    const waiting = controller.poll(poll("p", first.kind === "news" ? first.snapshot : NO_SNAPSHOT), never);
    const goal = await lab.submit(controller, createEndpoint("e", { b: 1 }));
    const news = await waiting;
    expect(replicasIn(news)).toEqual(["b#1"]);
    expect(controller.goal(goal.id)).toMatchObject({ state: "pending", laggards: ["p"] });
    const next = controller.poll(poll("p", news.kind === "news" ? news.snapshot : NO_SNAPSHOT), never);
    expect(await controller.waitForGoal(goal.id, DEADLINE_MS, never)).toEqual({ id: goal.id, state: "reached" });
    await controller.stop();
    await expect(next).rejects.toMatchObject({ code: "not-leading" });
  });

  test("keeps an endpoint's withdrawal in mind while routers learn of it, also when it comes and goes again meanwhile", async () => {
    await lab.startAgent();
    const controller = await lab.lead();
    await lab.settle(controller, createBackend("b"));
    await lab.settle(controller, createEndpoint("e", { b: 1 }));
    const first = await controller.poll(poll("p"), never);
    const waiting = controller.poll(poll("p", first.kind === "news" ? first.snapshot : NO_SNAPSHOT), never);
    await lab.submit(controller, deleteEndpoint("e"));
    expect(await waiting).toMatchObject({ kind: "news", removed: ["e"] });
    const [, again] = await Promise.all([
      lab.submit(controller, createEndpoint("e", { b: 1 })),
      lab.submit(controller, deleteEndpoint("e")),
    ]);
    // A program is waited for a moment only, and named then: it has not said that it knows.
    const goal = await controller.waitForGoal(again.id, DEADLINE_MS, never);
    expect(goal).toEqual({ id: again.id, state: "reached", laggards: ["p"] });
  });

  test("of a new life says nothing of a silent node's backends for a while, and everything when the node speaks", async () => {
    const agent = await lab.startAgent();
    const first = await lab.lead();
    await lab.settle(first, createBackend("b"));
    await lab.settle(first, createEndpoint("e", { b: 1 }));
    await agent.silence();
    await first.stop();
    const second = await lab.lead({ isFirstLife: false });
    const waiting = second.poll(poll("p"), never);
    await lab.startAgent({}, 2);
    expect(replicasIn(await waiting)).toEqual(["b#1"]);
  });

  test("of a new life is not held up by an endpoint that goes before it is published", async () => {
    const agent = await lab.startAgent();
    const first = await lab.lead();
    await lab.settle(first, createBackend("b"));
    await lab.settle(first, createEndpoint("e", { b: 1 }));
    await agent.silence();
    await first.stop();
    const second = await lab.lead({ isFirstLife: false });
    const waiting = second.poll({ ...poll("p"), kind: "proxy", subscribe: "all" }, never);
    await lab.submit(second, deleteEndpoint("e"));
    expect(await waiting).toMatchObject({ kind: "news", complete: true, endpoints: [] });
  });

  test("ids of a newer life are newer", async () => {
    const first = await lab.lead();
    const before = await first.poll(poll("p"), never);
    await first.stop();
    const second = await lab.lead({ isFirstLife: false });
    const after = await second.poll(poll("p"), never);
    if (before.kind !== "news" || after.kind !== "news") throw new Error("no news");
    expect(after.snapshot.epoch).toBeGreaterThan(before.snapshot.epoch);
  });
});

describe("the end of an instance", () => {
  const running = async () => {
    await lab.startAgent();
    const controller = await lab.lead({ http: { location: "head" } });
    await lab.settle(controller, createBackend("b", { numReplicas: 2 }));
    return controller;
  };

  test("by stop keeps the state, and only a start that is asked for resumes it", async () => {
    const first = await running();
    expect((await lab.settle(first, stop())).state).toBe("reached");
    expect((await first.status()).processes.filter((it) => it.kind === "replica" || it.kind === "proxy")).toEqual([]);
    await first.stop();
    const rescued = await lab.lead({ phase: "keep", isFirstLife: false });
    expect((await rescued.status()).phase).toBe("stopped");
    await expect(lab.submit(rescued, createBackend("c"))).rejects.toMatchObject({ code: "instance-stopping" });
    await rescued.stop();
    const resumed = await lab.lead({ phase: "resume", isFirstLife: false });
    const isRunning = async () => (await resumed.status()).backends[0]?.replicas.running === 2;
    await waitFor("its replicas run", isRunning, DEADLINE_MS);
  });

  test("by shutdown deletes everything, and tells those who wait that it has (defect 1 of the ancestor)", async () => {
    const controller = await running();
    const goal = await lab.settle(controller, shutdown());
    expect(goal.state).toBe("reached");
    expect((await lab.saved()).size).toBeLessThanOrEqual(1); // the agent's node
    expect(controller.goal(goal.id)?.state).toBe("reached");
    await waitFor("its life has ended", () => lab.controllers[0]!.ends.includes("erased"), DEADLINE_MS);
  });

  test("that was erased is not made again by a controller that comes late", async () => {
    const controller = await running();
    await lab.settle(controller, shutdown());
    const late = lab.startController({ phase: "keep", isFirstLife: false });
    await waitFor("it has found nothing", () => late.ends.includes("erased"), DEADLINE_MS);
    expect((await lab.saved()).has("instance")).toBe(false);
  });
});
