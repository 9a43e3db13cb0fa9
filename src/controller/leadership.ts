/**
 * Winning and keeping the leadership: the key `leader`, put under a lease, whose create revision is the epoch that fences every write.
 * `isHeld` is answered from the lease's own deadline, without asking anybody: a process that was stopped for a while knows at once.
 */
import { isServeError, messageOf, type ServeError } from "../base/serve-error.ts";
import { CAMPAIGN_RETRY_MS } from "../model/limits.ts";
import type { LeaderRecord } from "../model/records.ts";
import { LEASE_RENEW_INTERVAL_MS, LEASE_TTL_MS } from "../model/store-limits.ts";
import type { Clock, Timer } from "../ports/clock.ts";
import type { Log } from "../ports/log.ts";
import type { Lease, Store } from "../ports/store.ts";
import { pause } from "./pause.ts";

export interface CampaignPorts {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
}

export interface Candidate {
  readonly key: string;
  readonly record: LeaderRecord;
  /** The leadership before, if this process had one: first of all the store must take it back. */
  readonly former: Leadership | undefined;
  /** Called each time that the store fails. */
  readonly onStoreUnavailable: (error: ServeError) => void;
}

/** Waits until nobody leads, then leads. A store that fails is asked again. undefined: the signal ended the campaign. */
export const campaign = async (
  ports: CampaignPorts,
  candidate: Candidate,
  signal: AbortSignal,
): Promise<Leadership | undefined> => {
  let isFailing = false;
  while (!signal.aborted) {
    try {
      await candidate.former?.resign();
      const leadership = await tryToLead(ports, candidate);
      isFailing = false;
      if (leadership !== undefined && !signal.aborted) return leadership;
      await leadership?.resign();
      if (!signal.aborted) await leaderGone(ports, candidate.key, signal);
    } catch (error) {
      if (!isServeError(error) || error.code !== "store-unavailable") throw error;
      if (!isFailing) ports.log.warn("campaign-store-unavailable", { error: error.message });
      isFailing = true;
      candidate.onStoreUnavailable(error);
      await pause(ports.clock, CAMPAIGN_RETRY_MS, signal);
    }
  }
  return undefined;
};

const tryToLead = async (
  ports: CampaignPorts,
  { key, record }: Pick<Candidate, "key" | "record">,
): Promise<Leadership | undefined> => {
  const { store } = ports;
  if ((await store.get(key)) !== undefined) return undefined;
  const lease = await store.lease(LEASE_TTL_MS);
  try {
    const result = await store.txn({
      compare: [{ key, kind: "absent" }],
      then: [{ kind: "put", key, value: JSON.stringify(record), lease: lease.id }],
    });
    if (result.succeeded) return new Leadership(ports, lease, result.revision);
  } catch (error) {
    // Whether the key was put is unknown; without the lease it is gone either way.
    await revoke(ports, lease);
    throw error;
  }
  await revoke(ports, lease);
  return undefined;
};

/** Resolves when the leader's key is deleted; behind the watch, when it is time to look again. */
const leaderGone = async ({ store, clock }: CampaignPorts, key: string, signal: AbortSignal): Promise<void> => {
  const gone = new AbortController();
  const end = () => gone.abort();
  signal.addEventListener("abort", end, { once: true });
  const watch = store.watch(key, (event) => {
    if (event.kind === "compacted") end();
    if (event.kind === "snapshot" && event.entries.every((entry) => entry.key !== key)) end();
    if (event.kind === "changes" && event.changes.some((change) => change.kind === "delete" && change.key === key))
      end();
  });
  await pause(clock, CAMPAIGN_RETRY_MS, gone.signal);
  watch.stop();
  signal.removeEventListener("abort", end);
};

export class Leadership {
  /** Create revision of the leader's key. */
  readonly epoch: number;
  readonly #ports: CampaignPorts;
  readonly #lease: Lease;
  #timer: Timer | undefined;
  #state: "held" | "lost" | "resigning" | "resigned" = "held";
  #onLost: (() => void) | undefined;

  constructor(ports: CampaignPorts, lease: Lease, epoch: number) {
    this.#ports = ports;
    this.#lease = lease;
    this.epoch = epoch;
    this.#renewLater();
  }

  isHeld(): boolean {
    return this.#state === "held" && this.#ports.clock.now() < this.#lease.deadline();
  }

  /** Calls back once, when the lease is found lost. */
  onLost(callback: () => void): void {
    this.#onLost = callback;
  }

  /** Gives the leadership back, so that the next one need not wait. Rejects when the store does not take it; ask again then. */
  async resign(): Promise<void> {
    if (this.#state === "resigned") return;
    this.#state = "resigning";
    this.#timer?.cancel();
    await this.#lease.revoke();
    this.#state = "resigned";
  }

  #renewLater(): void {
    this.#timer = this.#ports.clock.after(LEASE_RENEW_INTERVAL_MS, () => {
      this.#renew().catch((error: unknown) => this.#ports.log.error("lease-renewal", { error: messageOf(error) }));
    });
  }

  async #renew(): Promise<void> {
    const isKept = await this.#lease.keepAlive().catch((error: unknown) => {
      // The store does not answer: the lease may hold. Its deadline tells when to give up.
      this.#ports.log.warn("lease-not-renewed", { error: messageOf(error) });
      return true;
    });
    if (this.#state !== "held") return;
    if (isKept && this.isHeld()) return this.#renewLater();
    this.#state = "lost";
    this.#onLost?.();
  }
}

const revoke = async ({ log }: CampaignPorts, lease: Lease): Promise<void> => {
  try {
    await lease.revoke();
  } catch (error) {
    log.warn("lease-not-revoked", { error: messageOf(error) });
  }
};
