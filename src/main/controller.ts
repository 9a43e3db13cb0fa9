/**
 * Composition root of the controller's process. One argument: its ControllerLaunch in JSON. It listens before it leads, so that whoever
 * hears of its leadership finds it; it exits 0 when told to end, 1 when it cannot lead, and then leaves the reason for its agent.
 */
import { rename, symlink, unlink } from "node:fs/promises";
import { openAgentLink } from "../adapters/agent-link.ts";
import { createFaults } from "../adapters/faults.ts";
import { createPinoLog } from "../adapters/pino-log.ts";
import { startRescue } from "../adapters/rescue.ts";
import { openSqliteStore } from "../adapters/sqlite-store.ts";
import { leaveStartFailure } from "../adapters/start-failure.ts";
import { createSystemClock } from "../adapters/system-clock.ts";
import { createSystemRandom } from "../adapters/system-random.ts";
import { ensureToken } from "../adapters/token-file.ts";
import { Controller } from "../controller/controller.ts";
import type { Address } from "../model/actor.ts";
import type { InstanceId, InstanceName, NodeName } from "../model/ids.ts";
import type { ControllerLaunch } from "../model/launch.ts";
import { runFiles, stateFiles } from "../model/places.ts";
import { createRestServer, type RestServer } from "../rest/rest.ts";
import { readVersion } from "./version.ts";

const main = async (launch: ControllerLaunch): Promise<void> => {
  process.title = `maitred controller ${launch.instance}`;
  const { runDir, stateDir, instanceId, incarnation } = launch;
  const run = runFiles(runDir);
  const socket = run.controllerSocket(incarnation);
  const address: Address = `unix:${socket}`;
  const clock = createSystemClock();
  const random = createSystemRandom();
  const log = createPinoLog({ fields: { process: "controller", incarnation } });
  const link = openAgentLink({ runDir, instanceId, role: "controller", incarnation });
  const rescue = startRescue({ stateDir, runDir, instanceId, clock, random, log });
  const store = openSqliteStore({ path: stateFiles(stateDir).store, clock, onCommit: () => link.committed() });

  const controller = new Controller(
    { store, clock, log, faults: createFaults(process.env["MAITRED_FAULT"], random) },
    {
      instance: launch.instance as InstanceName,
      node: launch.node as NodeName,
      address,
      pid: process.pid,
      incarnation,
      begin: { instanceId: instanceId as InstanceId, http: launch.http, phase: launch.resume ? "resume" : "keep" },
      isFirstLife: launch.firstLife,
    },
    {
      onLead: (epoch) => {
        void pointLink(run.controllerLink, socket).finally(() => link.leading({ address, epoch }));
      },
      onLost: (end) => log.warn("leadership-lost", { end }),
      onFailed: (error) => {
        leaveStartFailure(runDir, error);
        process.exit(1);
      },
    },
  );

  const servers: RestServer[] = [];
  const end = async (): Promise<void> => {
    await controller.stop();
    await Promise.all(servers.map((server) => server.close()));
    await store.close();
    process.exit(0);
  };
  process.on("SIGTERM", () => void end());
  process.on("SIGINT", () => {}); // Ctrl-C in a terminal is for its program; the agent tells us when to end
  link.start({
    onUp: () => rescue.linkUp(),
    onDown: () => rescue.linkDown(),
    onCommitted: () => store.nudge(),
    onRefused: () => void end(),
  });

  const rest = { controlPlane: controller, drawId: () => random.id(), version: readVersion() };
  const local = await createRestServer(rest);
  servers.push(local);
  await unlink(socket).catch(() => {}); // not there, as it should be
  const umask = process.umask(0o177);
  await local.listen({ path: socket }).finally(() => process.umask(umask));
  if (launch.api !== undefined) {
    const token = ensureToken(stateFiles(stateDir).token);
    const remote = await createRestServer({
      ...rest,
      tcp: { token, hosts: [launch.api.host, "localhost", "127.0.0.1", "::1"] },
    });
    servers.push(remote);
    const url = await remote.listen(launch.api);
    log.info("api-listening", { url });
  }
  controller.start();
};

/** Atomically, so that nobody finds no link. */
const pointLink = async (link: string, socket: string): Promise<void> => {
  const next = `${link}.${process.pid}`;
  await symlink(socket, next);
  await rename(next, link);
};

const launch = JSON.parse(process.argv[2] ?? "{}") as ControllerLaunch;
main(launch).catch((error: unknown) => {
  leaveStartFailure(launch.runDir, error);
  process.exit(1);
});
