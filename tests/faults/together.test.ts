/** Several processes die at once, or the store with them: what runs, serves; what died, comes back. */
import { mkdirSync, readdirSync, renameSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { backend } from "../../src/index.ts";
import { stateFiles } from "../../src/model/places.ts";
import type { Calls } from "../fixtures/apps/calls.ts";
import { censusOf, processesOf, settled, theOne } from "../harness/census.ts";
import { maitred } from "../harness/command.ts";
import { fixture, serveEcho } from "../harness/echo.ts";
import { follow } from "../harness/follow.ts";
import { useLab } from "../harness/lab.ts";
import { isGood, startLoad } from "../harness/load.ts";
import { isAlive, kill } from "../harness/processes.ts";
import { printMeasured, waitFor } from "../harness/wait-for.ts";

const lab = useLab("test");
const PER_SECOND = 100;
const HEAL_DEADLINE_MS = 15_000;
const DYING_MS = 500;

test("kill -9 of controller, agent and one of two proxies together: running endpoints answer, and everything heals", async () => {
  const echo = await serveEcho(lab(), { replicas: 2, proxies: 2 });
  const load = startLoad({ url: echo.echoUrl, perSecond: PER_SECOND });
  await load.more(50);
  const before = await settled(lab(), echo);
  const follower = follow(echo, "echo");
  const [victim, survivor] = processesOf(before, "proxy");
  const dead = [theOne(before, "controller").pid, theOne(before, "agent").pid, victim?.pid ?? 0];

  for (const pid of dead) kill(pid);
  const killedAt = performance.now();
  await load.more(PER_SECOND);
  await waitFor(
    "controller, agent and proxy are back",
    async () => {
      const { processes } = await echo.status();
      return processes.length === before.processes.length && processes.every(({ pid }) => !dead.includes(pid ?? 0));
    },
    HEAL_DEADLINE_MS,
  );
  const after = await settled(lab(), echo);
  printMeasured("controller, agent and proxy are back", `${Math.round(performance.now() - killedAt)} ms`);

  expect(censusOf(after, ["replica"])).toEqual(censusOf(before, ["replica"]));
  expect(processesOf(after, "proxy").map(({ name }) => name)).toEqual(
    processesOf(before, "proxy").map(({ name }) => name),
  );
  expect(processesOf(after, "proxy").map(({ pid }) => pid)).toContain(survivor?.pid);
  expect(after.endpoints).toEqual(before.endpoints);
  // Nothing but the dead proxy's own connections broke.
  const failed = (await load.stop()).filter((sent) => !isGood(sent));
  const unexplained = failed.filter(
    (sent) => sent.status !== undefined || (sent.connectedAt ?? sent.sentAt) > killedAt + DYING_MS,
  );
  expect(unexplained).toEqual([]);
  expect(echo.ledger.twice()).toEqual([]);
  await follower.expectAtLeast(2);
}, 60_000);

test("controller and agent dead and the store unreadable: running endpoints answer, and with the store back everything heals", async () => {
  const echo = await serveEcho(lab(), { replicas: 2, proxies: 2 });
  const load = startLoad({ url: echo.echoUrl, perSecond: PER_SECOND });
  await load.more(50);
  const before = await settled(lab(), echo);
  const follower = follow(echo, "echo");

  const restore = makeUnreadable(stateFiles(echo.stateDir).store);
  for (const kind of ["controller", "agent"] as const) kill(theOne(before, kind).pid);
  // Long enough for an agent to come back and to find no store.
  await load.more(5 * PER_SECOND);
  restore();

  await waitFor("a controller and an agent are back", async () => (await settled(lab(), echo)) !== undefined, 30_000);
  const after = await settled(lab(), echo);
  expect(censusOf(after, ["proxy", "replica"])).toEqual(censusOf(before, ["proxy", "replica"]));
  expect(after.endpoints).toEqual(before.endpoints);
  expect((await load.stop()).filter((sent) => !isGood(sent))).toEqual([]);
  expect(echo.ledger.twice()).toEqual([]);
  await follower.expectAtLeast(2);
}, 90_000);

/** Puts a folder in the store file's place: unreadable for everybody, root included. The answer puts the file back. */
const makeUnreadable = (file: string): (() => void) => {
  const folder = join(file, "..");
  const name = file.slice(folder.length + 1);
  const names = readdirSync(folder).filter((entry) => entry.startsWith(name));
  const away = lab().folder("store-away");
  for (const entry of names) renameSync(join(folder, entry), join(away, entry));
  mkdirSync(file);
  return () => {
    rmdirSync(file);
    for (const entry of names) renameSync(join(away, entry), join(folder, entry));
  };
};

test("kill -9 of controller, agent and all proxies: shutdown ends and erases what is left of the instance", async () => {
  const echo = await serveEcho(lab(), { replicas: 2, proxies: 1 });
  const before = await settled(lab(), echo);
  const [proxy] = processesOf(before, "proxy");
  for (const pid of [theOne(before, "agent").pid, theOne(before, "controller").pid, proxy?.pid ?? 0]) kill(pid);
  const ended = await maitred(["shutdown", "--yes", "--instance", echo.name]);
  expect(ended).toMatchObject({ status: 0, stdout: expect.stringContaining("ended and erased") });
  await waitFor("nothing is left", () => lab().leftovers().length === 0, HEAL_DEADLINE_MS);
}, 60_000);

test("kill -9 of controller and agent when a stop has ended the proxies and its replicas still drain: the stop ends them", async () => {
  const instance = await lab().start({ proxies: 1 });
  const calls = backend<typeof Calls>({ module: fixture("apps/calls.ts"), export: "Calls" });
  await instance.client.createBackend("slow", calls);
  await instance.client.createEndpoint("slow", { backend: "slow" });
  const before = await settled(lab(), instance);
  const [proxy] = processesOf(before, "proxy");
  const slow = instance.client
    .getHandle<typeof Calls>("slow")
    .slow(4_000)
    .catch(() => {});

  const stop = maitred(["stop", "--instance", instance.name]);
  await waitFor("the proxy has ended", () => !isAlive(proxy?.pid ?? 0), HEAL_DEADLINE_MS);
  for (const kind of ["controller", "agent"] as const) kill(theOne(before, kind).pid);
  expect(await stop).toMatchObject({ status: 0, stdout: expect.stringContaining("stopped") });
  await slow;
  expect(
    lab()
      .leftovers()
      .filter((left) => left.startsWith("process")),
  ).toEqual([]);
}, 60_000);
