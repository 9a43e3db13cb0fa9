/**
 * Where things lie, given the two folders of an instance on a node. `state` survives reboots, `run` (sockets, lock) need not.
 * How the folders themselves are chosen is in `adapters/places.ts`.
 */
import { type ActorName, fileNameOf, ordinalOf } from "./ids.ts";

export const stateFiles = (stateDir: string) =>
  ({
    store: `${stateDir}/maitred.db`,
    /** argv and environment with which any process may start the agent again. */
    launch: `${stateDir}/launch.json`,
    token: `${stateDir}/token`,
    logs: `${stateDir}/logs`,
    log: (process: string) => `${stateDir}/logs/${fileNameOf(process)}.log`,
    /** The agent's local truth, one file per actor. */
    actors: `${stateDir}/actors`,
    actor: (actor: ActorName) => `${stateDir}/actors/${fileNameOf(actor)}.json`,
    /** Counts the lives of this node's agent. */
    nodeIncarnation: `${stateDir}/node-incarnation`,
    agentIncarnation: `${stateDir}/agent-incarnation`,
    /** A proxy's last snapshots, stamped with the instance id. */
    snapshot: `${stateDir}/proxy-snapshot.json`,
    tombstone: `${stateDir}/tombstone`,
    /** Code of backends as it was when they were created, one file for each `keptCodeName`. */
    code: `${stateDir}/code`,
    keptCode: (name: string) => `${stateDir}/code/${name}.json`,
    /** The agent's record of its controller process. */
    controller: `${stateDir}/controller.json`,
    /** Ports that the system chose for port 0, kept so that proxies come back on them. */
    ports: `${stateDir}/ports.json`,
  }) as const;

export const runFiles = (runDir: string) =>
  ({
    /** JSON: InstanceFile. Gone or replaced = the instance is over. */
    instance: `${runDir}/instance`,
    lock: `${runDir}/agent.lock`,
    agentSocket: `${runDir}/agent.sock`,
    /** Why the agent or controller of this pid did not start: an error body; read and deleted by whoever started it. */
    startFailure: (pid: number) => `${runDir}/start-${pid}.json`,
    /** JSON: RescueFile. */
    rescue: `${runDir}/rescue.json`,
    /** JSON: what the node has counted (core/metrics/totals.ts), for the next agent. */
    metrics: `${runDir}/metrics.json`,
    /** Symbolic link to the leading controller's socket, for `curl --unix-socket` and the CLI. */
    controllerLink: `${runDir}/controller.sock`,
    controllerSocket: (incarnation: number) => `${runDir}/c-${incarnation}.sock`,
    actorSocket: (actor: ActorName, incarnation: number) => `${runDir}/${ordinalOf(actor)}-${incarnation}.sock`,
  }) as const;

/** Content of `<run>/instance`: how CLI and clients find an instance, and what actors watch. */
export interface InstanceFile {
  readonly id: string;
  readonly name: string;
  readonly stateDir: string;
  readonly createdAt: number;
  /** The agent that wrote it. */
  readonly agentPid?: number | undefined;
  /** The instance is on its way out: whoever wants to start it waits for the lock. */
  readonly ending?: "stopping" | "erasing" | undefined;
}

/** Content of `<run>/rescue.json`: when an agent was last started by an orphan, and how often in a row. */
export interface RescueFile {
  /** Timestamp. */
  readonly at: number;
  readonly count: number;
}

/** Content of `<state>/controller.json`. */
export interface ControllerFile {
  /** Lives of this node's controller so far. */
  readonly incarnation: number;
  /** Unknown until the spawn has returned. */
  readonly process: ProcessIdentity | undefined;
}

/** Content of an actor's local file; also what the actor's process is started with (its path is the one argument). */
export interface ActorFile {
  readonly instanceId: string;
  readonly instance: string;
  readonly stateDir: string;
  readonly runDir: string;
  readonly assignment: import("./actor.ts").Assignment;
  readonly incarnation: number;
  /** Unknown until the spawn has returned. */
  readonly process: ProcessIdentity | undefined;
  readonly failedStarts: number;
  /** Config revision that this incarnation was started with: the assignment may be newer. Absent: in a file of an agent that kept none. */
  readonly startedRevision?: number | undefined;
  /** Why the last start failed, or the last process ended. */
  readonly error?: import("./error-codes.ts").ErrorBody | undefined;
  /** Timestamp of this incarnation's start. */
  readonly startedAt: number;
  /** What this incarnation last said of itself: the next agent knows by it that a process which it adopts serves. */
  readonly report?: import("./link-messages.ts").ActorReport | undefined;
}

/** A process, told apart from a later one with the same pid. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Field 22 of /proc/<pid>/stat: clock ticks after boot (on macOS: `ps -o lstart`). */
  readonly startTime: string;
  readonly bootId: string;
}
