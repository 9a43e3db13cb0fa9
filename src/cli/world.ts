/** What the commands need of the world outside; `main/cli.ts` gives it. */
import type { AppPlan, ServeClient } from "../client/client.ts";
import type { ApiListener } from "../model/launch.ts";
import type { InstanceFile } from "../model/places.ts";
import type { ProbedCode } from "../model/probe.ts";
import type { HttpConfig } from "../model/records.ts";
import type { Terminal } from "./terminal.ts";

export interface LaunchOptions {
  readonly instance: string;
  readonly http: Partial<HttpConfig>;
  readonly stateDir: string | undefined;
  readonly api: ApiListener | undefined;
  /** Where scrapes are answered; undefined: nowhere. */
  readonly metrics: ApiListener | undefined;
  /** `mine`: ends with this process, output to this terminal, state in a temporary folder. */
  readonly life: "mine" | "detached";
}

/** Flags that say which instance a command means; without them MAITRED_INSTANCE and MAITRED_STATE_DIR do, or that there is one only. */
export interface Choice {
  readonly instance?: string;
  readonly stateDir?: string;
}

export interface Launched {
  readonly instance: InstanceFile;
  /** Somebody else had started it: the options of this launch were not applied. */
  readonly alreadyRunning: boolean;
  /** Where REST was told to listen on TCP. */
  readonly api: ApiListener | undefined;
  /** Where scrapes are answered, with the port that was taken. */
  readonly metrics: ApiListener | undefined;
  readonly client: ServeClient;
}

export interface FoundApp {
  readonly plan: AppPlan;
  /** Rejects with what is wrong with it; `details.read` are the files that were read until then. */
  readonly code: Promise<FoundCode>;
}

export interface FoundCode {
  /** What the code of each backend is, by tag. */
  readonly backends: Readonly<Record<string, ProbedCode>>;
  /** Paths of all files of the user that were read. */
  readonly read: readonly string[];
}

export interface Erasable {
  /** Orphaned: processes of it live, and no agent. */
  readonly kind: "runs" | "orphaned" | "stopped";
  readonly name: string;
  readonly stateDir: string;
}

export interface World {
  readonly terminal: Terminal;
  readonly version: string;
  /** Throws instance-unknown, instance-ambiguous. */
  connect(choice: Choice): Promise<ServeClient>;
  /** The instance that is meant. Throws as `connect`. */
  find(choice: Choice): Promise<InstanceFile>;
  /** What `shutdown` would erase: the instance that is meant, also one that is stopped. Throws as `connect`. */
  findErasable(choice: Choice): Promise<Erasable>;
  /** Erases the state of one that nobody runs. Throws instance-stopping, state-unwritable. */
  eraseStopped(stopped: Erasable): Promise<void>;
  /** Of one that runs, and whose store takes nothing any more or whose agent is gone: resolves when it has ended and is erased. Throws state-unwritable, instance-stopping. */
  eraseRunning(running: Erasable): Promise<void>;
  /** Where the state of an instance lies when nobody says where. */
  defaultStateDir(instance: string): string;
  /** The state folder of the instance that is meant, also of one that is stopped. Throws as `connect`. */
  findStateDir(choice: Choice): Promise<string>;
  /** Resolves when the instance's controller answers. An instance that is not there when the signal comes is not left behind. */
  launch(options: LaunchOptions, signal: AbortSignal): Promise<Launched>;
  /** Loads an app file in a process of its own. What it rejects with has `details.read` as `FoundApp.code` has. */
  probe(file: string, signal: AbortSignal): Promise<FoundApp>;
  /** Resolves when one of the files is another than at that time (a timestamp), or has gone or come, and all of them rest; or at the signal. */
  untilChanged(files: readonly string[], since: number, signal: AbortSignal): Promise<void>;
  /** Text of a file, undefined when there is none. */
  readText(path: string): Promise<string | undefined>;
  /** The processes that have a log file: all, or those that `of` means. */
  loggingProcesses(options: Pick<LogOptions, "stateDir" | "of">): Promise<readonly string[]>;
  /** Lines of log files, oldest first; with `follow` until a signal, or until nobody reads them any more. */
  logs(options: LogOptions, onLine: (line: string) => void): Promise<void>;
  /**
   * From its first use on SIGINT, SIGTERM and SIGHUP do not end this process: the first of them aborts the signal, for the reason
   * `interrupted`; a second one ends the process at once, unless it comes so soon that it is an echo of the first (SIGNAL_ECHO_MS).
   */
  interruption(): AbortSignal;
}

export interface LogOptions {
  readonly stateDir: string;
  /** Backend tag or process name; undefined = all. */
  readonly of: string | undefined;
  readonly follow: boolean;
  readonly sinceMs: number | undefined;
}
