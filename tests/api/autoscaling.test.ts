/** A backend with autoscaling under real load: replicas come with it and go with it, and no request fails. */
import { expect, test } from "vitest";
import { backend } from "../../src/index.ts";
import { processesOf } from "../harness/census.ts";
import { ECHO } from "../harness/echo.ts";
import { useLab } from "../harness/lab.ts";
import { isGood, startLoad } from "../harness/load.ts";
import { waitFor } from "../harness/wait-for.ts";

const lab = useLab("test");
const DEADLINE_MS = 30_000;

test("replicas follow the load up and down, status shows how many are wanted, and no request fails", async () => {
  const instance = await lab().start();
  await instance.client.createBackend("echo", backend(ECHO), {
    autoscaling: { minReplicas: 1, maxReplicas: 3, targetQueriesPerReplica: 2, upDelayMs: 500, downDelayMs: 2_000 },
  });
  await instance.client.createEndpoint("echo", { route: "/echo", backend: "echo" });
  const seen = async () => {
    const status = await instance.status();
    return { ...status.backends[0]?.replicas, processes: processesOf(status, "replica").length };
  };
  expect(await seen()).toEqual({ wanted: 1, running: 1, processes: 1 });

  // 200 ms each: at 50 a second about ten run at a time, at 4 a second not even one.
  const url = `${instance.url}/echo?waitMs=200`;
  const light = startLoad({ url, perSecond: 4 });
  const heavy = startLoad({ url, perSecond: 50 });
  await waitFor("three replicas serve", async () => (await seen()).running === 3, DEADLINE_MS);
  expect(await seen()).toMatchObject({ wanted: 3 });
  await heavy.more(20);
  const sent = [...(await heavy.stop())];
  await waitFor("one replica is left", async () => (await seen()).processes === 1, DEADLINE_MS);
  expect(await seen()).toEqual({ wanted: 1, running: 1, processes: 1 });
  await light.more(5);
  sent.push(...(await light.stop()));
  expect(sent.filter((one) => !isGood(one))).toEqual([]);
  const told = await instance.client.explain("echo");
  expect(told.map(({ reason }) => reason).join(" ")).toMatch(/it wants 1 replica instead of \d/);
}, 90_000);
