/** A replica dies in the middle of its queries: those fail with a clear answer, no others, and it comes back. */
import { readdirSync } from "node:fs";
import { expect, test } from "vitest";
import { censusOf, processesOf, settled } from "../harness/census.ts";
import { serveEcho } from "../harness/echo.ts";
import { useLab } from "../harness/lab.ts";
import { isGood, type Sent, startLoad } from "../harness/load.ts";
import { kill } from "../harness/processes.ts";
import { healed, printMeasured, waitFor } from "../harness/wait-for.ts";

const lab = useLab("test");
const PER_SECOND = 100;
/** The agent looks every 5 s. */
const SWEPT_MS = 15_000;
/** The echo fixture loads in no time of its own. */
const SERVES_AGAIN_MS = 2_000;
/** From the signal to the moment the kernel closes the process's connections: what is sent to it meanwhile may have been started. */
const DYING_MS = 500;

test("kill -9 of one of two replicas: only queries already started there fail, with 502 problem JSON, and it serves again", async () => {
  const echo = await serveEcho(lab(), { replicas: 2 });
  // Queries of 50 ms: at 100 a second each replica is killed with some of them started.
  const load = startLoad({ url: `${echo.echoUrl}?waitMs=50`, perSecond: PER_SECOND });
  await load.more(50);
  const before = await settled(lab(), echo);
  const killedAts: number[] = [];
  const startedThere: string[] = [];

  for (const victim of processesOf(before, "replica")) {
    const pid = victim.pid ?? 0;
    kill(pid);
    const sinceInstant = performance.now();
    killedAts.push(sinceInstant);
    await healed("a killed replica serves again", { sinceInstant, promisedMs: SERVES_AGAIN_MS }, () =>
      load.answered.some(({ body }) => {
        const answer = body as { readonly replicaTag?: string; readonly pid?: number } | undefined;
        return answer?.replicaTag === victim.name && answer.pid !== pid;
      }),
    );
    startedThere.push(...echo.ledger.of(pid));
    const after = await settled(lab(), echo);
    const again = processesOf(after, "replica").find((replica) => replica.name === victim.name);
    expect(again).toMatchObject({ incarnation: victim.incarnation + 1, restarts: victim.restarts + 1 });
    expect(processesOf(after, "replica")).toHaveLength(2);
  }

  const failed = (await load.stop()).filter((sent) => !isGood(sent));
  for (const sent of failed) {
    expect(sent).toMatchObject({ status: 502, reason: "replica-lost", body: { status: 502, code: "replica-lost" } });
  }
  const sentToTheDying = failed.filter(({ id }) => !startedThere.includes(id));
  printMeasured(
    "failed queries",
    `${failed.length}, of which ${sentToTheDying.length} were sent to the dying and not started`,
  );
  const wasDying = ({ sentAt }: Sent): boolean =>
    killedAts.some((killedAt) => sentAt > killedAt - DYING_MS && sentAt < killedAt + DYING_MS);
  expect(sentToTheDying.filter((sent) => !wasDying(sent))).toEqual([]);
  // Nothing that failed there was run anywhere else.
  const startedElsewhere = echo.ledger.all().filter((id) => !startedThere.includes(id));
  expect(failed.filter(({ id }) => startedElsewhere.includes(id))).toEqual([]);
  expect(echo.ledger.twice()).toEqual([]);
  const others = ["agent", "controller", "proxy"] as const;
  expect(censusOf(await echo.status(), others)).toEqual(censusOf(before, others));

  // The dead leave no sockets for long.
  const wires = processesOf(before, "replica").map(
    ({ name, incarnation }) => `${name.split("#")[1]}-${incarnation + 1}`,
  );
  const isWire = (name: string) => /^\d+-\d+\.sock$/.test(name);
  await waitFor(
    "the sockets of the living are left",
    () =>
      readdirSync(echo.runDir).filter(isWire).toSorted().join() ===
      wires
        .map((wire) => `${wire}.sock`)
        .toSorted()
        .join(),
    SWEPT_MS,
  );
}, 40_000);
