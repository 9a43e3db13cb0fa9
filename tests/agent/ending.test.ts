/** How an instance ends: stop, shutdown, a signal, an owner that goes; and what a crash leaves of it. Real processes. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { afterEach, expect, it } from "vitest";
import { processHost } from "../../src/adapters/processes.ts";
import { makeInstance, type TestInstance, until } from "./harness.ts";

let world: TestInstance;
const owners: ChildProcess[] = [];
afterEach(async () => {
  for (const owner of owners.splice(0)) owner.kill("SIGKILL");
  await world.dispose();
});

/** The program of an instance that is not detached; killed at the end of the test, whatever became of that. */
const startOwner = (): ChildProcess => {
  const owner = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], { stdio: "ignore" });
  owners.push(owner);
  return owner;
};

const runTwo = async () => {
  await world.assign("b#1");
  await world.assign("proxy#2");
  await world.untilStatus("b#1", (status) => status.state === "ready");
  await world.untilStatus("proxy#2", (status) => status.state === "ready");
};

it("ends when the store says stopped, keeps the state, and starts again under the same id", async () => {
  world = await makeInstance();
  const first = await world.start();
  await world.assign("b#1");
  await world.untilStatus("b#1", (status) => status.state === "ready");
  await world.setPhase("stopping");
  await world.assign("b#1", { intent: { kind: "drain", timeoutMs: 5_000 } });
  await world.untilStatus("b#1", (status) => status.state === "exited");
  await world.unassign("b#1");
  await world.setPhase("stopped");
  await until("nothing runs", () => world.isGone());
  expect(existsSync(world.runDir)).toBe(false);
  expect(existsSync(world.state.store)).toBe(true);

  const second = await world.start();
  expect(second.alreadyRunning).toBe(false);
  expect(second.instanceFile.id).toBe(first.instanceFile.id);
});

it("erases everything at shutdown, marked before the first process goes", async () => {
  world = await makeInstance();
  await world.start();
  await runTwo();
  await world.setPhase("erasing");
  await until("nothing is left", () => world.isErased());
});

it("drains and keeps the state at SIGTERM, and runs the same again at the next start", async () => {
  world = await makeInstance();
  await world.start();
  await runTwo();
  process.kill((await world.agentPid())!, "SIGTERM");
  await until("nothing runs", () => world.isGone());
  await world.start();
  const row = await world.untilStatus("b#1", (status) => status.state === "ready");
  expect(row.incarnation).toBe(2);
});

it("ends at once at a second SIGTERM", async () => {
  world = await makeInstance();
  await world.start();
  await world.assign("b#1", { config: { userConfig: "stubborn" } });
  await world.untilStatus("b#1", (status) => status.state === "ready");
  const agent = (await world.agentPid())!;
  process.kill(agent, "SIGTERM");
  await world.untilStatus("b#1", (status) => status.state === "draining");
  process.kill(agent, "SIGTERM");
  await until("nothing runs", () => world.everybody().length === 0, 2_000);
});

it("finishes what a crash has left of a shutdown, whoever starts the next agent", async () => {
  world = await makeInstance();
  await world.start();
  await runTwo();
  // As a crash right after the tombstone leaves it: everything still runs.
  writeFileSync(world.state.tombstone, "");
  for (const pid of [world.controller().process!.pid, (await world.agentPid())!]) process.kill(pid, "SIGKILL");
  await until("a proxy starts an agent, which erases", () => world.isErased());
});

it("finishes a shutdown that was cut off before it starts anew", async () => {
  world = await makeInstance();
  const first = await world.start();
  await world.assign("b#1");
  await world.untilStatus("b#1", (status) => status.state === "ready");
  for (const pid of [world.controller().process!.pid, (await world.agentPid())!]) process.kill(pid, "SIGKILL");
  writeFileSync(world.state.tombstone, "");
  const orphan = world.everybody();
  await world.store().close();
  const second = await world.start();
  expect(second.instanceFile.id).not.toBe(first.instanceFile.id);
  expect(orphan.filter((pid) => world.isAlive(pid))).toEqual([]);
});

it("leaves nothing within 5 s when the program of a non-detached instance is killed", async () => {
  const owner = startOwner();
  world = await makeInstance({ owners: [processHost().identityOf(owner.pid!)!] });
  await world.start();
  await runTwo();
  await world.assign("b#3", { config: { userConfig: "stubborn" } });
  await world.untilStatus("b#3", (status) => status.state === "ready");
  owner.kill("SIGKILL");
  await until("nothing is left", () => world.isErased(), 5_000);
  expect(world.everybody()).toEqual([]);
});

it("leaves nothing when the program and the agent are killed together", async () => {
  const owner = startOwner();
  world = await makeInstance({ owners: [processHost().identityOf(owner.pid!)!] });
  await world.start();
  await runTwo();
  process.kill((await world.agentPid())!, "SIGKILL");
  owner.kill("SIGKILL");
  await until("nothing is left", () => world.isErased(), 5_000);
});
