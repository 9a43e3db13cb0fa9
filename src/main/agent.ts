/**
 * Composition root of the agent's process. One argument: its AgentLaunch in JSON. Exit status: 0 when the node has ended as it should,
 * 1 otherwise; a person's start finds the reason in `<run>/start-<pid>.json`.
 */
import { mkdirSync } from "node:fs";
import { availableParallelism, hostname, totalmem } from "node:os";
import { openActorLedger } from "../adapters/actor-files.ts";
import { entries } from "../adapters/entries.ts";
import { openInstanceFolders } from "../adapters/instance-folders.ts";
import { tryAcquireLock } from "../adapters/kernel-lock.ts";
import { createLinkServer } from "../adapters/link-server.ts";
import { createListenSockets } from "../adapters/listen-sockets.ts";
import { createPinoLog } from "../adapters/pino-log.ts";
import { ensurePrivateFolder } from "../adapters/places.ts";
import { processHost } from "../adapters/processes.ts";
import { openSqliteStore } from "../adapters/sqlite-store.ts";
import { leaveStartFailure } from "../adapters/start-failure.ts";
import { createSystemClock } from "../adapters/system-clock.ts";
import { createSystemRandom } from "../adapters/system-random.ts";
import { Agent, type AgentPorts, type AgentSettings } from "../agent/agent.ts";
import { isServeError, ServeError } from "../base/serve-error.ts";
import type { InstanceName } from "../model/ids.ts";
import { keysOf } from "../model/keys.ts";
import type { AgentLaunch } from "../model/launch.ts";
import { runFiles, stateFiles } from "../model/places.ts";
import type { NodeLock } from "../ports/node-lock.ts";

await main(JSON.parse(process.argv[2] ?? "{}") as AgentLaunch);

async function main(launch: AgentLaunch): Promise<void> {
  process.title = `maitred agent ${launch.instance}`;
  let status = 1;
  let lock: NodeLock | undefined;
  try {
    lock = acquire(launch);
    const agent = new Agent(portsOf(launch, lock), settingsOf(launch));
    endOnSignals(agent);
    const end = await agent.run();
    if (end.kind === "start-failed") throw end.error;
    if (end.kind === "ended") {
      lock.removeAndRelease();
      status = 0;
    }
  } catch (error) {
    // Only a person's start waits for an answer; a rescue's reasons belong in the log.
    if (!isServeError(error) || !launch.resume) console.error(error);
    if (launch.resume) leaveStartFailure(launch.runDir, error);
    lock?.removeAndRelease();
  }
  process.exit(status);
}

function acquire(launch: AgentLaunch): NodeLock {
  ensurePrivateFolder(launch.runDir);
  const lock = tryAcquireLock(runFiles(launch.runDir).lock);
  if (lock !== undefined) return lock;
  throw new ServeError("instance-exists", `an agent of ${launch.stateDir} runs already.`);
}

function portsOf(launch: AgentLaunch, lock: NodeLock): AgentPorts {
  const { stateDir, runDir, instance, node } = launch;
  const state = stateFiles(stateDir);
  const clock = createSystemClock();
  const log = createPinoLog({ fields: { process: "agent", instance, node } });
  mkdirSync(state.logs, { recursive: true, mode: 0o700 });
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
    entries: entries(),
    openStore: async (onCommit) => {
      const onBackgroundError = (error: unknown) => log.warn("store-background-error", { error });
      return openSqliteStore({ path: state.store, clock, onCommit, onBackgroundError });
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
  host: { hostname: hostname(), cpus: availableParallelism(), memoryBytes: totalmem() },
});

function endOnSignals(agent: Agent): void {
  let signals = 0;
  const onSignal = () => {
    signals++;
    if (signals === 1) agent.requestEnd();
    else {
      agent.killEverything();
      process.exit(1);
    }
  };
  process.on("SIGTERM", onSignal);
  process.on("SIGINT", onSignal);
}
