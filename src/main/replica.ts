/** Composition root of a replica's process. One argument: the path of its ActorFile. Exit status: 0 after a drain, 1 otherwise. */
import { readFileSync } from "node:fs";
import { createRequire, flushCompileCache } from "node:module";
import { extname } from "node:path";
import { openAgentLink } from "../adapters/agent-link.ts";
import { codeLoader } from "../adapters/code/code-loader.ts";
import { createLightLog } from "../adapters/light-log.ts";
import { snapshotOf } from "../adapters/process-metrics.ts";
import { createSocketTransport } from "../adapters/socket-transport.ts";
import { createSystemClock } from "../adapters/system-clock.ts";
import { tagOutput } from "../adapters/tagged-output.ts";
import { type CallerFactory, ownProcess } from "../api/api.ts";
import { Meters } from "../core/metrics/meters.ts";
import type { LinkEvents } from "../model/link-messages.ts";
import { type ActorFile, stateFiles } from "../model/places.ts";
import type { AgentLink } from "../ports/agent-link.ts";
import { Replica } from "../replica/replica.ts";
import type { ProcessRouter } from "./process-router.ts";

const main = async (path: string): Promise<void> => {
  const file = JSON.parse(readFileSync(path, "utf8")) as ActorFile;
  const { assignment, incarnation, instanceId, runDir, stateDir } = file;
  process.title = `maitred replica ${assignment.actor}`;
  const clock = createSystemClock();
  const ownLog = stateFiles(stateDir).log(assignment.actor);
  const log = createLightLog({ fields: { process: assignment.actor }, file: ownLog });
  tagOutput(assignment.actor, ownLog);
  const link = openAgentLink({ runDir, instanceId, role: "replica", actor: assignment.actor, incarnation });

  const meters = new Meters();
  let router: ProcessRouter | undefined;
  const callers: CallerFactory = (endpoint) => {
    router ??= loadHandles().openReplicaHandles({ instanceId, peer: assignment.actor, clock, log, link, meters });
    return router.callers(endpoint);
  };

  const replica = new Replica(
    {
      clock,
      log,
      link: listeningToo(link, {
        onLeader: () => router?.leaderChanged(),
        onCollect: () => snapshotOf(meters),
      }),
      meters,
      transport: createSocketTransport(),
      loader: codeLoader(assignment.spec.kind === "replica" ? assignment.spec.identity : undefined, stateDir),
      callers,
      host: ownProcess,
    },
    { file, exit: (status) => process.exit(status) },
  );
  process.on("SIGTERM", () => void replica.drain());
  // Ctrl-C in a terminal is for the program that owns the instance; the agent tells us when to end.
  process.on("SIGINT", () => {});
  process.on("uncaughtException", (error) => void replica.crash(error));
  process.on("unhandledRejection", (error) => void replica.rejected(error));
  await replica.start();
  // Replicas often end by a signal, when Node would not write what it has compiled; the next one starts the faster for it.
  flushCompileCache();
};

/** At once, in the middle of the first call: handles are synchronous. */
const loadHandles = (): typeof import("./replica-handles.ts") =>
  createRequire(import.meta.url)(`./replica-handles${extname(import.meta.url)}`);

/** The role does not care who leads, the router of its handles does; and whoever counts answers by itself. */
const listeningToo = (link: AgentLink, more: Pick<LinkEvents, "onLeader" | "onCollect">): AgentLink => ({
  start: (events) => link.start({ ...events, ...more }),
  leader: () => link.leader(),
  report: (report) => link.report(report),
  leading: (leader) => link.leading(leader),
  committed: () => link.committed(),
  stop: () => link.stop(),
});

void main(process.argv[2] ?? "");
