/**
 * ports/processes.ts on Linux (/proc) and macOS (ps). Children lead their own session, so neither Ctrl-C in a terminal nor the death
 * of their starter reaches them; their stdout is a file or inherited, never a pipe.
 */
import { type ChildProcess, type StdioOptions, spawn as spawnChild, spawnSync } from "node:child_process";
import { accessSync, closeSync, constants, openSync, readdirSync, readFileSync, statSync } from "node:fs";
import { parseEnv } from "node:util";
import { isServeError, messageOf, ServeError } from "../base/serve-error.ts";
import type { ProcessIdentity } from "../model/places.ts";
import type { ProcessExit, ProcessHost, SpawnOptions } from "../ports/processes.ts";
import { readBootId } from "./boot-clock.ts";

export const processHost = (): ProcessHost => new SystemProcesses();

class SystemProcesses implements ProcessHost {
  readonly #bootId = readBootId();
  readonly self: ProcessIdentity;

  constructor() {
    this.self = this.identityOf(process.pid)!;
  }

  spawn(
    entry: string,
    args: readonly string[],
    options: SpawnOptions,
    onExit: (exit: ProcessExit) => void,
  ): ProcessIdentity {
    checkFolder(options.cwd);
    const env = environmentOf(options.env);
    const { output, listenFd } = options;
    const fd = output.kind === "file" ? openLog(output.path) : undefined;
    try {
      const out = fd ?? "inherit";
      const stdio: StdioOptions = ["ignore", out, out, ...(listenFd === undefined ? [] : [listenFd])];
      const argv = [...options.nodeArgs, entry, ...args];
      const child = startDetached(entry, argv, { cwd: options.cwd, env, stdio });
      child.once("exit", (code, signal) => onExit({ code: code ?? undefined, signal: signal ?? undefined }));
      child.unref();
      // A child that is dead already has an entry until it is waited for, which is not before this turn ends.
      return this.identityOf(child.pid) ?? { pid: child.pid, startTime: "unknown", bootId: this.#bootId };
    } finally {
      if (fd !== undefined) closeSync(fd);
    }
  }

  identityOf(pid: number): ProcessIdentity | undefined {
    const seen = look(pid);
    return seen === undefined ? undefined : { pid, startTime: seen.startTime, bootId: this.#bootId };
  }

  find(variable: string, value: string): ProcessIdentity | undefined {
    const pid = pidsOf(`${variable}=${value}`).find((candidate) => candidate !== process.pid);
    const found = pid === undefined ? undefined : this.identityOf(pid);
    return found !== undefined && this.isAlive(found) ? found : undefined;
  }

  isAlive({ pid, startTime, bootId }: ProcessIdentity): boolean {
    if (bootId !== this.#bootId) return false;
    const seen = look(pid);
    return seen !== undefined && seen.startTime === startTime && !seen.isZombie;
  }

  signal(target: ProcessIdentity, signal: "SIGTERM" | "SIGKILL"): void {
    if (!this.isAlive(target)) return;
    try {
      process.kill(signal === "SIGKILL" ? -target.pid : target.pid, signal);
    } catch (error) {
      // Gone between look and signal; or not a group leader, because somebody started it by hand.
      if (signal === "SIGKILL" && this.isAlive(target)) killOne(target.pid);
      else if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  }
}

function startDetached(
  entry: string,
  argv: readonly string[],
  options: { readonly cwd: string; readonly env: NodeJS.ProcessEnv; readonly stdio: StdioOptions },
): ChildProcess & { readonly pid: number } {
  let child: ChildProcess;
  try {
    child = spawnChild(process.execPath, argv, { ...options, detached: true });
  } catch (cause) {
    throw notStarted(entry, messageOf(cause));
  }
  child.once("error", () => {}); // says later, in other words, what the missing pid says now
  if (child.pid === undefined) throw notStarted(entry, "the system refuses a new process");
  return child as ChildProcess & { readonly pid: number };
}

interface Seen {
  /** Clock ticks after boot; on macOS the date, to the second. */
  readonly startTime: string;
  readonly isZombie: boolean;
  readonly isSessionLeader: boolean;
}

const look = process.platform === "linux" ? lookInProc : lookByPs;

function lookInProc(pid: number): Seen | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  } catch {
    return undefined; // no such process
  }
  // "4711 (name, which may hold spaces and brackets) S 1 …": state is field 3, session field 6, start time field 22.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const state = fields[0];
  return {
    startTime: fields[19] ?? "",
    isZombie: state === "Z" || state === "X",
    isSessionLeader: fields[3] === String(pid),
  };
}

function lookByPs(pid: number): Seen | undefined {
  const { stdout, status } = spawnSync("ps", ["-o", "stat=,lstart=", "-p", String(pid)], { encoding: "utf8" });
  const found = status === 0 ? /^\s*(\S+)\s+(.+?)\s*$/m.exec(stdout) : null;
  if (found === null) return undefined;
  const flags = found[1]!;
  return { startTime: found[2]!, isZombie: flags.startsWith("Z"), isSessionLeader: flags.includes("s") };
}

/** Session leaders only: what user code starts inherits the environment. Arguments would not do: a process title overwrites them. */
function pidsOf(setting: string): readonly number[] {
  if (process.platform !== "linux") {
    const { stdout } = spawnSync("ps", ["-axEo", "pid=,command="], { encoding: "utf8" });
    const lines = stdout.split("\n").filter((line) => `${line} `.includes(` ${setting} `));
    return lines.map((line) => Number.parseInt(line, 10));
  }
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => lookInProc(pid)?.isSessionLeader === true && environmentAtStart(pid).includes(setting));
}

const environmentAtStart = (pid: number): readonly string[] => {
  try {
    return readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
  } catch {
    return []; // it went meanwhile, or is another user's
  }
};

function killOne(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

export const openLog = (path: string): number => {
  try {
    return openSync(path, "a", 0o600);
  } catch (cause) {
    throw new ServeError("state-unwritable", `${path} cannot be written: ${messageOf(cause)}.`, { cause });
  }
};

/**
 * Node blames a folder in which nothing can start on the program: look first.
 * @throws ServeError `config-invalid`
 */
export const checkFolder = (cwd: string): void => {
  const invalid = (what: string) => new ServeError("config-invalid", `cwd ${cwd} ${what}.`);
  try {
    const found = statSync(cwd, { throwIfNoEntry: false });
    if (found === undefined) throw invalid("does not exist. Create the folder, or set cwd to one that exists");
    if (!found.isDirectory()) throw invalid("is not a folder. Set cwd to one");
    accessSync(cwd, constants.X_OK);
  } catch (error) {
    if (isServeError(error)) throw error;
    throw invalid(`cannot be entered: ${messageOf(error)}. Permit it, or set cwd to another folder`);
  }
};

/** @throws ServeError `config-invalid` */
export const environmentOf = ({ file, set }: SpawnOptions["env"]): NodeJS.ProcessEnv => {
  if (file === undefined) return { ...process.env, ...set };
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (cause) {
    const message = `envFile ${file} cannot be read: ${messageOf(cause)}. Mend the file, or set envFile to another one.`;
    throw new ServeError("config-invalid", message, { cause });
  }
  return { ...process.env, ...parseEnv(text), ...set };
};

export const notStarted = (what: string, why: string): ServeError =>
  new ServeError("start-failed", `${what} was not started: ${why}.`);
