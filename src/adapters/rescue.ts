/**
 * Starts an agent again when the node's agent is gone. Used by the controller and the proxies, told by their link when it is up or down.
 * A missing link alone is no death: the lock is asked, which a stopped agent still holds. Rescuers spread by chance and count their
 * rescues on disk, so that an agent that dies at once is not started in a loop. What starts is the agent of `launch.json`: it adopts,
 * and never resumes a stopped instance.
 */
import type { SavedLaunch } from "../model/launch.ts";
import {
  AGENT_GONE_MS,
  RESCUE_BACKOFF_MAX_MS,
  RESCUE_BACKOFF_MIN_MS,
  RESCUE_JITTER_MS,
  RESCUE_LOOK_INTERVAL_MS,
  RESCUE_PATIENCE_MS,
} from "../model/limits.ts";
import { type InstanceFile, type RescueFile, runFiles, stateFiles } from "../model/places.ts";
import type { Clock, Timer } from "../ports/clock.ts";
import type { Log } from "../ports/log.ts";
import type { Random } from "../ports/random.ts";
import { isLockHeld } from "./kernel-lock.ts";
import { SILENT_LOG } from "./silent-log.ts";
import { spawnAgent } from "./spawn-agent.ts";
import { createSystemClock } from "./system-clock.ts";
import { createSystemRandom } from "./system-random.ts";
import { readJson, writeWhole } from "./whole-files.ts";

export interface RescueOptions {
  readonly stateDir: string;
  readonly runDir: string;
  readonly instanceId: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

export interface Rescue {
  /** From LinkEvents.onUp. */
  linkUp(): void;
  /** From LinkEvents.onDown. */
  linkDown(): void;
  stop(): void;
}

/** Begins as if the link were down: a process may be started when its agent is already gone. */
export const startRescue = (options: RescueOptions): Rescue => {
  const rescue = new LockRescue(options);
  rescue.linkDown();
  return rescue;
};

/**
 * Starts an agent again when it dies while `end` runs: for programs that have told an instance to end, and wait for that. Replicas alone
 * do not bring their agent back.
 */
export const rescuingUntil = async <T>(
  where: Pick<RescueOptions, "stateDir" | "runDir" | "instanceId">,
  end: () => Promise<T>,
): Promise<T> => {
  const ports = { clock: createSystemClock(), random: createSystemRandom(), log: SILENT_LOG };
  const rescue = startRescue({ ...where, ...ports });
  try {
    return await end();
  } finally {
    rescue.stop();
  }
};

class LockRescue implements Rescue {
  readonly #options: RescueOptions;
  #timer: Timer | undefined;
  #unsaved: RescueFile | undefined;
  #stopped = false;

  constructor(options: RescueOptions) {
    this.#options = options;
  }

  linkUp(): void {
    this.#timer?.cancel();
  }

  linkDown(): void {
    this.#lookIn(AGENT_GONE_MS + this.#options.random.number() * RESCUE_JITTER_MS);
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  #lookIn(delayMs: number): void {
    this.#timer?.cancel();
    if (this.#stopped) return;
    this.#timer = this.#options.clock.after(delayMs, () => {
      let next = RESCUE_LOOK_INTERVAL_MS;
      try {
        next = this.#look();
      } catch (error) {
        this.#options.log.warn("rescue-failed", { error });
      }
      this.#lookIn(next);
    });
  }

  /** Answers when to look again. */
  #look(): number {
    const { stateDir, runDir, instanceId, clock, log } = this.#options;
    const files = runFiles(runDir);
    if (isLockHeld(files.lock)) return RESCUE_LOOK_INTERVAL_MS;
    const saved = readJson<SavedLaunch>(stateFiles(stateDir).launch);
    const isOver = readJson<InstanceFile>(files.instance)?.id !== instanceId || saved?.instanceId !== instanceId;
    if (isOver) return RESCUE_PATIENCE_MS; // the link says so to its process in its own time

    const { at, count } = this.#last(files.rescue);
    const wait = at + backoffOf(count) - clock.timestamp();
    // A clock that was set back must not put the rescue off beyond its own longest pause.
    if (wait > 0) return Math.min(wait, RESCUE_BACKOFF_MAX_MS);
    this.#note(files.rescue, { at: clock.timestamp(), count: count + 1 });
    const child = spawnAgent({ ...saved, launch: { ...saved.launch, resume: false } });
    child.unref();
    log.warn("agent-rescued", { pid: child.pid, rescuesInARow: count + 1 });
    return RESCUE_PATIENCE_MS;
  }

  #last(path: string): RescueFile {
    const saved = readJson<RescueFile>(path) ?? { at: 0, count: 0 };
    return this.#unsaved !== undefined && this.#unsaved.at > saved.at ? this.#unsaved : saved;
  }

  /** On a full disk there must be an agent all the same; then the pauses are this process's own. */
  #note(path: string, rescue: RescueFile): void {
    this.#unsaved = rescue;
    try {
      writeWhole(path, JSON.stringify(rescue), "quickly");
    } catch (error) {
      this.#options.log.warn("rescue-not-noted", { error });
    }
  }
}

/** 0, 500, 1000, 2000 … */
const backoffOf = (count: number): number =>
  count === 0 ? 0 : Math.min(RESCUE_BACKOFF_MIN_MS * 2 ** (count - 1), RESCUE_BACKOFF_MAX_MS);
