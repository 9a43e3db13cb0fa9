/**
 * Starts the process of a probe (main/probe.ts), takes its one line, and kills it with all that it has started. A probe may be anything:
 * one that never ends, that ends at once, that prints for ever. The answer comes within the time given, or the reason why there is none.
 */
import { type ChildProcess, type SpawnOptions, spawn } from "node:child_process";
import type { Readable } from "node:stream";
import { messageOf, ServeError } from "../../base/serve-error.ts";
import { MAX_PROBE_ANSWER_BYTES } from "../../model/code-limits.ts";
import { PROBE_ANSWER_FD, PROBE_BEGUN, PROBE_HELD_FD, type ProbeWork } from "../../model/probe.ts";
import { notStarted } from "../processes.ts";
import { createSystemClock } from "../system-clock.ts";

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
  /** The next line, parsed; once for each of the lines. Rejects with ServeError module-load-failed or start-failed, or the signal's reason. */
  next(): Promise<unknown>;
  kill(): void;
}

/** @param lines how many it answers; behind the last one it is killed. */
export const startProbe = (work: ProbeWork, setup: ProbeSetup, lines: 1 | 2 = 1): RunningProbe => {
  const { entry, nodeArgs, cwd, env, output, session } = setup;
  const options = {
    ...{ cwd, env },
    // The last one is only held: its end tells the probe that nobody waits any more.
    stdio: ["ignore", output, output, "pipe", "pipe"],
    detached: session === "own",
  } satisfies SpawnOptions;
  // Node's own warnings say less than the sentence that comes of the same mistake.
  const argv = [...nodeArgs, "--no-warnings", entry, JSON.stringify(work)];
  const child = startChild(argv, options, setup.subject);
  const kill = () => killProbe(child, session);
  // What it has started may hold its descriptors open: without their end there is no `close`.
  child.once("exit", kill);
  const answers = Array.from({ length: lines }, () => Promise.withResolvers<unknown>());
  // Whoever has heard that the first is lost does not ask for the next.
  for (const { promise } of answers) promise.catch(() => {});
  listen(child, setup, answers);
  void answers.at(-1)!.promise.then(kill, kill);
  let taken = 0;
  return { next: () => answers[taken++]!.promise, kill };
};

/** Some of what the system refuses is thrown, some comes as an event. */
const startChild = (argv: readonly string[], options: SpawnOptions, subject: string): ChildProcess => {
  try {
    return spawn(process.execPath, argv, options);
  } catch (cause) {
    throw notStarted(subject, messageOf(cause));
  }
};

const listen = (
  child: ChildProcess,
  { timeoutMs, signal, subject, nodeArgs }: ProbeSetup,
  answers: readonly PromiseWithResolvers<unknown>[],
): void => {
  const fail = (error: unknown) => {
    for (const { reject } of answers) reject(error);
  };
  const late = () => fail(noAnswer(subject, `did not end within ${(timeoutMs ?? 0) / 1_000} s`));
  const timer = timeoutMs === undefined ? undefined : createSystemClock().after(timeoutMs, late);
  const abort = () => fail(signal?.reason);
  signal?.addEventListener("abort", abort);
  let hasBegun = false;
  let said = 0;
  readLines(child.stdio[PROBE_ANSWER_FD] as Readable, (line) => {
    if (line === PROBE_BEGUN) hasBegun = true;
    else answers[said++]?.resolve(JSON.parse(line));
  });
  child.stdio[PROBE_HELD_FD]?.on("error", () => {}); // the probe has gone, and says so by its end
  child.once("error", (error) => fail(notStarted(subject, error.message)));
  child.once("close", (status, how) => {
    fail(
      hasBegun || how !== null
        ? noAnswer(subject, `ended the process (${how ?? `exit ${status}`})`)
        : notBegun(subject, status ?? 0, nodeArgs),
    );
    timer?.cancel();
    signal?.removeEventListener("abort", abort);
  });
};

const readLines = (from: Readable, onLine: (line: string) => void): void => {
  let text = "";
  from.setEncoding("utf8");
  from.on("data", (part: string) => {
    if (text.length <= MAX_PROBE_ANSWER_BYTES) text += part;
    for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n")) {
      onLine(text.slice(0, end));
      text = text.slice(end + 1);
    }
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

/** The fault of no import: Node itself, or what its arguments load first, has ended it. */
const notBegun = (subject: string, status: number, nodeArgs: readonly string[]): ServeError =>
  new ServeError(
    "config-invalid",
    `${subject} was not loaded: Node ended (exit ${status}) before it imported anything; nodeArgs is ${JSON.stringify(nodeArgs)}. Correct nodeArgs, or NODE_OPTIONS in env.`,
  );
