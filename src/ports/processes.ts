/**
 * Processes of this machine. A process is named by its identity (pid, start time, boot id), so that a later one with the same pid is
 * never taken for it. What is started here survives its starter: own session, no pipes, not waited for.
 */
import type { ProcessIdentity } from "../model/places.ts";

export type Output =
  /** The starter's own stdout and stderr. */
  | { readonly kind: "inherit" }
  /** Appended to this file. */
  | { readonly kind: "file"; readonly path: string };

export interface SpawnOptions {
  /** Flags of the Node runtime, before the entry. */
  readonly nodeArgs: readonly string[];
  readonly cwd: string;
  /** On top of the starter's own environment: first the lines of the file, then `set`. */
  readonly env: { readonly file: string | undefined; readonly set: Readonly<Record<string, string>> };
  readonly output: Output;
  /** Becomes descriptor 3 of the process. */
  readonly listenFd?: number | undefined;
}

export interface ProcessExit {
  readonly code: number | undefined;
  readonly signal: string | undefined;
}

export interface ProcessHost {
  /** This process. */
  readonly self: ProcessIdentity;
  /** Runs a Node program. Throws a ServeError that says why nothing was started. `onExit` never runs inside the call. */
  spawn(
    entry: string,
    args: readonly string[],
    options: SpawnOptions,
    onExit: (exit: ProcessExit) => void,
  ): ProcessIdentity;
  identityOf(pid: number): ProcessIdentity | undefined;
  /** The living process that was spawned with this in its environment: finds one whose start nobody could write down. */
  find(variable: string, value: string): ProcessIdentity | undefined;
  /** A zombie is dead, and so is everything of another boot. */
  isAlive(process: ProcessIdentity): boolean;
  /** SIGKILL goes to the whole process group, so that what user code started goes too. Nothing happens when it is gone. */
  signal(process: ProcessIdentity, signal: "SIGTERM" | "SIGKILL"): void;
}
