/**
 * Starts the process of an actor: the durable file first, then the process, then its identity into the file. A proxy inherits the
 * listening socket of its host and port, which this keeps open for as long as the agent lives.
 */
import { isServeError, toErrorBody } from "../base/serve-error.ts";
import type { Exit } from "../core/agent/actor-view.ts";
import type { Assignment, ProxySpec, ReplicaSpec } from "../model/actor.ts";
import type { ErrorBody } from "../model/error-codes.ts";
import { ACTOR_FILE_VARIABLE, LISTEN_FD_VARIABLE } from "../model/launch.ts";
import { PROXY_INITIAL_OLD_SPACE_MB } from "../model/limits.ts";
import { type ActorFile, type ProcessIdentity, stateFiles } from "../model/places.ts";
import type { ActorLedger } from "../ports/actor-ledger.ts";
import type { Clock } from "../ports/clock.ts";
import type { Entries } from "../ports/entries.ts";
import type { ListenSocket } from "../ports/listen-sockets.ts";
import type { Log } from "../ports/log.ts";
import type { Output, ProcessHost, SpawnOptions } from "../ports/processes.ts";
import type { ListenerTable } from "./listener-table.ts";
import { tolerated } from "./tolerated.ts";

export interface StarterParts {
  readonly clock: Clock;
  readonly processes: ProcessHost;
  readonly ledger: ActorLedger;
  readonly entries: Entries;
  readonly listeners: ListenerTable;
  readonly log: Log;
}

export interface StarterSettings {
  readonly instanceId: string;
  readonly instance: string;
  readonly stateDir: string;
  readonly runDir: string;
  readonly cwd: string;
  readonly execArgv: readonly string[];
  readonly output: "files" | "inherit";
}

export interface StartOrder {
  readonly assignment: Assignment;
  readonly incarnation: number;
  readonly failedStarts: number;
  readonly error: ErrorBody | undefined;
}

export type Started =
  | { readonly kind: "started"; readonly file: ActorFile; readonly process: ProcessIdentity }
  | { readonly kind: "failed"; readonly file: ActorFile | undefined; readonly error: ErrorBody }
  /** The file could not be written, so nothing was started: no fault of the actor. */
  | { readonly kind: "blocked"; readonly error: ErrorBody }
  /** Something must happen first; ask again then. */
  | { readonly kind: "later"; readonly when: Promise<void> };

interface Program {
  readonly entry: string;
  readonly options: SpawnOptions;
}

export class ActorStarter {
  readonly #parts: StarterParts;
  readonly #settings: StarterSettings;

  constructor(parts: StarterParts, settings: StarterSettings) {
    this.#parts = parts;
    this.#settings = settings;
  }

  start(order: StartOrder, onExit: (process: ProcessIdentity, exit: Exit) => void): Started {
    const { spec } = order.assignment;
    if (spec.kind === "replica") return this.#run(order, this.#replica(spec, order), onExit);
    const listener = this.#parts.listeners.of(spec);
    switch (listener.kind) {
      case "opening":
        return { kind: "later", when: listener.done };
      case "failed":
        return { kind: "failed", file: undefined, error: listener.error };
      case "open":
        return this.#run(withPort(order, listener.socket.port), this.#proxy(order, listener.socket), onExit);
    }
  }

  #run(order: StartOrder, program: Program, onExit: (process: ProcessIdentity, exit: Exit) => void): Started {
    const { ledger, processes, clock, log } = this.#parts;
    const { instanceId, instance, stateDir, runDir } = this.#settings;
    const file: ActorFile = {
      instanceId,
      instance,
      stateDir,
      runDir,
      assignment: order.assignment,
      incarnation: order.incarnation,
      process: undefined,
      failedStarts: order.failedStarts,
      startedRevision: order.assignment.configRevision,
      error: order.error,
      startedAt: clock.timestamp(),
    };
    const unsaved = this.#save(file);
    if (unsaved !== undefined) return { kind: "blocked", error: unsaved };
    try {
      const path = ledger.pathOf(order.assignment.actor);
      const process = processes.spawn(program.entry, [path], marked(program.options, path), (exit) =>
        onExit(process, exit),
      );
      const known = { ...file, process };
      // It runs: the next agent finds it by its environment.
      tolerated(log, "process", () => ledger.note(known));
      return { kind: "started", file: known, process };
    } catch (error) {
      if (!isServeError(error)) throw error;
      return { kind: "failed", file, error: toErrorBody(error) };
    }
  }

  #save(file: ActorFile): ErrorBody | undefined {
    try {
      this.#parts.ledger.save(file);
      return undefined;
    } catch (error) {
      if (!isServeError(error)) throw error;
      return toErrorBody(error);
    }
  }

  #replica({ code, config }: ReplicaSpec, order: StartOrder): Program {
    return {
      entry: this.#parts.entries.replica(code.module),
      options: {
        nodeArgs: [...this.#settings.execArgv, ...config.nodeArgs],
        cwd: config.cwd ?? this.#settings.cwd,
        env: { file: config.envFile, set: config.env },
        output: this.#outputOf(order),
      },
    };
  }

  #proxy(order: StartOrder, socket: ListenSocket): Program {
    return {
      entry: this.#parts.entries.proxy,
      options: {
        // What the instance was started with comes later, and wins.
        nodeArgs: [`--initial-old-space-size=${PROXY_INITIAL_OLD_SPACE_MB}`, ...this.#settings.execArgv],
        cwd: this.#settings.cwd,
        env: { file: undefined, set: socket.fd === undefined ? {} : { [LISTEN_FD_VARIABLE]: "3" } },
        output: this.#outputOf(order),
        listenFd: socket.fd,
      },
    };
  }

  #outputOf({ assignment }: StartOrder): Output {
    const { output, stateDir } = this.#settings;
    return output === "inherit"
      ? { kind: "inherit" }
      : { kind: "file", path: stateFiles(stateDir).log(assignment.actor) };
  }
}

const marked = (options: SpawnOptions, path: string): SpawnOptions => ({
  ...options,
  env: { ...options.env, set: { ...options.env.set, [ACTOR_FILE_VARIABLE]: path } },
});

/** What a proxy binds by itself where it cannot inherit must be the port that the node has chosen. */
const withPort = (order: StartOrder, port: number): StartOrder => {
  const spec = order.assignment.spec as ProxySpec;
  return { ...order, assignment: { ...order.assignment, spec: { ...spec, port } } };
};
