/** The agent dies or stands still: every process of its node lives on, and one agent goes on with all of them. */
import { expect, test } from "vitest";
import { censusOf, processesOf, settled, theOne } from "../harness/census.ts";
import { serveEcho } from "../harness/echo.ts";
import { follow } from "../harness/follow.ts";
import { useLab } from "../harness/lab.ts";
import { isGood, startLoad } from "../harness/load.ts";
import { commandOf, kill, markedPids } from "../harness/processes.ts";
import { healed, pause, waitFor } from "../harness/wait-for.ts";

const lab = useLab("test");
const PER_SECOND = 100;
const BACK_MS = 1_000;
const STOPPED_MS = 10_000;
const RESTART_DEADLINE_MS = 6_000;
const everybodyElse = ["controller", "proxy", "replica"] as const;

test("kill -9 of the agent: no request fails, and the next one has adopted every process within 1 s", async () => {
  const echo = await serveEcho(lab(), { replicas: 2, proxies: 2 });
  const load = startLoad({ url: echo.echoUrl, perSecond: PER_SECOND });
  await load.more(50);
  const before = await settled(lab(), echo);
  const agent = theOne(before, "agent");

  kill(agent.pid);
  await healed("an agent is back after kill -9", { sinceInstant: performance.now(), promisedMs: BACK_MS }, async () => {
    const now = theOne(await echo.status(), "agent");
    return now.pid !== agent.pid && now.state === "ready";
  });
  const adopted = await settled(lab(), echo);
  expect(censusOf(adopted, everybodyElse)).toEqual(censusOf(before, everybodyElse));
  expect([agent.restarts, theOne(adopted, "agent").restarts]).toEqual([0, 1]);

  // Adopted means supervised: intents and deaths are seen to as before.
  await echo.client.updateBackendConfig("echo", { numReplicas: 3 });
  await echo.client.updateBackendConfig("echo", { numReplicas: 2 });
  expect((await settled(lab(), echo)).backends).toMatchObject([{ replicas: { wanted: 2, running: 2 } }]);

  expect((await load.stop()).filter((sent) => !isGood(sent))).toEqual([]);
  expect(echo.ledger.twice()).toEqual([]);
  for (const replica of processesOf(adopted, "replica")) {
    kill(replica.pid ?? 0);
    await waitFor(
      `${replica.name} runs again`,
      async () =>
        processesOf(await echo.status(), "replica").some(
          ({ name, pid, state }) => name === replica.name && state === "ready" && pid !== replica.pid,
        ),
      RESTART_DEADLINE_MS,
    );
  }
}, 40_000);

test("kill -9 of the agent, and of the next one before it has heard from anybody: nothing that is published is withdrawn", async () => {
  const echo = await serveEcho(lab(), { replicas: 2 });
  const follower = follow(echo, "echo");
  const before = await settled(lab(), echo);
  const load = startLoad({ url: echo.echoUrl, perSecond: PER_SECOND });
  await load.more(50);

  for (const _round of [1, 2, 3]) {
    const agent = theOne(await echo.status(), "agent");
    kill(agent.pid);
    await waitFor(
      "the next agent is registered",
      async () => theOne(await echo.status(), "agent").pid !== agent.pid,
      RESTART_DEADLINE_MS,
    );
  }
  const after = await settled(lab(), echo);
  expect(censusOf(after, everybodyElse)).toEqual(censusOf(before, everybodyElse));
  expect((await load.stop()).filter((sent) => !isGood(sent))).toEqual([]);
  await follower.expectAtLeast(2);
}, 40_000);

test("SIGSTOP of the agent for 10 s: no request fails, no second agent runs, and it goes on with nothing started twice", async () => {
  const echo = await serveEcho(lab(), { replicas: 2, proxies: 2 });
  const load = startLoad({ url: echo.echoUrl, perSecond: PER_SECOND });
  await load.more(50);
  const before = await settled(lab(), echo);
  const follower = follow(echo, "echo");
  const agent = theOne(before, "agent");
  const agentCommand = commandOf(agent.pid).split(" ").slice(0, 2).join(" ");

  kill(agent.pid, "SIGSTOP");
  const stoppedAt = performance.now();
  const secondAgents = new Set<string>();
  while (performance.now() < stoppedAt + STOPPED_MS) {
    for (const pid of markedPids(lab().mark)) {
      if (pid !== agent.pid && commandOf(pid).startsWith(agentCommand)) secondAgents.add(`${pid} ${commandOf(pid)}`);
    }
    await pause(100);
  }
  kill(agent.pid, "SIGCONT");
  expect([...secondAgents]).toEqual([]);

  await echo.client.updateBackendConfig("echo", { numReplicas: 3 });
  const after = await settled(lab(), echo);
  // It was registered anew, and is the same process: nothing was restarted.
  expect(theOne(after, "agent")).toMatchObject({ pid: agent.pid, incarnation: 1, restarts: 0 });
  expect(censusOf(after, everybodyElse)).toMatchObject(censusOf(before, everybodyElse));
  expect(after.processes).toHaveLength(before.processes.length + 1);

  expect((await load.stop()).filter((sent) => !isGood(sent))).toEqual([]);
  expect(echo.ledger.twice()).toEqual([]);
  await follower.expectAtLeast(2);
}, 60_000);
