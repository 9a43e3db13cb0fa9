/**
 * The controller dies or stands still under a stream of requests: serving goes on, and no change is lost or made twice.
 */
import { expect, test } from "vitest";
import { backend } from "../../src/index.ts";
import { ordinalOf } from "../../src/model/ids.ts";
import type { Status } from "../../src/model/status.ts";
import { censusOf, settled, theOne } from "../harness/census.ts";
import { ECHO, type EchoInstance, serveEcho } from "../harness/echo.ts";
import { type Follower, follow } from "../harness/follow.ts";
import { useLab } from "../harness/lab.ts";
import { isGood, type Load, startLoad } from "../harness/load.ts";
import { kill } from "../harness/processes.ts";
import { healed, pause } from "../harness/wait-for.ts";

const lab = useLab("test");
const PER_SECOND = 100;
const BACK_MS = 1_000;
const REPLACED_MS = 6_000;
const STOPPED_MS = 10_000;

interface UnderLoad {
  readonly echo: EchoInstance;
  readonly load: Load;
  readonly follower: Follower;
}

const serveUnderLoad = async (): Promise<UnderLoad> => {
  const echo = await serveEcho(lab(), { replicas: 2, proxies: 2 });
  const load = startLoad({ url: echo.echoUrl, perSecond: PER_SECOND });
  await load.more(50);
  return { echo, load, follower: follow(echo, "echo") };
};

const isAnotherController = async (echo: EchoInstance, pid: number): Promise<boolean> =>
  theOne(await echo.status(), "controller").pid !== pid;

const replicaNames = (status: Status): readonly string[] =>
  status.processes.filter((process) => process.kind === "replica").map((process) => process.name);

test("kill -9 of the controller: no request fails, calls made meanwhile take effect once, it is back with the same state", async () => {
  const { echo, load, follower } = await serveUnderLoad();
  const { client } = echo;

  for (const round of [1, 2, 3]) {
    const before = await settled(lab(), echo);
    const controller = theOne(before, "controller");
    const tag = `round-${round}`;
    const calls = Promise.all([
      client.createBackend(tag, backend(ECHO), undefined, { goalId: `create-${tag}` }),
      client.updateBackendConfig("echo", { numReplicas: 2 + round }, { goalId: `scale-${tag}` }),
    ]);
    // Each round catches the calls at another point of their way.
    await pause(7 * (round - 1));
    kill(controller.pid);
    const sinceInstant = performance.now();
    await healed("a controller is back after kill -9", { sinceInstant, promisedMs: BACK_MS }, () =>
      isAnotherController(echo, controller.pid),
    );
    expect(await calls).toMatchObject([{ state: "reached" }, { state: "reached" }]);

    const after = await settled(lab(), echo);
    expect(after.endpoints).toEqual(before.endpoints);
    expect(censusOf(after, ["agent", "proxy", "replica"])).toMatchObject(
      censusOf(before, ["agent", "proxy", "replica"]),
    );
    const started = replicaNames(after).filter((name) => !replicaNames(before).includes(name));
    expect(started.map((name) => name.replace(/#.*/, "")).toSorted()).toEqual(["echo", tag]);
    // Two new replicas and the next two ordinals: none was made, dropped and made again.
    const last = Math.max(...before.processes.filter(hasOrdinal).map(ordinal));
    expect(
      after.processes
        .filter(hasOrdinal)
        .map(ordinal)
        .filter((one) => one > last)
        .toSorted(),
    ).toEqual([last + 1, last + 2].toSorted());
    expect(after.goals.filter((goal) => goal.id.endsWith(tag))).toHaveLength(2);
  }

  expect((await load.stop()).filter((sent) => !isGood(sent))).toEqual([]);
  expect(echo.ledger.twice()).toEqual([]);
  await follower.expectAtLeast(2);
}, 60_000);

test("SIGSTOP of the controller for 10 s: no request fails, it is replaced within 6 s, and what resumes changes nothing", async () => {
  const { echo, load, follower } = await serveUnderLoad();
  const before = await settled(lab(), echo);
  const stopped = theOne(before, "controller").pid;

  kill(stopped, "SIGSTOP");
  const stoppedAt = performance.now();
  const call = echo.client.updateBackendConfig("echo", { numReplicas: 3 }, { goalId: "meanwhile" });
  await healed("a stopped controller is replaced", { sinceInstant: stoppedAt, promisedMs: REPLACED_MS }, () =>
    isAnotherController(echo, stopped),
  );
  expect((await call).state).toBe("reached");
  const replaced = await settled(lab(), echo);

  await pause(STOPPED_MS - (performance.now() - stoppedAt));
  kill(stopped, "SIGCONT");
  await load.more(PER_SECOND);
  const after = await settled(lab(), echo);
  const everybody = ["agent", "controller", "proxy", "replica"] as const;
  expect(censusOf(after, everybody)).toEqual(censusOf(replaced, everybody));
  expect(censusOf(after, ["agent", "proxy", "replica"])).toMatchObject(censusOf(before, ["agent", "proxy", "replica"]));
  expect(replicaNames(after)).toHaveLength(3);
  expect(after.endpoints).toEqual(before.endpoints);
  expect(after.goals.map((goal) => goal.id).filter((id) => id === "meanwhile")).toHaveLength(1);

  expect((await load.stop()).filter((sent) => !isGood(sent))).toEqual([]);
  expect(echo.ledger.twice()).toEqual([]);
  await follower.expectAtLeast(2);
}, 60_000);

interface Named {
  readonly name: string;
}
const hasOrdinal = ({ name }: Named): boolean => name.includes("#");
const ordinal = ({ name }: Named): number => ordinalOf(name as never);
