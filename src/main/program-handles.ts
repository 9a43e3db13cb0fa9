/**
 * Handles of a user's program. Link and router are opened by the first call of a handle and do not keep the program alive by
 * themselves.
 */
import { openAgentLink, type ProcessLink } from "../adapters/agent-link.ts";
import { snapshotOf } from "../adapters/process-metrics.ts";
import { SILENT_LOG } from "../adapters/silent-log.ts";
import { type CallerFactory, createHandle } from "../api/api.ts";
import { Meters } from "../core/metrics/meters.ts";
import type { Clock } from "../ports/clock.ts";
import type { Random } from "../ports/random.ts";
import { type ProcessRouter, startProcessRouter } from "./process-router.ts";

export interface ProgramHandlesOptions {
  readonly runDir: string;
  readonly instanceId: string;
  readonly clock: Clock;
  readonly random: Random;
}

export interface ProgramHandles {
  handle(endpoint: string): unknown;
  close(): Promise<void>;
}

export const openProgramHandles = (options: ProgramHandlesOptions): ProgramHandles => {
  let open: { readonly link: ProcessLink; readonly process: ProcessRouter } | undefined;
  const callers: CallerFactory = (endpoint) => {
    open ??= connect(options);
    return open.process.callers(endpoint);
  };
  return {
    handle: (endpoint) =>
      createHandle(endpoint, {
        callMethod: (...call) => callers(endpoint).callMethod(...call),
        callDoor: (...call) => callers(endpoint).callDoor(...call),
        fetch: (...call) => callers(endpoint).fetch(...call),
      }),
    async close() {
      open?.process.stop();
      open?.link.stop();
      open = undefined;
    },
  };
};

const connect = ({ runDir, instanceId, clock, random }: ProgramHandlesOptions) => {
  const link = openAgentLink({ runDir, instanceId, role: "client" });
  const identity = { instanceId, peer: `program ${process.pid}`, kind: "program", follow: "used" } as const;
  const meters = new Meters();
  // A program may have several connections.
  const life = random.id();
  const started = startProcessRouter({ clock, random, log: SILENT_LOG, leader: () => link.leader(), meters }, identity);
  link.start({ onLeader: () => started.leaderChanged(), onCollect: () => snapshotOf(meters, life) });
  link.unref();
  return { link, process: started };
};
