/** What lives on when agent, controller or store go, and what the next agent does: real processes, `kill -9`, SIGSTOP. */
import { writeFileSync } from "node:fs";
import { createConnection } from "node:net";
import { afterEach, beforeEach, expect, it } from "vitest";
import { tryAcquireLock } from "../../src/adapters/kernel-lock.ts";
import type { ActorName } from "../../src/model/ids.ts";
import { makeInstance, type TestInstance, until } from "./harness.ts";

let world: TestInstance;
beforeEach(async () => {
  world = await makeInstance();
  await world.start();
});
afterEach(() => world.dispose());

const ready = (actor: string, timeoutMs?: number) =>
  world.untilStatus(actor, (status) => status.state === "ready", timeoutMs);
const untilOtherAgent = (old: number) =>
  until("another agent is registered", async () => {
    const pid = await world.agentPid();
    return pid !== undefined && pid !== old && world.isAlive(pid) ? pid : undefined;
  });

it("adopts every process after its agent was killed: no pid changes", async () => {
  await world.assign("b#1");
  await world.assign("b#2");
  await world.assign("proxy#3");
  const before = await Promise.all([ready("b#1"), ready("b#2"), ready("proxy#3")]);
  const controller = world.controller();
  const agent = (await world.agentPid())!;

  process.kill(agent, "SIGKILL");
  await untilOtherAgent(agent);
  const after = await Promise.all([ready("b#1"), ready("b#2"), ready("proxy#3")]);

  expect(after.map((row) => row.pid)).toEqual(before.map((row) => row.pid));
  expect(after.map((row) => row.incarnation)).toEqual([1, 1, 1]);
  expect(world.controller()).toEqual(controller);
  // Controller and proxy may both have started one; whoever does not get the lock ends.
  await until("one agent is left", () => Promise.resolve(world.agents().length === 1 || undefined));
});

it("takes over what it is told to do with an adopted process", async () => {
  await world.assign("b#1");
  await world.assign("b#2");
  await Promise.all([ready("b#1"), ready("b#2")]);
  const agent = (await world.agentPid())!;
  process.kill(agent, "SIGKILL");
  await untilOtherAgent(agent);

  const adopted = await ready("b#1");
  process.kill(adopted.pid!, "SIGKILL");
  await world.untilStatus("b#1", (status) => status.state === "ready" && status.incarnation === 2, 2_000);
  await world.assign("b#2", { configRevision: 4 });
  await world.untilStatus("b#2", (status) => status.configRevision === 4);
  await world.assign("b#2", { intent: { kind: "drain", timeoutMs: 5_000 } });
  await world.untilStatus("b#2", (status) => status.state === "exited");
});

it("binds the port again beside the proxies of the agent before it", async () => {
  await world.assign("proxy#1");
  const before = await ready("proxy#1");
  const agent = (await world.agentPid())!;
  process.kill(agent, "SIGKILL");
  await untilOtherAgent(agent);
  await world.assign("proxy#2");
  const second = await ready("proxy#2");
  expect(second.address).toBe(before.address);
  process.kill(before.pid!, "SIGKILL");
  const again = await world.untilStatus("proxy#1", (status) => status.state === "ready" && status.incarnation === 2);
  expect(again.address).toBe(before.address);
});

it("replaces a killed controller at once, without waiting for its lease", async () => {
  const before = await until("a leader", () => world.leader());
  process.kill(before.pid, "SIGKILL");
  const after = await until(
    "another leader",
    async () => {
      const leader = await world.leader();
      return leader !== undefined && leader.pid !== before.pid ? leader : undefined;
    },
    1_500,
  );
  expect(world.isAlive(after.pid)).toBe(true);
});

it("replaces a controller that is stopped, and what resumes is dead", async () => {
  const before = await until("a leader", () => world.leader());
  process.kill(before.pid, "SIGSTOP");
  await until(
    "another leader",
    async () => {
      const leader = await world.leader();
      return leader !== undefined && leader.pid !== before.pid;
    },
    6_500,
  );
  expect(world.isAlive(before.pid)).toBe(false);
});

it("comes back when agent and controller are killed together, by the hand of a proxy", async () => {
  await world.assign("b#1");
  await world.assign("proxy#2");
  const before = await Promise.all([ready("b#1"), ready("proxy#2")]);
  const agent = (await world.agentPid())!;
  const leader = (await world.leader())!;
  process.kill(agent, "SIGKILL");
  process.kill(leader.pid, "SIGKILL");
  await untilOtherAgent(agent);
  await until("another leader", async () => ((await world.leader())?.pid ?? leader.pid) !== leader.pid, 3_000);
  const after = await Promise.all([ready("b#1"), ready("proxy#2")]);
  expect(after.map((row) => row.pid)).toEqual(before.map((row) => row.pid));
});

it("keeps its lock while it is stopped, and goes on without starting anything twice", async () => {
  await world.assign("b#1");
  const before = await ready("b#1");
  const controller = world.controller();
  const agent = (await world.agentPid())!;
  process.kill(agent, "SIGSTOP");
  try {
    expect(tryAcquireLock(world.run.lock)).toBeUndefined();
    // Longer than its lease and its limit for a silent controller.
    await until("its lease has lapsed", async () => (await world.agentPid()) === undefined, 8_000);
    expect(world.agents()).toEqual([agent]);
  } finally {
    process.kill(agent, "SIGCONT");
  }
  await until("it is registered again", async () => (await world.agentPid()) === agent);
  const after = await ready("b#1");
  expect(after).toMatchObject({ pid: before.pid, incarnation: 1 });
  expect(world.controller()).toEqual(controller);
  expect(world.isAlive(controller.process!.pid)).toBe(true);
});

it("keeps and adopts everything when the store is replaced by garbage", async () => {
  await world.assign("b#1");
  await world.assign("proxy#2");
  const [replica, proxy] = await Promise.all([ready("b#1"), ready("proxy#2")]);
  const agent = (await world.agentPid())!;
  await world.store().close();
  for (const path of [world.state.store, `${world.state.store}-wal`]) writeFileSync(path, "garbage ".repeat(4_000));
  process.kill(agent, "SIGKILL");
  process.kill(world.controller().process!.pid, "SIGKILL");

  await until("another agent runs", () => world.agents().some((pid) => pid !== agent));
  // A crashed replica is restarted from its local file alone.
  process.kill(replica.pid!, "SIGKILL");
  await until("it is dead", () => !world.isAlive(replica.pid!));
  await until("it runs again", () => world.runs(world.state.actor("b#1" as ActorName)));
  expect(world.isAlive(proxy.pid!)).toBe(true);
  const port = Number(proxy.address?.split(":").at(-1));
  await new Promise<void>((resolve, reject) => {
    createConnection(port, "127.0.0.1")
      .on("error", reject)
      .on("data", () => resolve());
  });
});
