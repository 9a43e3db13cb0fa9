/**
 * The plan of an app file, from a process that loads it (main/probe.ts). Whatever user code does there, it cannot hurt this process; it
 * is ended when the signal says so, and ends by itself when this process goes. What it prints goes to stderr.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { extname } from "node:path";
import { fileURLToPath } from "node:url";
import { fromErrorBody, ServeError } from "../base/serve-error.ts";
import type { AppPlan } from "../client/client.ts";

/** Throws what is wrong with the file, or the signal's reason. */
export const probeApp = async (file: string, signal: AbortSignal): Promise<AppPlan> => {
  signal.throwIfAborted();
  const entry = fileURLToPath(new URL(`./probe${extname(import.meta.url)}`, import.meta.url));
  // Descriptor 3 brings the answer. 4 is only held: its end tells the probe that nobody waits any more.
  const child = spawn(process.execPath, [entry, file], { stdio: ["ignore", 2, 2, "pipe", "pipe"] });
  const stop = (): void => void child.kill("SIGKILL");
  signal.addEventListener("abort", stop);
  try {
    const { answer, how } = await outcomeOf(child);
    signal.throwIfAborted();
    if (answer === "") throw ended(file, how);
    const { plan, error } = JSON.parse(answer) as ProbeAnswer;
    if (plan === undefined) throw fromErrorBody(error ?? { code: "internal", message: "the probe said nothing." });
    return plan;
  } finally {
    signal.removeEventListener("abort", stop);
  }
};

interface ProbeAnswer {
  readonly plan?: AppPlan;
  readonly error?: { readonly code: string; readonly message: string };
}

const outcomeOf = (child: ChildProcess): Promise<{ readonly answer: string; readonly how: string }> =>
  new Promise((resolve, reject) => {
    let answer = "";
    child.stdio[3]?.on("data", (part: Buffer) => {
      answer += part.toString();
    });
    child.stdio[4]?.on("error", () => {}); // the probe has gone, and says so by its end
    child.once("error", reject);
    child.once("close", (status, signal) => resolve({ answer, how: signal ?? `exit ${status}` }));
  });

const ended = (file: string, how: string): ServeError =>
  new ServeError(
    "module-load-failed",
    `module ${file}: its import ended the process (${how}). Import must end by itself; start work in a handler or in start().`,
  );
