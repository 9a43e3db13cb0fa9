/** Replicas that live and cannot do their work are replaced under load, by others of new names, and no request fails. */
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { backend } from "../../src/index.ts";
import { censusOf, processesOf, settled } from "../harness/census.ts";
import { fixture } from "../harness/echo.ts";
import { type Started, useLab } from "../harness/lab.ts";
import { isGood, startLoad } from "../harness/load.ts";
import { isAlive, kill } from "../harness/processes.ts";
import { healed } from "../harness/wait-for.ts";

const lab = useLab("test");
const STALL_LIMIT_MS = 1_000;
const CHECK_INTERVAL_MS = 100;

const replicasOf = async (instance: Started) => processesOf(await instance.status(), "replica");
const reasonOf = async (instance: Started) => (await instance.status()).backends[0]?.reason;

test("a replica that is unhealthy, one that is stopped, and one that cannot start again are replaced, and no request fails", async () => {
  const instance = await lab().start();
  const folder = lab().folder("frail");
  await instance.client.createBackend("frail", backend({ module: fixture("apps/frail.ts"), export: "Frail" }), {
    numReplicas: 2,
    env: { FRAIL: folder },
    healthCheckIntervalMs: CHECK_INTERVAL_MS,
    loopStallLimitMs: STALL_LIMIT_MS,
    maxStartAttempts: 1,
  });
  await instance.client.createEndpoint("frail", { route: "/frail", backend: "frail", idempotent: true });
  const others = ["agent", "controller", "proxy"] as const;
  const before = censusOf(await settled(lab(), instance), others);
  const load = startLoad({ url: `${instance.url}/frail`, perSecond: 50 });
  await load.more(20);

  const isReplaced = (name: string) => async () => {
    const now = await replicasOf(instance);
    return now.length === 2 && now.every((replica) => replica.name !== name && replica.state === "ready");
  };

  const [ill] = await replicasOf(instance);
  writeFileSync(join(folder, `${ill?.pid}`), "no GPU");
  let sinceInstant = performance.now();
  await healed("an unhealthy replica is replaced", { sinceInstant, promisedMs: 3_000 }, isReplaced(ill!.name));
  const explained = await instance.client.explain("frail");
  expect(explained.map(({ reason }) => reason).join(" ")).toMatch(/replica frail#\d+/);

  const [stopped] = await replicasOf(instance);
  kill(stopped!.pid!, "SIGSTOP");
  sinceInstant = performance.now();
  await healed("a stopped replica is replaced", { sinceInstant, promisedMs: 5_000 }, isReplaced(stopped!.name));
  expect(isAlive(stopped!.pid!)).toBe(false);

  const [unlucky] = await replicasOf(instance);
  writeFileSync(join(folder, "no-starts"), "");
  kill(unlucky!.pid!);
  await healed("its agent gives it up", { sinceInstant: performance.now(), promisedMs: 5_000 }, async () =>
    (await reasonOf(instance))?.includes("the database does not answer"),
  );
  rmSync(join(folder, "no-starts"));
  sinceInstant = performance.now();
  await healed("it is replaced when it can be", { sinceInstant, promisedMs: 8_000 }, isReplaced(unlucky!.name));

  const failed = (await load.stop()).filter((sent) => !isGood(sent));
  expect(failed).toEqual([]);
  expect(censusOf(await settled(lab(), instance), others)).toEqual(before);
}, 90_000);
