/** One of two proxies dies: its connections break, everybody else's do not, and new ones work at once. */
import { expect, test } from "vitest";
import { censusOf, processesOf, settled } from "../harness/census.ts";
import { serveEcho } from "../harness/echo.ts";
import { useLab } from "../harness/lab.ts";
import { isGood, type Sent, startLoad } from "../harness/load.ts";
import { kill } from "../harness/processes.ts";
import { healed } from "../harness/wait-for.ts";

const lab = useLab("test");
const PER_SECOND = 100;
const REPLACED_MS = 1_000;
/** From the signal to the moment the kernel has taken the process and closed its connections. */
const DYING_MS = 500;

/** Broken together with the proxy: open, or just accepted, when it was killed. */
const brokeWith = (killedAt: number, sent: Sent): boolean =>
  sent.status === undefined && (sent.connectedAt ?? sent.sentAt) <= killedAt + DYING_MS;

test("kill -9 of a proxy: only its open and just accepted connections break, it is replaced, and nobody reads 404", async () => {
  const echo = await serveEcho(lab(), { replicas: 1, proxies: 2 });
  const load = startLoad({ url: `${echo.echoUrl}?waitMs=10`, perSecond: PER_SECOND });
  await load.more(50);
  const before = await settled(lab(), echo);
  const killedAts: number[] = [];

  // The second kill leaves the replacement of the first one alone: it must have learnt its routes.
  for (const victim of processesOf(before, "proxy")) {
    kill(victim.pid ?? 0);
    const sinceInstant = performance.now();
    killedAts.push(sinceInstant);
    await healed("a killed proxy is replaced", { sinceInstant, promisedMs: REPLACED_MS }, async () => {
      const now = processesOf(await echo.status(), "proxy");
      return now.length === 2 && now.every((proxy) => proxy.state === "ready" && proxy.pid !== victim.pid);
    });
    await load.more(50);
  }

  const after = await settled(lab(), echo);
  expect(processesOf(after, "proxy")).toHaveLength(2);
  const others = ["agent", "controller", "replica"] as const;
  expect(censusOf(after, others)).toEqual(censusOf(before, others));
  const failed = (await load.stop()).filter((sent) => !isGood(sent));
  expect(failed.filter((sent) => !killedAts.some((killedAt) => brokeWith(killedAt, sent)))).toEqual([]);
  expect(echo.ledger.twice()).toEqual([]);
}, 40_000);
