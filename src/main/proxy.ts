/** Composition root of a proxy's process. One argument: the path of its ActorFile. Exit status: 0 after a drain, 1 otherwise. */
import { readFileSync } from "node:fs";
import { openAgentLink } from "../adapters/agent-link.ts";
import { createHttpPollTransport } from "../adapters/http-poll-transport.ts";
import { createNodeHttpEdge } from "../adapters/node-http-edge.ts";
import { createPinoLog } from "../adapters/pino-log.ts";
import { startRescue } from "../adapters/rescue.ts";
import { openSnapshotFile } from "../adapters/snapshot-file.ts";
import { createSocketTransport } from "../adapters/socket-transport.ts";
import { createSystemClock } from "../adapters/system-clock.ts";
import { createSystemRandom } from "../adapters/system-random.ts";
import { LISTEN_FD_VARIABLE } from "../model/launch.ts";
import { PROXY_DRAIN_TIMEOUT_MS } from "../model/limits.ts";
import { type ActorFile, stateFiles } from "../model/places.ts";
import { ProxyRole } from "../proxy/proxy.ts";
import { Router } from "../router/router.ts";

const main = (path: string): void => {
  const file = JSON.parse(readFileSync(path, "utf8")) as ActorFile;
  const { assignment, incarnation, instanceId, runDir, stateDir } = file;
  process.title = `maitred proxy ${assignment.actor}`;
  const clock = createSystemClock();
  const random = createSystemRandom();
  const log = createPinoLog({ fields: { process: assignment.actor } });
  const link = openAgentLink({ runDir, instanceId, role: "proxy", actor: assignment.actor, incarnation });
  const poll = createHttpPollTransport({ leader: () => link.leader() });
  const router = new Router(
    { transport: createSocketTransport(), clock, random, log, poll },
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
      },
      exit: (status) => process.exit(status),
    },
  );
  process.on("SIGTERM", () => void proxy.drain(PROXY_DRAIN_TIMEOUT_MS));
  process.on("SIGINT", () => {}); // Ctrl-C in a terminal is for its program; the agent tells us when to end
  void proxy.start();
};

main(process.argv[2] ?? "");
