/** What is replaced on purpose fails nobody: a rolling update, a scale-down, a proxy that is asked to go. */
import { expect, test } from "vitest";
import { processesOf, settled } from "../harness/census.ts";
import { serveEcho } from "../harness/echo.ts";
import { useLab } from "../harness/lab.ts";
import { isGood, startLoad } from "../harness/load.ts";
import { kill } from "../harness/processes.ts";
import { waitFor } from "../harness/wait-for.ts";

const lab = useLab("test");
const PER_SECOND = 100;
const REPLACED_DEADLINE_MS = 20_000;

test("a rolling update, a scale-down and the replacement of both proxies under load fail no request", async () => {
  const echo = await serveEcho(lab(), { replicas: 2, proxies: 2 });
  const load = startLoad({ url: `${echo.echoUrl}?waitMs=20`, perSecond: PER_SECOND });
  await load.more(50);
  const before = await settled(lab(), echo);

  await echo.client.restartBackend("echo");
  await echo.client.updateBackendConfig("echo", { numReplicas: 4 });
  await echo.client.updateBackendConfig("echo", { numReplicas: 1 });
  const old = new Set(processesOf(before, "replica").map(({ name }) => name));
  const rolled = processesOf(await settled(lab(), echo), "replica");
  expect(rolled).toHaveLength(1);
  expect(rolled.filter(({ name }) => old.has(name))).toEqual([]);

  // One after the other: SIGTERM asks a proxy to drain, its agent starts the next one on the same listening socket.
  for (const proxy of processesOf(before, "proxy")) {
    kill(proxy.pid ?? 0, "SIGTERM");
    await waitFor(
      `${proxy.name} is another process`,
      async () => {
        const now = processesOf(await echo.status(), "proxy").find(({ name }) => name === proxy.name);
        return now?.state === "ready" && now.pid !== proxy.pid;
      },
      REPLACED_DEADLINE_MS,
    );
    await load.more(PER_SECOND / 2);
  }
  await load.more(PER_SECOND);
  expect((await load.stop()).filter((sent) => !isGood(sent))).toEqual([]);
  expect(echo.ledger.twice()).toEqual([]);
}, 90_000);
