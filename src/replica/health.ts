/**
 * Asks the user's `checkHealth()` again and again: a throw, a rejection or no answer in time is "unhealthy", the next good answer
 * "healthy" again. One check at a time: while one hangs, the replica stays unhealthy and no second one is started.
 */
import { messageOf } from "../base/serve-error.ts";
import type { ActorReport } from "../model/link-messages.ts";
import type { Clock, Timer } from "../ports/clock.ts";

type Health = ActorReport["health"];

export interface HealthWatchOptions {
  readonly clock: Clock;
  readonly check: () => unknown;
  /** Read at each check. */
  readonly times: () => { readonly healthCheckIntervalMs: number; readonly healthCheckTimeoutMs: number };
  /** Only when it changes; it starts healthy. */
  readonly onChange: (health: Health, reason: string | undefined) => void;
}

export class HealthWatch {
  readonly #options: HealthWatchOptions;
  #timer: Timer | undefined;
  #health: Health = "healthy";
  #isStopped = false;

  constructor(options: HealthWatchOptions) {
    this.#options = options;
  }

  start(): void {
    this.#timer = this.#options.clock.after(this.#options.times().healthCheckIntervalMs, () => void this.#look());
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
  }

  async #look(): Promise<void> {
    const { clock, check, times } = this.#options;
    const { healthCheckTimeoutMs } = times();
    const late = clock.after(healthCheckTimeoutMs, () =>
      this.#set("unhealthy", `checkHealth() has not answered within ${healthCheckTimeoutMs} ms`),
    );
    try {
      await check();
      this.#set("healthy", undefined);
    } catch (error) {
      this.#set("unhealthy", `checkHealth() threw: ${messageOf(error)}`);
    } finally {
      late.cancel();
    }
    if (!this.#isStopped) this.start();
  }

  #set(health: Health, reason: string | undefined): void {
    if (this.#isStopped || health === this.#health) return;
    this.#health = health;
    this.#options.onChange(health, reason);
  }
}
