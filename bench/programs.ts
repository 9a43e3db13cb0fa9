/**
 * Programs of this folder, run as processes of their own: servers that are measured or measured against, and loads. A program's stdin is
 * a pipe from the bench, and a server ends when it closes (peers/end-with-parent.ts): nothing outlives the bench, however that ends.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { assert } from "../src/base/assert.ts";

export const ROOT = join(import.meta.dirname, "..");
export const BIN = join(ROOT, "bin/maitred.js");

/** Far above every load that a comparison asks for. */
const RUN_DEADLINE_MS = 300_000;
const STOP_DEADLINE_MS = 5_000;

type Args = readonly (string | number)[];

export interface Server<T> {
  /** Of the program and of those that it says it has started. */
  readonly pids: readonly number[];
  /** What it said of itself when it was ready. */
  readonly hello: T;
  /** Sends one line and waits for the next that it says, as JSON. One at a time. */
  ask<A>(line: string): Promise<A>;
  stop(): Promise<void>;
}

/** Runs a program of this folder to its end; its one line of JSON. */
export const runProgram = <T>(file: string, args: Args): Promise<T> =>
  run<T>(process.execPath, [join(import.meta.dirname, file), ...args]);

/** Runs a command to its end; what it prints on stdout is JSON. */
export const run = async <T>(command: string, args: Args): Promise<T> => {
  const child = spawn(command, args.map(String), { stdio: ["pipe", "pipe", "inherit"] });
  const timer = setTimeout(() => child.kill("SIGKILL"), RUN_DEADLINE_MS);
  let text = "";
  child.stdout.on("data", (part: Buffer) => {
    text += part;
  });
  const [status, signal] = await once(child, "close");
  clearTimeout(timer);
  if (status !== 0) throw new Error(`${command} ${args.join(" ")} ended with ${status ?? signal}: ${text}`);
  return JSON.parse(text.slice(text.indexOf("{"))) as T;
};

/** Starts a program of this folder and waits for its first line of JSON. */
export const startServer = async <T extends object>(file: string, args: Args = []): Promise<Server<T>> => {
  const child = spawn(process.execPath, [join(import.meta.dirname, file), ...args.map(String)], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async <A>(): Promise<A> => {
    const line = await lines.next();
    if (line.done === true) throw new Error(`${file} has ended`);
    return JSON.parse(line.value) as A;
  };
  child.stdin.on("error", () => {}); // it has ended: whoever waits for its next line hears of it
  const hello = await next<T & { readonly pids?: readonly number[] }>();
  assert(child.pid !== undefined, `${file} runs`);
  return {
    pids: [child.pid, ...(hello.pids ?? [])],
    hello,
    ask: (line) => {
      child.stdin.write(`${line}\n`);
      return next();
    },
    stop: () => stop(child),
  };
};

const stop = async (child: ChildProcess): Promise<void> => {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.stdin?.end();
  const timer = setTimeout(() => child.kill("SIGKILL"), STOP_DEADLINE_MS);
  await ended;
  clearTimeout(timer);
};
