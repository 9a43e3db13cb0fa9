/** Composition root of a proxy's process. One argument: the path of its ActorFile. Exit status: 0 after a drain, 1 otherwise. */
import { readFileSync } from "node:fs";
import { flushCompileCache } from "node:module";
import { openAgentLink } from "../adapters/agent-link.ts";
import { createHttpPollTransport } from "../adapters/http-poll-transport.ts";
import { createLightLog } from "../adapters/light-log.ts";
import { logCrash } from "../adapters/log-crash.ts";
import { createNodeHttpEdge } from "../adapters/node-http-edge.ts";
import { snapshotOf } from "../adapters/process-metrics.ts";
import { startRescue } from "../adapters/rescue.ts";
import { openSnapshotFile } from "../adapters/snapshot-file.ts";
import { createSocketTransport } from "../adapters/socket-transport.ts";
import { createSystemClock } from "../adapters/system-clock.ts";
import { createSystemRandom } from "../adapters/system-random.ts";
import { Meters } from "../core/metrics/meters.ts";
import { LISTEN_FD_VARIABLE } from "../model/launch.ts";
import { PROXY_DRAIN_TIMEOUT_MS } from "../model/limits.ts";
import { type ActorFile, stateFiles } from "../model/places.ts";
import { ProxyRole } from "../proxy/proxy.ts";
import { Router } from "../router/router.ts";

const main = async (path: string): Promise<void> => {
  const file = JSON.parse(readFileSync(path, "utf8")) as ActorFile;
  const { assignment, incarnation, instanceId, runDir, stateDir } = file;
  process.title = `maitred proxy ${assignment.actor}`;
  const clock = createSystemClock();
  const random = createSystemRandom();
  const log = createLightLog({
    fields: { process: assignment.actor },
    file: stateFiles(stateDir).log(assignment.actor),
  });
  logCrash(log);
  const link = openAgentLink({ runDir, instanceId, role: "proxy", actor: assignment.actor, incarnation });
  const poll = createHttpPollTransport({ leader: () => link.leader() });
  const meters = new Meters();
  const router = new Router(
    { transport: createSocketTransport(), clock, random, log, poll, meters },
    { instanceId, peer: assignment.actor, kind: "proxy", follow: "all" },
  );
  const rescue = startRescue({ stateDir, runDir, instanceId, clock, random, log });
  const listenFd = process.env[LISTEN_FD_VARIABLE];
  const proxy = new ProxyRole(
    {
      clock,
      log,
      random,
      link,
      router,
      meters,
      edge: createNodeHttpEdge(),
      snapshots: openSnapshotFile(stateFiles(stateDir).snapshot),
    },
    {
      file,
      listenFd: listenFd === undefined ? undefined : Number(listenFd),
      linkEvents: {
        onLeader: () => poll.leaderChanged(),
        onUp: () => rescue.linkUp(),
        onDown: () => rescue.linkDown(),
        onCollect: () => snapshotOf(meters),
      },
      exit: (status) => process.exit(status),
    },
  );
  process.on("SIGTERM", () => void proxy.drain(PROXY_DRAIN_TIMEOUT_MS));
  // Ctrl-C in a terminal is for the program that owns the instance; the agent tells us when to end.
  process.on("SIGINT", () => {});
  await proxy.start();
  // Who ends by a signal would not write what it has compiled; the next one starts the faster for it.
  flushCompileCache();
};

void main(process.argv[2] ?? "");
