/**
 * Who lives in an instance: what `status` says, held against what the kernel says.
 */
import type { ProcessStatus, Status } from "../../src/model/status.ts";
import type { Lab, Started } from "./lab.ts";
import { commandOf, isAlive, markedPids } from "./processes.ts";
import { waitFor } from "./wait-for.ts";

/** Longer than any short-lived process (a probe, a start that backs off) lives. */
const SETTLE_DEADLINE_MS = 20_000;

export const processesOf = (status: Status, kind: ProcessStatus["kind"]): readonly ProcessStatus[] =>
  status.processes.filter((process) => process.kind === kind && process.state !== "exited");

/** The one agent or controller. */
export const theOne = (status: Status, kind: "agent" | "controller"): ProcessStatus & { readonly pid: number } => {
  const [found, second] = processesOf(status, kind);
  if (found?.pid === undefined || second !== undefined) {
    throw new Error(`status shows not one ${kind}: ${JSON.stringify(status.processes)}`);
  }
  return { ...found, pid: found.pid };
};

/** `{ "echo#2": "pid 71 incarnation 1" }`: equal before and after = nothing was started, replaced or lost. */
export const censusOf = (status: Status, kinds: readonly ProcessStatus["kind"][]): Readonly<Record<string, string>> =>
  Object.fromEntries(
    kinds.flatMap((kind) =>
      processesOf(status, kind).map((process) => [
        process.name,
        `pid ${process.pid} incarnation ${process.incarnation}`,
      ]),
    ),
  );

/** Resolves when every process of the lab is one that `status` shows, each ready and alive, and none is shown twice. */
export const settled = (lab: Lab, instance: Started): Promise<Status> =>
  waitFor(
    "status and kernel agree on who lives",
    async () => {
      const status = await instance.status();
      const shown = status.processes.filter((process) => process.state !== "exited");
      const pids = shown.map((process) => process.pid ?? 0);
      const strangers = markedPids(lab.mark).filter((pid) => !pids.includes(pid));
      const missing = shown.filter((process) => process.state !== "ready" || !isAlive(process.pid ?? 0));
      if (strangers.length === 0 && missing.length === 0 && new Set(pids).size === pids.length) return status;
      throw new Error(
        `not in status: ${strangers.map((pid) => `${pid} ${commandOf(pid)}`).join(" | ") || "none"}; ` +
          `not ready: ${missing.map((process) => `${process.name} ${process.state} ${process.pid}`).join(", ") || "none"}`,
      );
    },
    SETTLE_DEADLINE_MS,
  );
