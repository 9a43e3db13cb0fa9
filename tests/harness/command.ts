/**
 * The command line as a process: arguments in; exit status, stdout and stderr out. Long-running commands (`run`, `logs --follow`) are
 * watched while they go on. Every process ends with its test, by the lab that started it.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { expect } from "vitest";
import { STACK_LINE } from "./http.ts";
import { waitFor } from "./wait-for.ts";

const ROOT = join(import.meta.dirname, "../..");
export const BIN = join(ROOT, "bin/maitred.js");

const COMMAND_DEADLINE_MS = 30_000;

export interface CommandOptions {
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
  readonly cwd?: string | undefined;
  readonly deadlineMs?: number | undefined;
}

export interface CommandResult {
  /** undefined: ended by a signal. */
  readonly status: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
  readonly tookMs: number;
  /** stdout as one JSON document. */
  json<T = unknown>(): T;
}

export interface RunningCommand {
  readonly pid: number;
  stdout(): string;
  stderr(): string;
  kill(signal: "SIGINT" | "SIGTERM" | "SIGKILL"): void;
  ended(deadlineMs?: number): Promise<CommandResult>;
}

/** `node <args>` as a child of the test. */
export const spawnNode = (args: readonly string[], options: CommandOptions = {}): RunningCommand => {
  const startedAt = performance.now();
  const child: ChildProcess = spawn(process.execPath, [...args], {
    cwd: options.cwd ?? ROOT,
    env: { ...process.env, NO_COLOR: "1", FORCE_COLOR: undefined, ...options.env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let [stdout, stderr] = ["", ""];
  let result: CommandResult | undefined;
  child.stdout?.on("data", (chunk: Buffer) => {
    stdout += chunk;
  });
  child.stderr?.on("data", (chunk: Buffer) => {
    stderr += chunk;
  });
  // Processes of an instance may hold the pipes open for longer than the command lives: what counts is its own end.
  child.once("exit", (status) => {
    setImmediate(() => {
      result = {
        status: status ?? undefined,
        stdout,
        stderr,
        tookMs: performance.now() - startedAt,
        json: <T>() => JSON.parse(stdout) as T,
      };
    });
  });
  return {
    pid: child.pid ?? 0,
    stdout: () => stdout,
    stderr: () => stderr,
    kill: (signal) => child.kill(signal),
    ended: (deadlineMs = COMMAND_DEADLINE_MS) =>
      waitFor(`\`node ${args.join(" ")}\` has ended`, () => result, deadlineMs).catch((cause: unknown) => {
        throw new Error(`the command goes on; stdout: ${stdout}; stderr: ${stderr}`, { cause });
      }),
  };
};

export const spawnMaitred = (args: readonly string[], options?: CommandOptions): RunningCommand =>
  spawnNode([BIN, ...args], options);

/** Runs a command to its end. */
export const maitred = (args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> =>
  spawnMaitred(args, options).ended(options.deadlineMs);

/**
 * A refused command: the exit status, and on stderr one line with one sentence and its code, nothing else but lines of `progress`
 * before it; answers the sentence.
 */
export const expectRefusal = (
  result: CommandResult,
  wanted: { readonly status: number; readonly code: string },
  progress?: RegExp,
): string => {
  const lines = result.stderr.trimEnd().split("\n");
  const said = lines.filter((line, index) => index === lines.length - 1 || progress?.test(line) !== true).join("\n");
  const [, sentence, code] = /^error (.+) \[([a-z-]+)\]$/.exec(said) ?? [];
  expect({ status: result.status, code, stderr: result.stderr }).toEqual({ ...wanted, stderr: result.stderr });
  expect(sentence).toMatch(/\S[.!?"')]?$/);
  expect(`${result.stdout}${result.stderr}`).not.toMatch(STACK_LINE);
  return sentence ?? "";
};
