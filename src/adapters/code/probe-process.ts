/**
 * Starts the process of a probe (main/probe.ts), takes its one line, and kills it with all that it has started. A probe may be anything:
 * one that never ends, that ends at once, that prints for ever. The answer comes within the time given, or the reason why there is none.
 */
import { type ChildProcess, spawn } from "node:child_process";
import type { Readable } from "node:stream";
import { ServeError } from "../../base/serve-error.ts";
import { MAX_PROBE_ANSWER_BYTES } from "../../model/code-limits.ts";
import { PROBE_ANSWER_FD, PROBE_HELD_FD, type ProbeWork } from "../../model/probe.ts";
import { notStarted } from "../processes.ts";

export interface ProbeSetup {
  /** The program's main file. */
  readonly entry: string;
  readonly nodeArgs: readonly string[];
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  /** Descriptor for what it prints. */
  readonly output: number | "ignore";
  /** undefined: the signal bounds it. */
  readonly timeoutMs: number | undefined;
  /** Ends it; the answer is the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** `own`: what it has started is killed with it, and a signal to its starter does not reach it. */
  readonly session: "own" | "starter's";
  /** In messages: `module /srv/app.ts`. */
  readonly subject: string;
}

export interface RunningProbe {
  /** The parsed line; rejects with ServeError module-load-failed or start-failed, or the signal's reason. */
  readonly answer: Promise<unknown>;
  kill(): void;
}

export const startProbe = (work: ProbeWork, setup: ProbeSetup): RunningProbe => {
  const { entry, nodeArgs, cwd, env, output, session } = setup;
  // Node's own warnings say less than the sentence that comes of the same mistake.
  const child = spawn(process.execPath, [...nodeArgs, "--no-warnings", entry, JSON.stringify(work)], {
    ...{ cwd, env },
    // The last one is only held: its end tells the probe that nobody waits any more.
    stdio: ["ignore", output, output, "pipe", "pipe"],
    detached: session === "own",
  });
  const kill = () => killProbe(child, session);
  // What it has started may hold its descriptors open: without their end there is no `close`.
  child.once("exit", kill);
  return { answer: answerOf(child, setup).finally(kill), kill };
};

const answerOf = (child: ChildProcess, { timeoutMs, signal, subject }: ProbeSetup): Promise<unknown> =>
  new Promise((resolve, reject) => {
    const late = () => reject(noAnswer(subject, `did not end within ${(timeoutMs ?? 0) / 1_000} s`));
    const timer = timeoutMs === undefined ? undefined : setTimeout(late, timeoutMs);
    const abort = () => reject(signal?.reason);
    signal?.addEventListener("abort", abort);
    readLine(child.stdio[PROBE_ANSWER_FD] as Readable, (line) => resolve(JSON.parse(line)));
    child.stdio[PROBE_HELD_FD]?.on("error", () => {}); // the probe has gone, and says so by its end
    child.once("error", (error) => reject(notStarted(subject, error.message)));
    child.once("close", (status, how) => {
      reject(noAnswer(subject, `ended the process (${how ?? `exit ${status}`})`));
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
    });
  });

const readLine = (from: Readable, onLine: (line: string) => void): void => {
  let text = "";
  from.setEncoding("utf8");
  from.on("data", (part: string) => {
    if (text.length <= MAX_PROBE_ANSWER_BYTES) text += part;
    const end = text.indexOf("\n");
    if (end >= 0) onLine(text.slice(0, end));
  });
  from.on("error", () => {}); // the end of the process says it better
};

/** The whole group: what the code has started must not outlive it. */
const killProbe = ({ pid }: ChildProcess, session: ProbeSetup["session"]): void => {
  if (pid === undefined) return;
  try {
    process.kill(session === "own" ? -pid : pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
};

const noAnswer = (subject: string, how: string): ServeError =>
  new ServeError(
    "module-load-failed",
    `${subject}: its import ${how}. Import must end by itself; start work in a handler or in start().`,
  );
