/**
 * Saved states of instances with many backends, each of two replicas, and as many endpoints, each with a route: made once in a run, by the
 * real controller from ordinary calls, and copied for each comparison. Names have the same length in instances of every size.
 */
import { cpSync, existsSync, mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { openSqliteStore } from "../../src/adapters/sqlite-store.ts";
import { createSystemClock } from "../../src/adapters/system-clock.ts";
import { Controller, type ControllerPorts } from "../../src/controller/controller.ts";
import { Meters } from "../../src/core/metrics/meters.ts";
import type { Call } from "../../src/model/calls.ts";
import type { BackendTag, EndpointTag, GoalId, InstanceId, InstanceName } from "../../src/model/ids.ts";
import { stateFiles } from "../../src/model/places.ts";
import type { Clock } from "../../src/ports/clock.ts";
import type { Log } from "../../src/ports/log.ts";
import type { Store } from "../../src/ports/store.ts";
import { waitFor } from "../../tests/harness/wait-for.ts";
import type { Bench } from "../comparison.ts";
import { NODE, probed, SimAgent } from "./sim-agent.ts";

export const INSTANCE = "bench" as InstanceName;
export const INSTANCE_ID = "bench-id" as InstanceId;

/** Calls under way at once: below MAX_QUEUED_CALLS. */
const SEED_BATCH = 500;
const SEED_DEADLINE_MS = 300_000;

export const silent: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {}, child: () => silent };

const numbered = (letter: string, index: number): string => `${letter}-${String(index).padStart(5, "0")}`;
export const backendTag = (index: number): BackendTag => numbered("b", index) as BackendTag;
export const endpointTag = (index: number): EndpointTag => numbered("e", index) as EndpointTag;

/** A state folder of its own, with a saved instance of this size in it. 0: nothing is saved yet. */
export const copySeed = async (bench: Bench, size: number, name: string): Promise<string> => {
  const stateDir = join(bench.folder, "control", name);
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  if (size > 0) cpSync(await seedFile(bench, size), stateFiles(stateDir).store);
  return stateDir;
};

const seedFile = async ({ folder, say }: Bench, size: number): Promise<string> => {
  const { store } = stateFiles(join(folder, "seeds", String(size)));
  if (existsSync(store)) return store;
  mkdirSync(dirname(store), { recursive: true });
  const startedAt = performance.now();
  await makeSeed(dirname(store), size);
  say(`an instance of ${size} backends and endpoints took ${Math.round(performance.now() - startedAt)} ms to make`);
  return store;
};

const makeSeed = async (stateDir: string, size: number): Promise<void> => {
  const clock = createSystemClock();
  const store = openSqliteStore({ path: stateFiles(stateDir).store, clock, onCommit: () => agent.store.nudge() });
  const options = { stateDir, clock, instance: INSTANCE, instanceId: INSTANCE_ID };
  const agent = new SimAgent({ ...options, onCommit: () => store.nudge() });
  let leads = false;
  const controller = new Controller(controllerPorts(store, clock), controllerOptions(), {
    onLead: () => (leads = true),
    onStandstill: () => {},
    onLost: () => {},
    onFailed: (error) => Promise.reject(error),
  });
  await agent.start();
  controller.start();
  await waitFor("the controller leads", () => leads, SEED_DEADLINE_MS);
  const submit = async (callOf: (index: number) => Call): Promise<void> => {
    for (let from = 0; from < size; from += SEED_BATCH) {
      const indexes = Array.from({ length: Math.min(SEED_BATCH, size - from) }, (_, index) => from + index);
      await Promise.all(indexes.map((index) => controller.submit(callOf(index))));
    }
  };
  await submit(createBackendCall);
  await submit(createEndpointCall);
  await waitFor("every replica is ready", () => agent.actors >= 2 * size + 1, SEED_DEADLINE_MS);
  const signal = AbortSignal.timeout(SEED_DEADLINE_MS);
  for (let index = 0; index < size; index += 1)
    await controller.waitForGoal(`seed-b-${index}`, SEED_DEADLINE_MS, signal);
  await controller.stop();
  await agent.stop();
  await store.close();
};

export const controllerPorts = (store: Store, clock: Clock): ControllerPorts => ({
  store,
  clock,
  log: silent,
  meters: new Meters(),
  probe: { probe: async (order) => probed(order) },
  faults: { point: () => {} },
});

/** With one proxy, that polls when somebody plays it. */
export const controllerOptions = () =>
  ({
    instance: INSTANCE,
    node: NODE,
    address: "unix:/nowhere.sock",
    pid: process.pid,
    incarnation: 1,
    begin: { instanceId: INSTANCE_ID, http: { location: "head", proxiesPerNode: 1 }, phase: "resume" },
    isFirstLife: true,
  }) as const;

const createBackendCall = (index: number): Call => ({
  kind: "createBackend",
  goalId: `seed-b-${index}` as GoalId,
  tag: backendTag(index),
  code: { kind: "export", module: "file:///srv/app/model.ts", export: "Model", args: [] },
  config: { numReplicas: 2, maxConcurrentQueries: 16 },
});

const createEndpointCall = (index: number): Call => ({
  kind: "createEndpoint",
  goalId: `seed-e-${index}` as GoalId,
  tag: endpointTag(index),
  spec: {
    route: `/${endpointTag(index)}`,
    methods: undefined,
    stripPrefix: false,
    idempotent: false,
    timeoutMs: undefined,
    expose: [],
  },
  traffic: { [backendTag(index)]: 1 },
  shadows: {},
});
