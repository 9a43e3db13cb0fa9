/**
 * The disk of the state folder is full: everybody is told, nobody's request fails, and with room again all goes on by itself. Where this
 * user may mount no small disk, a limit on the size of files takes its place: then no process of the instance can write to any.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { backend } from "../../src/index.ts";
import { processesOf, theOne } from "../harness/census.ts";
import { maitred } from "../harness/command.ts";
import { ECHO } from "../harness/echo.ts";
import { ask, expectProblem } from "../harness/http.ts";
import { type Lab, useLab } from "../harness/lab.ts";
import { isGood, startLoad } from "../harness/load.ts";
import { commandOf, kill, killAndWait, markedPids } from "../harness/processes.ts";
import { rest } from "../harness/rest.ts";
import { mayMount, mountDisk } from "../harness/small-disk.ts";
import { waitFor } from "../harness/wait-for.ts";

const DISK_BYTES = 8_000_000;
const HEAL_DEADLINE_MS = 30_000;

const lab = useLab("test");

interface Disk {
  /** Nothing else is full: the run folder, with the lock of agents, can be written. */
  readonly isStateOnly: boolean;
  readonly env: Readonly<Record<string, string>>;
  fill(): void;
  free(): void;
}

const smallDisk = (of: Lab): Disk => {
  // Outside of the lab, which removes its own folder before this test has ended.
  const folder = mkdtempSync(join(dirname(of.root), "maitred-full-"));
  const disk = mountDisk(folder, DISK_BYTES);
  if (disk === undefined) throw new Error("no disk, though one could be mounted a moment ago");
  onTestFinished(() => {
    disk.unmount();
    rmSync(folder, { recursive: true });
  });
  return { ...disk, isStateOnly: true, env: { MAITRED_STATE_DIR: join(disk.path, "state") } };
};

const fileLimit = (of: Lab): Disk => {
  const limit = (size: string): void => {
    // Not checked: one may end between the look and the limit, and a new one takes the limit of its agent.
    for (const pid of markedPids(of.mark)) spawnSync("prlimit", ["--pid", String(pid), `--fsize=${size}:`]);
  };
  return { isStateOnly: false, env: {}, fill: () => limit("0"), free: () => limit("unlimited") };
};

/** Answers who came to the rescue: of several the one that has the lock. */
const killAgent = async (killed: number): Promise<number> => {
  kill(killed);
  const agents = () => markedPids(lab().mark).filter((pid) => pid !== killed && /^maitred agent/.test(commandOf(pid)));
  return waitFor("one agent is back", () => agents().length === 1 && agents()[0], HEAL_DEADLINE_MS);
};

const THROUGH = mayMount ? "a small tmpfs" : "a limit on file sizes";
const SAYS = mayMount ? /the disk is full\. Free some space\./ : /cannot be used/;

test(`a full disk refuses changes with what to do, and everything heals when there is room (${THROUGH})`, async () => {
  const disk = mayMount ? smallDisk(lab()) : fileLimit(lab());
  const instance = await lab().start({ env: disk.env });
  await instance.client.createBackend("echo", backend(ECHO), { numReplicas: 2 });
  await instance.client.createEndpoint("echo", { route: "/echo", backend: "echo" });
  const load = startLoad({ url: `${instance.url}/echo`, perSecond: 50 });
  disk.fill();

  const refused = await maitred(["backend", "scale", "echo", "3", "--instance", instance.name]);
  expect(refused).toMatchObject({ status: 1 });
  expect(refused.stderr).toMatch(SAYS);
  expect(refused.stderr).toMatch(/running endpoints answer\. \[store-unavailable\]/);
  const problem = await rest(instance, "/v1/backends/echo/config", { method: "PATCH", body: { numReplicas: 3 } });
  expect(expectProblem(problem, { status: 503, code: "store-unavailable" })).toMatch(SAYS);

  const status = await instance.status();
  expect(status.problem).toMatch(SAYS);
  expect(status).toMatchObject({
    endpoints: [{ tag: "echo", traffic: { echo: 1 } }],
    backends: [{ tag: "echo", replicas: { wanted: 2, running: 2 } }],
  });
  const shown = await maitred(["status", "--instance", instance.name]);
  expect(shown).toMatchObject({ status: 0 });
  expect(shown.stdout).toMatch(SAYS);

  // Also by a controller that is new, and knows nothing but what lies on the disk.
  kill(theOne(status, "controller").pid);
  const again = await waitFor(
    "a new controller says it too",
    async () => {
      const now = await instance.status();
      return now.problem !== undefined && theOne(now, "controller").restarts > 0 && now;
    },
    HEAL_DEADLINE_MS,
  );
  expect(again.backends).toMatchObject([{ tag: "echo", replicas: { wanted: 2 } }]);
  const agent = disk.isStateOnly ? await killAgent(theOne(status, "agent").pid) : theOne(status, "agent").pid;
  await load.more(50);
  expect((await load.stop()).filter((sent) => !isGood(sent))).toEqual([]);

  // What dies now cannot be written down, so it is not started again until there is room: then at once, without anybody's help.
  for (const { pid } of processesOf(again, "replica")) await killAndWait(pid ?? 0);
  disk.free();
  const answer = () => ask(`${instance.url}/echo`, { body: { id: "x" } });
  // The first one may still have been on its way to a replica that was dying.
  await waitFor("it answers", async () => (await answer()).status === 200, HEAL_DEADLINE_MS);
  await instance.client.updateBackendConfig("echo", { numReplicas: 3 });
  const healed = await instance.status();
  expect(healed.problem).toBeUndefined();
  expect(healed.backends).toMatchObject([{ replicas: { wanted: 3, running: 3 }, goal: { state: "reached" } }]);
  expect(theOne(healed, "agent").pid).toBe(agent);
}, 90_000);
