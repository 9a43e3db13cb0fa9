/**
 * Starts an instance, or finds that it runs: `launchInstance` resolves when its controller answers, and rejects with the reason why it
 * does not. Racing starts meet at the agent's lock: one agent wins, the other start follows it. An instance that is just ending is
 * waited for and started again. A start that is called off ends the agent that it has started, and waits for that.
 */
import type { ChildProcess } from "node:child_process";
import { statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ServeError } from "../base/serve-error.ts";
import { ACTOR_FILE_VARIABLE, type AgentLaunch, LISTEN_FD_VARIABLE } from "../model/launch.ts";
import { MAX_START_ATTEMPTS_OF_INSTANCE, START_INSTANCE_TIMEOUT_MS, START_LOOK_INTERVAL_MS } from "../model/limits.ts";
import { type InstanceFile, runFiles, stateFiles } from "../model/places.ts";
import { openAgentLink } from "./agent-link.ts";
import { mainFile } from "./entries.ts";
import { isLockHeld } from "./kernel-lock.ts";
import { removeIfEmpty } from "./private-folder.ts";
import { spawnAgent } from "./spawn-agent.ts";
import { takeStartFailure } from "./start-failure.ts";
import { readJson } from "./whole-files.ts";

export interface LaunchedInstance {
  readonly instanceFile: InstanceFile;
  /** Somebody else had started it: the options of this launch were not applied. */
  readonly alreadyRunning: boolean;
}

type Outcome = { readonly kind: "answers"; readonly instanceFile: InstanceFile } | { readonly kind: "again" };

export interface LaunchWait {
  /** Calls the start off; it rejects with the reason. An agent of somebody else goes on. */
  readonly signal?: AbortSignal | undefined;
  /** The agent's main file; tests have their own. */
  readonly agentEntry?: string;
}

interface Until {
  readonly deadline: number;
  readonly signal: AbortSignal | undefined;
}

/** The folders must exist (`preparePlaces`). Rejects with `port-in-use`, `state-unwritable`, `schema-newer`, `instance-exists` … */
export async function launchInstance(
  launch: AgentLaunch,
  { signal, agentEntry = mainFile("agent") }: LaunchWait = {},
): Promise<LaunchedInstance> {
  const until: Until = { deadline: performance.now() + START_INSTANCE_TIMEOUT_MS, signal };
  for (let attempt = 1; attempt <= MAX_START_ATTEMPTS_OF_INSTANCE; attempt++) {
    signal?.throwIfAborted();
    const alreadyRunning = isLockHeld(runFiles(launch.runDir).lock);
    const outcome = alreadyRunning ? await followAgent(launch, until) : await startAgent(launch, agentEntry, until);
    if (outcome.kind === "answers") return { instanceFile: outcome.instanceFile, alreadyRunning };
  }
  throw new ServeError(
    "instance-stopping",
    `instance "${launch.instance}" ends again and again while it is being started. Its log is ${logOf(launch)}.`,
    { retryable: true },
  );
}

/** Somebody's agent holds the lock. */
async function followAgent(launch: AgentLaunch, { deadline, signal }: Until): Promise<Outcome> {
  const { lock, instance } = runFiles(launch.runDir);
  const follower = new LeaderFollower(launch.runDir);
  try {
    while (performance.now() < deadline) {
      signal?.throwIfAborted();
      if (!isLockHeld(lock)) return { kind: "again" };
      const file = readJson<InstanceFile>(instance);
      if (file !== undefined && file.name !== launch.instance) throw occupied(launch, file);
      if (file !== undefined && file.ending === undefined && follower.hasLeader(file)) {
        return { kind: "answers", instanceFile: file };
      }
      await sleep(START_LOOK_INTERVAL_MS);
    }
  } finally {
    follower.stop();
  }
  throw silent(launch);
}

async function startAgent(launch: AgentLaunch, agentEntry: string, { deadline, signal }: Until): Promise<Outcome> {
  const { instance } = runFiles(launch.runDir);
  const stale = markOf(instance);
  const child = spawnAgent({
    launch,
    execPath: process.execPath,
    entry: agentEntry,
    cwd: process.cwd(),
    env: environment(),
  });
  if (child.pid === undefined) throw new ServeError("internal", `${process.execPath} could not be started.`);
  const follower = new LeaderFollower(launch.runDir);
  try {
    while (performance.now() < deadline) {
      if (signal?.aborted) return await callOff(launch, child, signal);
      if (hasEnded(child)) return outcomeOf(launch, child);
      const file = markOf(instance) === stale ? undefined : readJson<InstanceFile>(instance);
      if (file !== undefined && file.agentPid !== child.pid) return giveWay(launch, child);
      if (file !== undefined && follower.hasLeader(file)) return { kind: "answers", instanceFile: file };
      await sleep(START_LOOK_INTERVAL_MS);
    }
  } finally {
    follower.stop();
    child.unref();
  }
  child.kill("SIGTERM");
  throw silent(launch);
}

/** The agent clears away what it has begun; whoever will not wait for that ends this process. */
async function callOff(launch: AgentLaunch, child: ChildProcess, signal: AbortSignal): Promise<never> {
  child.kill("SIGTERM");
  while (!hasEnded(child)) await sleep(START_LOOK_INTERVAL_MS);
  takeStartFailure(launch.runDir, child.pid!);
  removeIfEmpty(launch.runDir);
  throw signal.reason;
}

/** Another start was faster; the agent that was started here ends as soon as it sees the lock taken. */
function giveWay(launch: AgentLaunch, child: ChildProcess): Outcome {
  child.once("exit", () => takeStartFailure(launch.runDir, child.pid!));
  return { kind: "again" };
}

/** The agent that was started here has ended before its controller led. */
function outcomeOf(launch: AgentLaunch, child: ChildProcess): Outcome {
  const failure = takeStartFailure(launch.runDir, child.pid!);
  removeIfEmpty(launch.runDir);
  if (failure === undefined && child.exitCode === 0) return { kind: "again" }; // it finished a shutdown that had been cut off
  if (failure?.code === "instance-exists") return { kind: "again" }; // another start was faster
  throw failure ?? died(launch, child);
}

/** Waits for the word of the agent at `agent.sock` that a controller leads. */
class LeaderFollower {
  readonly #runDir: string;
  #link: ReturnType<typeof openAgentLink> | undefined;
  #instanceId: string | undefined;

  constructor(runDir: string) {
    this.#runDir = runDir;
  }

  hasLeader({ id }: InstanceFile): boolean {
    if (this.#link === undefined || this.#instanceId !== id) {
      this.stop();
      const link = openAgentLink({ runDir: this.#runDir, instanceId: id, role: "client" });
      this.#link = link;
      this.#instanceId = id;
      link.start({ onRefused: () => this.stop() }); // the next look dials again, by what the file says then
    }
    return this.#link?.leader() !== undefined;
  }

  stop(): void {
    this.#link?.stop();
    this.#link = undefined;
  }
}

/**
 * Without what belongs to one process, when this program is itself a replica. All processes share the command line's cache of compiled
 * code, also when a program starts the instance: a cold start without it takes three times as long.
 */
const environment = (): Record<string, string> => {
  const { [ACTOR_FILE_VARIABLE]: _file, [LISTEN_FD_VARIABLE]: _fd, ...own } = process.env;
  const cacheHome = own["XDG_CACHE_HOME"] || (own["HOME"] && join(own["HOME"], ".cache"));
  const cache = cacheHome ? { NODE_COMPILE_CACHE: join(cacheHome, "maitred", "compiled") } : {};
  const env = Object.fromEntries(Object.entries(own).filter((entry) => entry[1] !== undefined));
  return { ...cache, ...env } as Record<string, string>;
};

const hasEnded = (child: ChildProcess): boolean => child.exitCode !== null || child.signalCode !== null;

/** Changes whenever the file is replaced. */
const markOf = (path: string): string | undefined => {
  const found = statSync(path, { throwIfNoEntry: false, bigint: true });
  return found === undefined ? undefined : `${found.ino}:${found.mtimeNs}`;
};

const logOf = ({ output, stateDir }: AgentLaunch): string =>
  output === "files" ? stateFiles(stateDir).log("agent") : "above";

const occupied = (launch: AgentLaunch, file: InstanceFile): ServeError =>
  new ServeError(
    "instance-exists",
    `${launch.stateDir} belongs to instance "${file.name}", which runs. Name another folder for "${launch.instance}", or end "${file.name}" first.`,
    { details: { instance: launch.instance, running: file.name } },
  );

const silent = (launch: AgentLaunch): ServeError =>
  new ServeError(
    "controller-unavailable",
    `instance "${launch.instance}" did not answer within ${START_INSTANCE_TIMEOUT_MS / 1_000} s. Its log is ${logOf(launch)}.`,
    { retryable: true },
  );

const died = (launch: AgentLaunch, child: ChildProcess): ServeError =>
  new ServeError(
    "internal",
    `the agent of instance "${launch.instance}" ended (${child.signalCode ?? `exit ${child.exitCode}`}) before it ran. Its log is ${logOf(launch)}.`,
  );
