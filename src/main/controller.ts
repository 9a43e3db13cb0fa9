/**
 * Composition root of the controller's process. One argument: its ControllerLaunch in JSON. It leads first, so that actors start while
 * the REST server is still being loaded, and says so to the world when it listens. It exits 0 when told to end, 1 when it cannot
 * lead, and then leaves the reason for its agent.
 */
import { rename, symlink, unlink } from "node:fs/promises";
import { setImmediate as nextTurn } from "node:timers/promises";
import { openAgentLink } from "../adapters/agent-link.ts";
import { createFaults } from "../adapters/faults.ts";
import { openLastingStore } from "../adapters/lasting-store.ts";
import { logCrash } from "../adapters/log-crash.ts";
import { createPinoLog } from "../adapters/pino-log.ts";
import { snapshotOf } from "../adapters/process-metrics.ts";
import { startRescue } from "../adapters/rescue.ts";
import { openSqliteStore, type SqliteStoreOptions } from "../adapters/sqlite-store.ts";
import { leaveStartFailure } from "../adapters/start-failure.ts";
import { createSystemClock } from "../adapters/system-clock.ts";
import { createSystemRandom } from "../adapters/system-random.ts";
import { ensureToken } from "../adapters/token-file.ts";
import { messageOf, ServeError } from "../base/serve-error.ts";
import { Controller, LinkProbes } from "../controller/controller.ts";
import { Meters } from "../core/metrics/meters.ts";
import type { Address } from "../model/actor.ts";
import type { InstanceId, InstanceName, NodeName } from "../model/ids.ts";
import type { ApiListener, ControllerLaunch } from "../model/launch.ts";
import { DIAL_INTERVAL_MS, ERASED_LINGER_MS } from "../model/limits.ts";
import { runFiles, stateFiles } from "../model/places.ts";
import type { Clock } from "../ports/clock.ts";
import type { Log } from "../ports/log.ts";
import type { Store } from "../ports/store.ts";
import type { ControlPlane, RestServer } from "../rest/rest.ts";
import { withEnvDigests } from "./env-files.ts";
import { readVersion } from "./version.ts";

const main = async (launch: ControllerLaunch): Promise<void> => {
  process.title = `maitred controller ${launch.instance}`;
  const { runDir, stateDir, instanceId, incarnation } = launch;
  const run = runFiles(runDir);
  const socket = run.controllerSocket(incarnation);
  const address: Address = `unix:${socket}`;
  const clock = createSystemClock();
  const random = createSystemRandom();
  const log = createPinoLog({
    fields: { process: "controller", incarnation },
    file: stateFiles(stateDir).log("controller"),
  });
  logCrash(log);
  const link = openAgentLink({ runDir, instanceId, role: "controller", incarnation });
  const rescue = startRescue({ stateDir, runDir, instanceId, clock, random, log });
  const store = openStore(launch, {
    clock,
    onCommit: () => link.committed(),
    onBackgroundError: (error) => controller.storeFailed(error),
  });

  const probe = new LinkProbes(clock, (id, order) => link.probe(id, order));
  /** Loading blocks this process for a while: first the agent hears that there is work. */
  const serve = (): Promise<unknown> => {
    servers ??= linked.promise
      .then(() => nextTurn())
      .then(() => listen(controller, launch, { drawId: () => random.id(), log, clock }));
    return servers.then(() => pointLink(run.controllerLink, socket));
  };
  const failed = (error: unknown): never => {
    leaveStartFailure(runDir, error);
    process.exit(1);
  };
  const meters = new Meters();
  const controller = new Controller(
    { store, clock, log, meters, probe, faults: createFaults(process.env["MAITRED_FAULT"], random) },
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
        serve().then(() => link.leading({ address, epoch }), failed);
      },
      onStandstill: (error) => {
        log.error("standstill", { error });
        if (isAwaited(launch) && servers === undefined) failed(error);
        serve().catch(failed);
      },
      onLost: (lost) => {
        log.info("leadership-lost", { end: lost });
        // Nothing is left to lead: its agent ends this process, or starts another one that may find more.
        if (lost === "erased") clock.after(ERASED_LINGER_MS, () => void end());
      },
      onFailed: failed,
    },
  );

  const linked = Promise.withResolvers<void>();
  let servers: Promise<readonly RestServer[]> | undefined;
  const end = async (): Promise<void> => {
    await controller.stop();
    for (const server of (await servers) ?? []) await server.close();
    await store.close();
    process.exit(0);
  };
  process.on("SIGTERM", () => void end());
  process.on("SIGINT", () => {}); // Ctrl-C in a terminal is for its program; the agent tells us when to end
  link.start({
    onUp: () => {
      rescue.linkUp();
      probe.linkUp();
      link.committed(); // what was saved before the agent could be told
      linked.resolve();
    },
    onDown: () => {
      rescue.linkDown();
      probe.linkDown();
    },
    onProbed: (id, answer) => probe.answered(id, answer),
    onCommitted: () => store.nudge(),
    onCollect: () => snapshotOf(meters),
    onRefused: () => void end(),
  });

  controller.start();
  clock.after(DIAL_INTERVAL_MS, linked.resolve); // no agent: nobody to tell
};

/** Somebody waits for this start, and is told why there is none. Where it is over there is always a controller to ask. */
const isAwaited = ({ resume, firstLife }: ControllerLaunch): boolean => resume || firstLife;

const openStore = (launch: ControllerLaunch, options: Omit<SqliteStoreOptions, "path">): Store => {
  const path = stateFiles(launch.stateDir).store;
  return openLastingStore(openSqliteStore, { path, ...options }, isAwaited(launch) ? "made" : "found");
};

/** On the unix socket, and on TCP when that is wanted. fastify and zod take longer to load than everything else here. */
const listen = async (
  controller: Controller,
  { runDir, stateDir, incarnation, api }: ControllerLaunch,
  ports: { readonly drawId: () => string; readonly log: Log; readonly clock: Clock },
): Promise<readonly RestServer[]> => {
  const { createRestServer } = await import("../rest/rest.ts");
  const options = { controlPlane: noting(controller), version: readVersion(), ...ports };
  const local = await createRestServer(options);
  const path = runFiles(runDir).controllerSocket(incarnation);
  await unlink(path).catch(() => {}); // not there, as it should be
  const umask = process.umask(0o177);
  await local.listen({ path }).finally(() => process.umask(umask));
  if (api === undefined) return [local];
  const token = ensureToken(stateFiles(stateDir).token);
  const hosts = [api.host, "localhost", "127.0.0.1", "::1"];
  const remote = await createRestServer({ ...options, tcp: { token, hosts } });
  const url = await remote.listen(api).catch((cause: unknown) => {
    throw notListening(api, cause);
  });
  ports.log.info("api-listening", { url });
  return [local, remote];
};

/** What only this side of REST can find out is noted in calls as they come in. */
const noting = (controller: Controller): ControlPlane => ({
  submit: async (call) => controller.submit(await withEnvDigests(call)),
  plan: async (call) => controller.plan(await withEnvDigests(call)),
  goal: (id) => controller.goal(id),
  waitForGoal: (id, waitMs, signal) => controller.waitForGoal(id, waitMs, signal),
  status: () => controller.status(),
  httpConfig: () => controller.httpConfig(),
  explain: (target) => controller.explain(target),
  poll: (request, signal) => controller.poll(request, signal),
});

const notListening = ({ host, port }: ApiListener, cause: unknown): ServeError => {
  if ((cause as NodeJS.ErrnoException).code === "EADDRINUSE") {
    const cure = "Choose another with --api, or end what listens there.";
    return new ServeError("port-in-use", `port ${port} of ${host}, for REST, is already in use. ${cure}`, { cause });
  }
  return new ServeError(
    "config-invalid",
    `--api ${host}:${port} cannot be listened on: ${messageOf(cause)}. Name an address of this machine.`,
    {
      cause,
    },
  );
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
