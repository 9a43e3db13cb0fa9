/** Kept code over hours of a simulated instance: what a node holds is what its backends need, and no more. */
import { expect, test } from "vitest";
import { appBackend, createBackend, deleteBackend, deploy, restart } from "../../tests/harness/calls.ts";
import { CODE_GRACE_MS, CODE_SWEEP_INTERVAL_MS } from "../model/code-limits.ts";
import { stateFiles } from "../model/places.ts";
import { watchOver } from "./checkers/checkers.ts";
import { NO_CRASHES } from "./kernel/effects.ts";
import { Clients } from "./swarm/clients.ts";
import { World } from "./world.ts";

const START_MS = 10_000;

test("code of deleted backends goes, that of others stays through restarts, edits of their files and an agent's death", async () => {
  const world = new World({ seed: "kept code", nodes: 1, effects: NO_CRASHES });
  const clients = new Clients(world, 0);
  const facts = watchOver(world, (id) => clients.callOf(id));
  const [node] = world.nodes;
  const kept = () => node!.disk.paths(stateFiles(node!.stateDir).code).length;
  const call = async (body: Parameters<Clients["send"]>[0]) => {
    const answer = clients.send(body, "never");
    await world.run(START_MS);
    expect(await answer).toMatchObject({ kind: "goal" });
  };

  world.start();
  await world.run(START_MS);
  for (const tag of ["a", "b", "c"]) {
    await call(createBackend(tag));
    // Each in its own edition of the files.
    await world.run(CODE_SWEEP_INTERVAL_MS);
  }
  // No node has so much: its code is named in the store alone.
  await call(createBackend("waits", { resources: { cpu: 1_000 } }));
  expect(facts.replicasOf("waits")).toEqual([]);
  expect(kept()).toBe(4);
  await call(deleteBackend("b"));
  node!.ofKind("agent")[0]!.end({ code: undefined, signal: "SIGKILL" });
  await world.run(CODE_GRACE_MS - START_MS);
  expect(kept()).toBe(4);
  await world.run(START_MS + CODE_SWEEP_INTERVAL_MS);
  expect(kept()).toBe(3);

  await call(restart("a"));
  await world.run(2 * CODE_GRACE_MS);
  expect(kept()).toBe(3);
  await call(deleteBackend("a"));
  await call(deleteBackend("c"));
  await call(deleteBackend("waits"));
  await world.run(CODE_GRACE_MS + CODE_SWEEP_INTERVAL_MS);
  expect(kept()).toBe(0);
  expect(facts.backends()).toEqual([]);
  expect(world.violation).toBeUndefined();
}, 60_000);

test("code that ran stays while a newer one has not, also when no process runs it, and runs again when that has failed", async () => {
  const world = new World({ seed: "kept code", nodes: 1, effects: NO_CRASHES });
  const clients = new Clients(world, 0);
  const facts = watchOver(world, (id) => clients.callOf(id));
  const [node] = world.nodes;
  const kept = () => node!.disk.paths(stateFiles(node!.stateDir).code).length;
  const deployed = async (env: string, startMs: number) => {
    const config = { maxSurge: 0, maxUnavailable: 1, startTimeoutMs: 3_600_000, maxStartAttempts: 1 };
    const app = appBackend({ ...config, env: { FAIL_START: env }, userConfig: { startMs } });
    const answer = clients.send(deploy("app", { a: app }), "never");
    await world.run(START_MS);
    expect(await answer).toMatchObject({ kind: "goal" });
  };

  world.start();
  await world.run(START_MS);
  await deployed("0", 10);
  const first = facts.backend("a")?.identity;
  await world.run(CODE_SWEEP_INTERVAL_MS);
  await deployed("1", 3 * CODE_GRACE_MS);
  expect(facts.backend("a")?.identity?.files).not.toBe(first?.files);
  // The new replica has the only place, and takes its time.
  await world.run(2 * CODE_GRACE_MS);
  expect(facts.replicasOf("a").map(({ rollout }) => rollout)).toEqual([2]);
  expect(kept()).toBe(2);
  await world.run(2 * CODE_GRACE_MS);
  const runs = facts.replicasOf("a").filter((replica) => facts.countedStatus(replica)?.state === "ready");
  expect(runs.map(({ spec }) => spec.kind === "replica" && spec.identity)).toEqual([first]);
  expect(world.violation).toBeUndefined();
}, 60_000);
