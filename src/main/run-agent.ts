/**
 * The agent's process from lock to exit: builds an Agent on the real world and runs it. Exit status: 0 when the node has ended as it
 * should, 1 otherwise; a person's start finds the reason in `<run>/start-<pid>.json`.
 */
import { mkdirSync } from "node:fs";
import { availableParallelism, hostname, totalmem } from "node:os";
import { openActorLedger } from "../adapters/actor-files.ts";
import { keptCodeFiles } from "../adapters/code/kept-code-files.ts";
import { probeProcesses } from "../adapters/code/probe-processes.ts";
import { openInstanceFolders } from "../adapters/instance-folders.ts";
import { tryAcquireLock } from "../adapters/kernel-lock.ts";
import { openLastingStore } from "../adapters/lasting-store.ts";
import { createLinkServer } from "../adapters/link-server.ts";
import { createListenSockets } from "../adapters/listen-sockets.ts";
import { logCrash } from "../adapters/log-crash.ts";
import { createMetricsServer } from "../adapters/metrics-server.ts";
import { createPinoLog } from "../adapters/pino-log.ts";
import { ensurePrivateFolder } from "../adapters/private-folder.ts";
import { snapshotOf } from "../adapters/process-metrics.ts";
import { processHost } from "../adapters/processes.ts";
import { openSqliteStore } from "../adapters/sqlite-store.ts";
import { leaveStartFailure } from "../adapters/start-failure.ts";
import { createSystemClock } from "../adapters/system-clock.ts";
import { createSystemRandom } from "../adapters/system-random.ts";
import { ensureToken } from "../adapters/token-file.ts";
import { Agent, type AgentPorts, type AgentSettings } from "../agent/agent.ts";
import { ServeError } from "../base/serve-error.ts";
import { Meters } from "../core/metrics/meters.ts";
import type { InstanceName } from "../model/ids.ts";
import { keysOf } from "../model/keys.ts";
import type { AgentLaunch } from "../model/launch.ts";
import { runFiles, stateFiles } from "../model/places.ts";
import type { Entries } from "../ports/entries.ts";
import type { Log } from "../ports/log.ts";
import type { NodeLock } from "../ports/node-lock.ts";
import { readVersion } from "./version.ts";

/** `programs`: what it starts. Never returns. */
export async function runAgent(launch: AgentLaunch, programs: Entries): Promise<never> {
  process.title = `maitred agent ${launch.instance}`;
  const endedBy = catchEndSignals();
  try {
    process.exit(await holdLockAndRun(launch, { programs, endedBy }));
  } catch (error) {
    // Whoever starts an instance prints the reason itself.
    openLog(launch).error("agent-failed", { error, toldBy: launch.resume ? "start" : undefined });
    if (launch.resume) leaveStartFailure(launch.runDir, error);
    process.exit(1);
  }
}

/** Answers the exit status. Whoever is still alive when it is not 0 goes on without this agent. */
async function holdLockAndRun(
  launch: AgentLaunch,
  { programs, endedBy }: { readonly programs: Entries; readonly endedBy: (agent: Agent) => void },
): Promise<number> {
  ensurePrivateFolder(launch.runDir);
  const lock = tryAcquireLock(runFiles(launch.runDir).lock);
  if (lock === undefined) {
    const error = new ServeError("instance-exists", `an agent of ${launch.stateDir} runs already.`);
    if (launch.resume) leaveStartFailure(launch.runDir, error);
    return 1;
  }
  const agent = new Agent(portsOf(launch, { programs, lock }), settingsOf(launch));
  endedBy(agent);
  const end = await agent.run();
  if (end.kind === "lock-lost") return 1;
  if (end.kind === "start-failed") leaveStartFailure(launch.runDir, end.error);
  if (end.kind === "ended" || end.left === "nothing") lock.removeAndRelease();
  return end.kind === "ended" ? 0 : 1;
}

function portsOf(
  launch: AgentLaunch,
  { programs, lock }: { readonly programs: Entries; readonly lock: NodeLock },
): AgentPorts {
  const { stateDir, runDir } = launch;
  const state = stateFiles(stateDir);
  const clock = createSystemClock();
  const meters = new Meters();
  mkdirSync(state.logs, { recursive: true, mode: 0o700 });
  const log = openLog(launch);
  logCrash(log);
  return {
    clock,
    random: createSystemRandom(),
    log,
    processes: processHost(),
    ledger: openActorLedger(stateDir),
    folders: openInstanceFolders({ stateDir, runDir }),
    lock,
    links: createLinkServer(runFiles(runDir).agentSocket),
    sockets: createListenSockets(),
    entries: programs,
    meters,
    snapshot: () => snapshotOf(meters),
    metricsServer: createMetricsServer(() => ensureToken(state.token)),
    probes: probeProcesses({
      ...{ entries: programs, stateDir },
      cwd: process.cwd(),
      execArgv: launch.execArgv,
      output: launch.output === "files" ? "log" : "nowhere",
      session: "own",
    }),
    keptCode: keptCodeFiles(stateDir),
    openStore: async (onCommit) => {
      const onBackgroundError = (error: unknown) => log.warn("store-background-error", { error });
      return openLastingStore(openSqliteStore, { path: state.store, clock, onCommit, onBackgroundError }, "made");
    },
  };
}

const settingsOf = (launch: AgentLaunch): AgentSettings => ({
  launch,
  start: {
    execPath: process.execPath,
    entry: process.argv[1]!,
    cwd: process.cwd(),
    env: Object.fromEntries(Object.entries(process.env).filter((entry) => entry[1] !== undefined)) as Record<
      string,
      string
    >,
  },
  keys: keysOf(launch.instance as InstanceName),
  version: readVersion(),
  host: { hostname: hostname(), cpus: availableParallelism(), memoryBytes: memoryOfThisNode() },
});

/** A container's bound where there is one; without, Node answers 0 or more than there is. */
const memoryOfThisNode = (): number => Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY);

const openLog = ({ instance, node, stateDir }: AgentLaunch): Log =>
  createPinoLog({ fields: { process: "agent", instance, node }, file: stateFiles(stateDir).log("agent") });

/** From now on; what comes before there is an agent is told to it then. The answer says which one. */
function catchEndSignals(): (agent: Agent) => void {
  let signals = 0;
  let running: Agent | undefined;
  const onSignal = () => {
    signals += 1;
    if (signals === 1) running?.requestEnd();
    else {
      running?.killEverything();
      process.exit(1);
    }
  };
  process.on("SIGTERM", onSignal);
  process.on("SIGINT", onSignal);
  return (agent) => {
    running = agent;
    if (signals > 0) agent.requestEnd();
  };
}
