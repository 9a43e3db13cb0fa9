/** Starts that race, join, or fail: each ends in one running instance or in one sentence and nothing left behind. */
import { existsSync, readdirSync } from "node:fs";
import { createServer } from "node:net";
import { afterEach, beforeEach, expect, it } from "vitest";
import { chooseInstance, listInstances } from "../../src/adapters/find-instance.ts";
import { makeInstance, type TestInstance, until } from "./harness.ts";

let world: TestInstance;
beforeEach(async () => {
  world = await makeInstance();
});
afterEach(async () => {
  delete process.env["STAND_IN_CONTROLLER"];
  await world.dispose();
});

it("lets racing starts meet in one instance", async () => {
  const results = await Promise.all([world.start(), world.start(), world.start()]);
  expect(results.filter((result) => !result.alreadyRunning)).toHaveLength(1);
  expect(new Set(results.map((result) => result.instanceFile.id)).size).toBe(1);
  await until("one agent is left", () => world.agents().length === 1);
});

it("finds an instance that runs already", async () => {
  const first = await world.start();
  const second = await world.start();
  expect(second).toEqual({ instanceFile: first.instanceFile, alreadyRunning: true });
});

it("refuses another instance in a folder that is in use", async () => {
  await world.start();
  await expect(world.start({ instance: "other" })).rejects.toMatchObject({ code: "instance-exists" });
});

it("refuses a port in use, and leaves nothing", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as { port: number };
  try {
    await expect(world.start({ http: { host: "127.0.0.1", port } })).rejects.toMatchObject({
      code: "port-in-use",
      message: expect.stringContaining(`port ${port} of 127.0.0.1 is already in use`),
    });
  } finally {
    server.close();
  }
  expect(existsSync(world.stateDir)).toBe(false);
  expect(existsSync(world.runDir)).toBe(false);
  expect(world.everybody()).toEqual([]);
});

it("passes on why the controller cannot start, and leaves nothing", async () => {
  process.env["STAND_IN_CONTROLLER"] = "refuses";
  await expect(world.start()).rejects.toMatchObject({ code: "schema-newer" });
  expect(existsSync(world.stateDir)).toBe(false);
  expect(world.everybody()).toEqual([]);
});

it("gives up a start whose controllers only die", async () => {
  process.env["STAND_IN_CONTROLLER"] = "dies";
  await expect(world.start()).rejects.toMatchObject({ code: "controller-unavailable" });
  expect(world.everybody()).toEqual([]);
});

it("ends what it has begun when the start is called off", async () => {
  process.env["STAND_IN_CONTROLLER"] = "never leads";
  const calledOff = new AbortController();
  const started = world.start({}, calledOff.signal);
  started.catch(() => {});
  await until("the agent has begun", () => existsSync(world.state.launch));
  calledOff.abort(new Error("never mind"));
  await expect(started).rejects.toThrow("never mind");
  expect(world.everybody()).toEqual([]);
  expect([world.stateDir, world.runDir].filter((path) => existsSync(path))).toEqual([]);
});

it("leaves processes of an earlier life alone when the start that has adopted them is called off", async () => {
  await world.start();
  await world.assign("b#1");
  const { pid } = await world.untilStatus("b#1", (status) => status.state === "ready");
  // Nobody is left who could start an agent but the one who starts the instance.
  const dead = [world.controller().process!.pid, (await world.agentPid())!];
  for (const one of dead) process.kill(one, "SIGKILL");
  await until("agent and controller are gone", () => !dead.some((one) => world.isAlive(one)));
  process.env["STAND_IN_CONTROLLER"] = "never leads";
  const calledOff = new AbortController();
  const started = world.start({}, calledOff.signal);
  started.catch(() => {});
  await until(
    "the next controller has been started",
    () => !dead.includes(world.controller().process?.pid ?? dead[0]!),
  );
  calledOff.abort(new Error("never mind"));
  await expect(started).rejects.toThrow("never mind");
  expect(world.everybody()).toEqual([pid]);
});

it("is found by name, by folder, or because it is the only one", async () => {
  await world.start();
  const env = process.env;
  expect(listInstances(env).map((found) => found.file.name)).toEqual(["test"]);
  expect(chooseInstance({ instance: undefined, env }).stateDir).toBe(world.stateDir);
  expect(chooseInstance({ instance: "test", env }).runDir).toBe(world.runDir);
  expect(() => chooseInstance({ instance: "nope", env })).toThrow("These run: test");
  const byFolder = { ...env, MAITRED_STATE_DIR: world.stateDir };
  expect(chooseInstance({ instance: undefined, env: byFolder }).file.name).toBe("test");
});

it("keeps secrets to its user: folders are 0700, files 0600", async () => {
  await world.start();
  await world.assign("b#1");
  await world.untilStatus("b#1", (status) => status.state === "ready");
  const { statSync } = await import("node:fs");
  const modeOf = (path: string) => (statSync(path).mode & 0o777).toString(8);
  expect(modeOf(world.stateDir)).toBe("700");
  expect(modeOf(world.runDir)).toBe("700");
  expect(modeOf(world.run.agentSocket)).toBe("600");
  for (const path of [
    world.state.launch,
    ...readdirSync(world.state.actors).map((name) => `${world.state.actors}/${name}`),
  ]) {
    expect(modeOf(path)).toBe("600");
  }
});
