/**
 * How a node ends: actors first (proxies before the replicas they use), the controller after them, then the files. What is erased is
 * marked by a tombstone before the first process goes, so that whoever comes after a crash goes on.
 */
import {
  CONTROLLER_STOP_MS,
  ERASE_SETTLE_MS,
  KILL_WAIT_MS,
  OWNER_GONE_DRAIN_MS,
  PROXY_DRAIN_MOST_MS,
  REPLICA_DRAIN_MOST_MS,
} from "../model/limits.ts";
import type { Clock } from "../ports/clock.ts";
import type { ProbeProcesses } from "../ports/code-probe.ts";
import type { InstanceFolders } from "../ports/instance-folders.ts";
import type { Log } from "../ports/log.ts";
import type { ActorSupervisor } from "./actor-supervisor.ts";
import type { ControllerKeeper } from "./controller-keeper.ts";
import type { StoreSession } from "./store-session.ts";
import { tolerated } from "./tolerated.ts";

export interface Ending {
  /** `stopped`: the controller has drained everything. `drain`: this agent does. `hurry`: nobody is left to wait for. */
  readonly pace: "stopped" | "drain" | "hurry";
  readonly state: "kept" | "erased";
}

export interface EndingParts {
  readonly clock: Clock;
  readonly supervisor: ActorSupervisor;
  readonly keeper: ControllerKeeper;
  readonly session: StoreSession;
  readonly probes: ProbeProcesses;
  readonly folders: InstanceFolders;
  readonly log: Log;
  /** Resolves when the store holds the instance no more. */
  readonly untilErased: Promise<void>;
}

/** Resolves when no process of this node is left but this one, and no file but the lock and what is kept. */
export async function endNode(parts: EndingParts, { pace, state }: Ending): Promise<void> {
  const { clock, supervisor, keeper, session, probes, folders, log } = parts;
  log.info("ending", { pace, state });
  // Where it cannot be written, what is here must go all the same: that frees the disk.
  if (state === "erased") tolerated(log, "tombstone", () => folders.writeTombstone());
  if (pace !== "stopped") await drain(parts, pace);
  supervisor.killAll();
  await supervisor.untilGone("all", KILL_WAIT_MS);
  if (state === "erased" && pace === "drain") {
    await Promise.race([parts.untilErased, new Promise<void>((resolve) => clock.after(ERASE_SETTLE_MS, resolve))]);
  }
  await keeper.end(pace === "hurry" ? 0 : CONTROLLER_STOP_MS);
  // Nobody orders new ones, and none may write into a folder that goes.
  probes.endAll();
  await session.stop();
  supervisor.stop();
  if (state === "erased") folders.removeState();
  folders.clearRun();
  log.info("ended", { state });
}

async function drain({ clock, supervisor }: EndingParts, pace: "drain" | "hurry"): Promise<void> {
  const hurryEndsAt = clock.now() + OWNER_GONE_DRAIN_MS;
  const proxiesMs = pace === "hurry" ? OWNER_GONE_DRAIN_MS / 2 : PROXY_DRAIN_MOST_MS;
  supervisor.end({ drains: "proxies", mostMs: proxiesMs });
  await supervisor.untilGone("proxies", proxiesMs + KILL_WAIT_MS);
  const allMs = pace === "hurry" ? Math.max(0, hurryEndsAt - clock.now()) : REPLICA_DRAIN_MOST_MS;
  supervisor.end({ drains: "all", mostMs: allMs });
  await supervisor.untilGone("all", allMs + KILL_WAIT_MS);
}
