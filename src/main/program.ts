/**
 * Composition root of a user's program and of the command line: finds or launches an instance and connects a client to it. Loaded by
 * `serve.start` and `serve.connect` at their first use.
 */
import { existsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { chooseInstance, type LivingInstance } from "../adapters/find-instance.ts";
import { createHttpControlTransport } from "../adapters/http-control-transport.ts";
import { isLockHeld } from "../adapters/kernel-lock.ts";
import { launchInstance } from "../adapters/launch.ts";
import { nodeModuleLoader } from "../adapters/module-loader.ts";
import { preparePlaces } from "../adapters/places.ts";
import { processHost } from "../adapters/processes.ts";
import { rescuingUntil } from "../adapters/rescue.ts";
import { createSystemClock } from "../adapters/system-clock.ts";
import { createSystemRandom } from "../adapters/system-random.ts";
import { readJson } from "../adapters/whole-files.ts";
import type { Client, ConnectOptions, StartOptions } from "../api/api.ts";
import { ServeError } from "../base/serve-error.ts";
import type { Launched, LaunchOptions } from "../cli/cli.ts";
import { type ClientPorts, type InstanceEnd, ServeClient } from "../client/client.ts";
import { httpProblems } from "../core/http-rules.ts";
import { metricsProblems } from "../core/metrics/metrics-rules.ts";
import type { ApiListener, SavedLaunch } from "../model/launch.ts";
import { GONE_INTERVAL_MS } from "../model/limits.ts";
import { DEFAULT_METRICS } from "../model/metrics.ts";
import { type InstanceFile, type ProcessIdentity, runFiles, stateFiles } from "../model/places.ts";
import { openProgramHandles } from "./program-handles.ts";

export const startInstance = async (options: StartOptions): Promise<Client> => {
  const life = options.detached === true ? "detached" : "mine";
  const { client } = await launchAndConnect({
    instance:
      options.instance ?? process.env["MAITRED_INSTANCE"] ?? (life === "mine" ? `program-${process.pid}` : "default"),
    http: definedOnly(options.http ?? {}),
    stateDir: options.stateDir,
    api: undefined,
    metrics: metricsOf(options.metrics),
    life,
    ownedWith: [],
    env: process.env,
  });
  await client.untilServing();
  return client;
};

export const connectInstance = async (options: ConnectOptions): Promise<Client> => {
  if (options.address !== undefined) return connectByAddress(options.address, options.token);
  return connectTo(chooseInstance({ instance: options.instance, env: process.env }));
};

export interface LaunchWish extends LaunchOptions {
  /** Whose end is this process's own: an instance that is `mine` is theirs too. */
  readonly ownedWith: readonly ProcessIdentity[];
  readonly env: Readonly<Record<string, string | undefined>>;
}

export const launchAndConnect = async (wish: LaunchWish, signal?: AbortSignal): Promise<Launched> => {
  const problems = httpProblems(wish.http);
  if (problems.length > 0) throw new ServeError("config-invalid", problems.join(" "));
  const { abandon, ...places } = preparePlaces(wish);
  const launched = launchInstance(
    {
      instance: wish.instance,
      node: "local",
      ...places,
      http: wish.http,
      owners: wish.life === "mine" ? [processHost().self, ...wish.ownedWith] : [],
      output: wish.life === "mine" ? "inherit" : "files",
      resume: true,
      execArgv: process.execArgv,
      api: wish.api,
      metrics: wish.metrics,
    },
    { signal },
  );
  const { instanceFile, alreadyRunning } = await launched.catch((error: unknown) => {
    abandon();
    const isKept = existsSync(stateFiles(places.stateDir).launch) && !isLockHeld(runFiles(places.runDir).lock);
    if (signal?.aborted && isKept) throw stoppedInTheMiddle(wish.instance, places.stateDir);
    throw error;
  });
  const isMine = wish.life === "mine";
  // A detached instance has begun by now, whatever becomes of whoever has started it.
  const client = await connectTo(
    { file: instanceFile, ...places },
    isMine ? "owned" : "guest",
    isMine ? signal : undefined,
  );
  const saved = readJson<SavedLaunch>(stateFiles(places.stateDir).launch)?.launch;
  return { instance: instanceFile, alreadyRunning, api: saved?.api, metrics: saved?.metrics, client };
};

export const connectTo = (
  living: LivingInstance,
  as: "owned" | "guest" = "guest",
  signal?: AbortSignal,
): Promise<ServeClient> => {
  const { file, runDir, stateDir } = living;
  const run = runFiles(runDir);
  const clock = createSystemClock();
  const random = createSystemRandom();
  const handles = openProgramHandles({ runDir, instanceId: file.id, clock, random });
  const isGone = (): boolean => !existsSync(run.instance) && !isLockHeld(run.lock);
  const untilGone = async (goneSignal?: AbortSignal): Promise<InstanceEnd> => {
    // The agent ends last, a moment after it has let go of everything: it is the process to wait for.
    let { agentPid, ending } = file;
    while (!isGone()) {
      const now = readJson<InstanceFile>(run.instance);
      agentPid = now?.agentPid ?? agentPid;
      ending = now?.ending ?? ending;
      await sleep(GONE_INTERVAL_MS, undefined, { signal: goneSignal });
    }
    const agent = agentPid === undefined ? undefined : processHost().identityOf(agentPid);
    while (agent !== undefined && processHost().isAlive(agent) && isGone()) await sleep(GONE_INTERVAL_MS);
    return ending === undefined ? "lost" : "told to end";
  };
  const ports: ClientPorts = {
    transport: createHttpControlTransport({ kind: "unix", path: run.controllerLink }),
    clock,
    drawId: () => random.id(),
    isGone,
    instance: file.name,
    handle: handles.handle,
    modules: nodeModuleLoader(),
    disconnect: handles.close,
    untilGone,
    untilEnded: () => rescuingUntil({ stateDir, runDir, instanceId: file.id }, untilGone),
    owned: as === "owned",
  };
  return ServeClient.connect(ports, signal);
};

const stoppedInTheMiddle = (instance: string, stateDir: string): ServeError =>
  new ServeError(
    "interrupted",
    `the start was interrupted; instance "${instance}" is stopped, and its state is kept in ${stateDir} for the next start.`,
  );

const connectByAddress = (address: string, token: string | undefined): Promise<ServeClient> => {
  if (token === undefined)
    throw new ServeError(
      "unauthorized",
      `connecting to ${address} needs a token: the file \`token\` of the instance's state folder.`,
    );
  const random = createSystemRandom();
  return ServeClient.connect({
    transport: createHttpControlTransport({ kind: "tcp", url: address, token }),
    clock: createSystemClock(),
    drawId: () => random.id(),
    isGone: () => false,
    instance: address,
    modules: nodeModuleLoader(),
    handle: () => {
      throw new ServeError(
        "not-implemented",
        "handles over a TCP connection are not in this version; call the endpoint over HTTP.",
      );
    },
    disconnect: async () => {},
    untilGone: async () => "lost",
    untilEnded: async () => {},
    owned: false,
  });
};

const metricsOf = (wish: StartOptions["metrics"]): ApiListener | undefined => {
  if (wish === undefined) return undefined;
  const metrics = definedOnly(wish);
  const problems = metricsProblems(metrics);
  if (problems.length > 0) throw new ServeError("config-invalid", problems.join(" "));
  return { ...DEFAULT_METRICS, ...metrics };
};

const definedOnly = <T extends object>(options: T): { [K in keyof T]?: Exclude<T[K], undefined> } =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as never; // dropped what was undefined
