/**
 * What `run` says of replicas that are not there yet: the first failed start of a backend as soon as it is known, and now and then of
 * one that is still starting for how long, so that nobody looks at a silent terminal until the last attempt is over.
 */
import { setTimeout as pause } from "node:timers/promises";
import type { ServeClient } from "../client/client.ts";
import { resolveBackendConfig } from "../model/backend-config.ts";
import { START_LOOK_MS, START_NOTICE_FIRST_MS, START_NOTICE_INTERVAL_MS } from "../model/limits.ts";
import type { ProcessStatus, Status } from "../model/status.ts";
import type { Terminal } from "./terminal.ts";

/** Resolves soon after the signal. A controller that does not answer is not this function's to tell of. */
export const tellOfStarts = async (terminal: Terminal, client: ServeClient, over: AbortSignal): Promise<void> => {
  const told = new Set<string>();
  const ended = new Promise<undefined>((resolve) => over.addEventListener("abort", () => resolve(undefined)));
  while (!over.aborted) {
    await Promise.race([pause(START_LOOK_MS, undefined, { ref: false }), ended]);
    if (over.aborted) return;
    const status = await Promise.race([client.status().catch(() => undefined), ended]);
    if (over.aborted || status === undefined) continue;
    for (const line of newNotices(status as Status, told)) {
      terminal.err(`${terminal.interactive ? "\r\u001b[K" : ""}${line}\n`);
    }
  }
};

/** @param told what has been said; what is answered now is added. */
const newNotices = (status: Status, told: Set<string>): readonly string[] =>
  status.backends.flatMap(({ tag, config }) => {
    const { startTimeoutMs, maxStartAttempts } = resolveBackendConfig(config);
    const replicas = status.processes.filter(({ kind, name }) => kind === "replica" && name.startsWith(`${tag}#`));
    const failed = replicas.find(({ failedStarts = 0 }) => failedStarts > 0 && failedStarts < maxStartAttempts);
    const starting = replicas.filter(({ state }) => state === "starting").sort((a, b) => b.uptimeMs - a.uptimeMs)[0];
    const notices = [
      failed && {
        key: `${tag} failed`,
        line: `${failed.name} did not start (attempt ${failed.failedStarts} of ${maxStartAttempts}); it is tried again: ${failed.error ?? "no reason is known."}`,
      },
      starting && stillStarting(starting, { startTimeoutMs, maxStartAttempts }),
    ];
    return notices.flatMap((notice) => {
      if (notice === undefined || told.has(notice.key)) return [];
      told.add(notice.key);
      return notice.line;
    });
  });

const stillStarting = (
  { name, uptimeMs, failedStarts = 0 }: ProcessStatus,
  { startTimeoutMs, maxStartAttempts }: { readonly startTimeoutMs: number; readonly maxStartAttempts: number },
): { readonly key: string; readonly line: string } | undefined => {
  if (uptimeMs < START_NOTICE_FIRST_MS) return undefined;
  const seconds = Math.floor(uptimeMs / 1_000);
  const bounds = `limit ${startTimeoutMs / 1_000} s, attempt ${failedStarts + 1} of ${maxStartAttempts}`;
  const turn = Math.floor((uptimeMs - START_NOTICE_FIRST_MS) / START_NOTICE_INTERVAL_MS);
  return { key: `${name} ${failedStarts} ${turn}`, line: `${name} is still starting (${seconds} s; ${bounds}) …` };
};
