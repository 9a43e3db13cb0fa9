/** What a large instance costs that nobody changes, and how soon a new controller life has told routers everything. */
import { setTimeout as pause } from "node:timers/promises";
import { keysOf } from "../../src/model/keys.ts";
import type { GoalRecord } from "../../src/model/records.ts";
import type { Store } from "../../src/ports/store.ts";
import { waitFor } from "../../tests/harness/wait-for.ts";
import type { Comparison } from "../comparison.ts";
import { cpuMicroseconds } from "../measure.ts";
import { INSTANCE } from "./seed.ts";
import { ControlWorld } from "./world.ts";

/** Leases are renewed and files polled several times in it. */
const IDLE_SECONDS_PER_SECOND = 4;
/** The start has been digested: goals are settled, garbage is collected. */
const SETTLE_MS = 5_000;
const PUBLISH_DEADLINE_MS = 60_000;
const SETTLE_DEADLINE_MS = 60_000;

export const idleController: Comparison = {
  group: "control",
  rows: [
    {
      name: "idle controller with 10,000 backends x 2 replicas",
      unit: "% of a core",
      value: { side: "idle", reading: "share" },
      must: { on: "value", atMost: 1 },
    },
  ],
  open: async (bench) => {
    const world = await ControlWorld.open(bench, bench.effort.large);
    await world.playProxy();
    await pause(SETTLE_MS);
    const ms = bench.effort.seconds * IDLE_SECONDS_PER_SECOND * 1_000;
    return {
      sides: {
        idle: async () => {
          const [startedAt, before] = [performance.now(), cpuMicroseconds([world.controllerPid])];
          await pause(ms);
          const used = cpuMicroseconds([world.controllerPid]) - before;
          return { share: (100 * used) / (1_000 * (performance.now() - startedAt)) };
        },
      },
      close: () => world.close(),
    };
  },
};

export const newLife: Comparison = {
  group: "control",
  rows: [
    {
      name: "new controller process until 10,000 endpoints are published",
      unit: "s",
      value: { side: "life", reading: "seconds" },
      must: { on: "value", atMost: 2 },
    },
  ],
  open: async (bench) => {
    const world = await ControlWorld.open(bench, bench.effort.large);
    let epoch = 0;
    let published = Promise.withResolvers<void>();
    await world.playProxy(({ snapshot, complete, endpoints }) => {
      if (!complete || endpoints.length < bench.effort.large || snapshot.epoch <= epoch) return;
      ({ epoch } = snapshot);
      published.resolve();
    });
    const untilPublished = () =>
      Promise.race([
        published.promise,
        pause(PUBLISH_DEADLINE_MS).then(() => Promise.reject(new Error("the new life has not published everything"))),
      ]);
    await untilPublished();
    // What is measured is how soon routers of a quiet instance are served again, by code that this machine has run before.
    await waitFor("every goal is settled", () => areGoalsSettled(world.agent.store), SETTLE_DEADLINE_MS);
    await world.stopController();
    await world.startController();
    return {
      sides: {
        life: async () => {
          await world.killController();
          published = Promise.withResolvers();
          const startedAt = performance.now();
          await Promise.all([world.startController(), untilPublished()]);
          return { seconds: (performance.now() - startedAt) / 1_000 };
        },
      },
      close: () => world.close(),
    };
  },
};

const areGoalsSettled = async (store: Store): Promise<boolean> => {
  const { entries } = await store.list(keysOf(INSTANCE).goals);
  return entries.every(({ value }) => (JSON.parse(value) as GoalRecord).state !== "pending");
};
