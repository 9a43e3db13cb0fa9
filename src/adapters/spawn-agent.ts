/**
 * Starts an agent process: for a person (`launch.ts`) or for an instance whose agent is gone (`rescue.ts`). The agent gets one argument,
 * its AgentLaunch in JSON, leads its own session and outlives whoever started it.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync } from "node:fs";
import { messageOf, ServeError } from "../base/serve-error.ts";
import type { AgentLaunch, SavedLaunch } from "../model/launch.ts";
import { stateFiles } from "../model/places.ts";

export type AgentStart = Pick<SavedLaunch, "launch" | "execPath" | "entry" | "cwd" | "env">;

/** Throws `state-unwritable` when its log cannot be opened. The child still holds the caller's event loop: `unref` it to leave. */
export function spawnAgent({ launch, execPath, entry, cwd, env }: AgentStart): ChildProcess {
  const log = launch.output === "files" ? openAgentLog(launch) : undefined;
  try {
    const out = log ?? "inherit";
    const child = spawn(execPath, [...launch.execArgv, entry, JSON.stringify(launch)], {
      cwd: existsSync(cwd) ? cwd : launch.stateDir,
      env,
      stdio: ["ignore", out, out],
      detached: true,
    });
    child.on("error", () => {}); // a missing pid says it already
    return child;
  } finally {
    if (log !== undefined) closeSync(log);
  }
}

function openAgentLog({ stateDir }: AgentLaunch): number {
  const files = stateFiles(stateDir);
  try {
    mkdirSync(files.logs, { recursive: true, mode: 0o700 });
    return openSync(files.log("agent"), "a", 0o600);
  } catch (cause) {
    throw new ServeError("state-unwritable", `${files.logs} cannot be written: ${messageOf(cause)}.`, { cause });
  }
}
