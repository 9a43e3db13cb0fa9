/**
 * A lease as its holder sees it. The holder's own deadline never lies after the instant that is saved, so a holder that looks at
 * its deadline has given up before anybody else may take over.
 */
import type { Lease, LeaseId } from "../../ports/store.ts";

/** Before every instant. */
const LOST = Number.NEGATIVE_INFINITY;

export interface LeaseCalls {
  /** Extends the saved lease; answers the new deadline, undefined when the lease was lost. */
  extend(): Promise<number | undefined>;
  end(): Promise<void>;
}

export class HeldLease implements Lease {
  readonly id: LeaseId;
  readonly #calls: LeaseCalls;
  #deadline: number;
  #revoked = false;

  constructor(id: LeaseId, deadline: number, calls: LeaseCalls) {
    this.id = id;
    this.#deadline = deadline;
    this.#calls = calls;
  }

  deadline(): number {
    return this.#deadline;
  }

  async keepAlive(): Promise<boolean> {
    const deadline = await this.#calls.extend();
    // A renewal that was under way when the lease was revoked must not revive it here.
    this.#deadline = this.#revoked ? LOST : (deadline ?? LOST);
    return this.#deadline !== LOST;
  }

  async revoke(): Promise<void> {
    this.#revoked = true;
    this.#deadline = LOST;
    await this.#calls.end();
  }
}
