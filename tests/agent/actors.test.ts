/** What an agent does with the actors that the store assigns to it: real agent, store and processes. */
import { readFileSync, writeFileSync } from "node:fs";
import { createConnection } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { ActorName } from "../../src/model/ids.ts";
import { makeInstance, type TestInstance, until } from "./harness.ts";

let world: TestInstance;
beforeEach(async () => {
  world = await makeInstance();
  await world.start();
});
afterEach(() => world.dispose());

const outputOf = (actor: string): string => readFileSync(world.state.log(actor), "utf8");

it("runs what is assigned and reports it ready", async () => {
  await world.assign("b#1");
  const row = await world.untilStatus("b#1", (status) => status.state === "ready");
  expect(row).toMatchObject({ incarnation: 1, configRevision: 1, health: "healthy", failedStarts: 0 });
  expect(row.address).toBe(`unix:${world.run.actorSocket("b#1" as ActorName, 1)}`);
  expect(world.isAlive(row.pid!)).toBe(true);
});

it("restarts a killed replica under the same name with the next incarnation, at once", async () => {
  await world.assign("b#1");
  const { pid } = await world.untilStatus("b#1", (status) => status.state === "ready");
  process.kill(pid!, "SIGKILL");
  const row = await world.untilStatus("b#1", (status) => status.state === "ready" && status.incarnation === 2, 2_000);
  expect(row.pid).not.toBe(pid);
  expect(row.failedStarts).toBe(0);
});

it("passes a new configuration on to the running process and reports what it applied", async () => {
  await world.assign("b#1");
  const before = await world.untilStatus("b#1", (status) => status.state === "ready");
  await world.assign("b#1", { configRevision: 5 });
  const after = await world.untilStatus("b#1", (status) => status.configRevision === 5);
  expect(after.pid).toBe(before.pid);
  const file = JSON.parse(readFileSync(world.state.actor("b#1" as ActorName), "utf8"));
  expect(file.assignment.configRevision).toBe(5);
});

it("drains: the process finishes and is not started again; its files go with its record", async () => {
  await world.assign("b#1");
  await world.untilStatus("b#1", (status) => status.state === "ready");
  await world.assign("b#1", { intent: { kind: "drain", timeoutMs: 20_000 } });
  const row = await world.untilStatus("b#1", (status) => status.state === "exited");
  expect(row.error).toBeUndefined();
  expect(outputOf("b#1")).toContain("told to drain");
  await world.unassign("b#1");
  await until("the row is deleted", async () => (await world.statusOf("b#1")) === undefined);
  expect(() => readFileSync(world.state.actor("b#1" as ActorName))).toThrow("ENOENT");
});

it("kills a replica that does not finish its drain in time", async () => {
  await world.assign("b#1", { config: { userConfig: "stubborn" } });
  const { pid } = await world.untilStatus("b#1", (status) => status.state === "ready");
  await world.assign("b#1", { config: { userConfig: "stubborn" }, intent: { kind: "drain", timeoutMs: 300 } });
  const row = await world.untilStatus("b#1", (status) => status.state === "exited");
  expect(row.error?.code).toBe("drain-timeout");
  expect(world.isAlive(pid!)).toBe(false);
});

it("kills at once what is to be killed; what has no record is drained, and killed when its time is over", async () => {
  await world.assign("b#1", { config: { userConfig: "stubborn" } });
  await world.assign("b#2", { config: { userConfig: "stubborn", gracefulShutdownTimeoutMs: 2_000 } });
  const first = await world.untilStatus("b#1", (status) => status.state === "ready");
  const second = await world.untilStatus("b#2", (status) => status.state === "ready");
  await world.assign("b#1", { intent: { kind: "kill" } });
  await world.unassign("b#2");
  await world.untilStatus("b#1", (status) => status.state === "exited");
  await until("both are dead", () => !world.isAlive(first.pid!) && !world.isAlive(second.pid!));
  expect([outputOf("b#1"), outputOf("b#2")].map((output) => output.includes("told to drain"))).toEqual([false, true]);
});

it("tries a replica that cannot start a limited number of times and shows the user's own error", async () => {
  await world.assign("b#1", { config: { userConfig: "throws", maxStartAttempts: 2 } });
  const row = await world.untilStatus("b#1", (status) => status.state === "exited" && status.failedStarts === 2);
  expect(row.error).toMatchObject({ code: "start-failed", message: "no model at ./model.onnx" });
  expect(row.incarnation).toBe(2);
});

it("kills a replica that never gets ready and counts it as a failed start", async () => {
  await world.assign("b#1", { config: { userConfig: "hangs", startTimeoutMs: 300, maxStartAttempts: 1 } });
  const row = await world.untilStatus("b#1", (status) => status.state === "exited");
  expect(row).toMatchObject({ failedStarts: 1, error: { code: "start-timeout" } });
  expect(row.error?.message).toContain("300 ms");
});

it("says what is wrong when a process cannot even be made", async () => {
  const config = { cwd: "/does/not/exist", maxStartAttempts: 1 };
  await world.assign("b#1", { config });
  const row = await world.untilStatus("b#1", (status) => status.state === "exited" && status.failedStarts === 1);
  expect(row.error?.message).toContain("/does/not/exist does not exist");
});

it("gives a replica the agent's environment, then its envFile, then its env", async () => {
  const envFile = join(world.stateDir, "..", "b.env");
  writeFileSync(envFile, "GREETING=from-file\nOTHER=1\n");
  await world.assign("b#1", { config: { envFile, cwd: "/tmp" } });
  await world.assign("b#2", { config: { envFile, env: { GREETING: "from-env" } } });
  await world.untilStatus("b#1", (status) => status.state === "ready");
  await world.untilStatus("b#2", (status) => status.state === "ready");
  expect(await until("its output", () => outputOf("b#1"))).toContain("env from-file cwd /tmp");
  expect(await until("its output", () => outputOf("b#2"))).toContain("env from-env");
});

const ask = (port: number): Promise<string> =>
  new Promise((resolve, reject) => {
    let text = "";
    createConnection(port, "127.0.0.1")
      .on("data", (part) => {
        text += part.toString();
      })
      .on("error", reject)
      .on("close", () => resolve(text));
  });
const portOf = (address: string | undefined): number => Number(address?.split(":").at(-1));

it("keeps the port while proxies come and go: connections wait, none is refused", async () => {
  await world.assign("proxy#1");
  await world.assign("proxy#2");
  const first = await world.untilStatus("proxy#1", (status) => status.state === "ready");
  const second = await world.untilStatus("proxy#2", (status) => status.state === "ready");
  const port = portOf(first.address);
  expect(portOf(second.address)).toBe(port);

  process.kill(first.pid!, "SIGKILL");
  const oneLeft = await Promise.all(Array.from({ length: 10 }, () => ask(port)));
  expect(oneLeft.every((pid) => pid !== "")).toBe(true);
  await world.untilStatus("proxy#1", (status) => status.state === "ready" && status.incarnation === 2);

  const now = await Promise.all(["proxy#1", "proxy#2"].map((actor) => world.statusOf(actor)));
  for (const row of now) process.kill(row!.pid!, "SIGKILL");
  await until("both are dead", () => now.every((row) => !world.isAlive(row!.pid!)));
  const waiting = await Promise.all(Array.from({ length: 10 }, () => ask(port)));
  expect(waiting.every((pid) => pid !== "")).toBe(true);
});
