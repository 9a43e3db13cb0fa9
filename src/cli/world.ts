/** What the commands need of the world outside; `main/cli.ts` gives it. */
import type { AppPlan, ServeClient } from "../client/client.ts";
import type { ApiListener } from "../model/launch.ts";
import type { InstanceFile } from "../model/places.ts";
import type { HttpConfig } from "../model/records.ts";
import type { Terminal } from "./terminal.ts";

export interface LaunchOptions {
  readonly instance: string;
  readonly http: Partial<HttpConfig>;
  readonly stateDir: string | undefined;
  readonly api: ApiListener | undefined;
  /** `mine`: ends with this process, output to this terminal, state in a temporary folder. */
  readonly life: "mine" | "detached";
}

export interface World {
  readonly terminal: Terminal;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly version: string;
  /** Throws instance-unknown, instance-ambiguous. */
  connect(instance: string | undefined): Promise<ServeClient>;
  /** The instance files of this machine's running instances. */
  instances(): Promise<readonly InstanceFile[]>;
  find(instance: string | undefined): Promise<InstanceFile>;
  /** Resolves when the instance's controller answers. */
  launch(
    options: LaunchOptions,
  ): Promise<{ readonly instance: InstanceFile; readonly alreadyRunning: boolean; readonly client: ServeClient }>;
  /** Loads an app file in a process of its own. */
  probe(file: string): Promise<AppPlan>;
  /** Text of a file, undefined when there is none. */
  readText(path: string): Promise<string | undefined>;
  /** Lines of log files, oldest first; with `follow` until the signal. */
  logs(options: LogOptions, onLine: (line: string) => void): Promise<void>;
  /** Calls back at SIGINT, SIGTERM, SIGHUP. */
  onSignal(callback: (signal: string) => void): void;
  /** Ends this process at once. */
  exitNow(status: number): never;
}

export interface LogOptions {
  readonly stateDir: string;
  /** Backend tag or process name; undefined = all. */
  readonly of: string | undefined;
  readonly follow: boolean;
  readonly sinceMs: number | undefined;
}
