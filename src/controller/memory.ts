/**
 * The soft state of one life: what was published and withdrawn, why things are as they are, who waits for goals, and which keys are
 * left alone for a while. All of it ends with the life; a new one decides it again.
 */
import type { DirtyKey } from "../core/dirty.ts";
import { NoteBook } from "../core/notes.ts";
import type { Life as LifeFacts, Published, Routers, SoftState, Withdrawal } from "../core/soft-state.ts";
import type { Action } from "../model/action.ts";
import type { ActorName, EndpointTag } from "../model/ids.ts";
import { MAX_REASONS, QUARANTINE_MAX_MS, QUARANTINE_MIN_MS } from "../model/limits.ts";
import type { Instant, Timestamp } from "../ports/clock.ts";

export class Memory implements SoftState {
  readonly life: LifeFacts;
  readonly routers: Routers;
  readonly published = new Map<EndpointTag, Published>();
  readonly withdrawals = new Map<ActorName, Withdrawal>();
  readonly notes = new NoteBook();

  constructor(life: LifeFacts, routers: Routers) {
    this.life = life;
    this.routers = routers;
  }
}

export interface Reason {
  readonly reason: string;
  readonly timestamp: Timestamp;
}

/** The last reason for each thing that is not, or was not, as wanted. */
export class Reasons {
  readonly #reasons = new Map<string, Reason>();
  readonly #present = new Set<string>();

  /** Answers whether it is another one than before. */
  set(target: string, reason: string | undefined, timestamp: Timestamp): boolean {
    if (reason === undefined) return this.#present.delete(target);
    const isPresent = this.#present.has(target);
    if (isPresent && this.#reasons.get(target)?.reason === reason) return false;
    this.#present.add(target);
    this.#reasons.delete(target);
    this.#reasons.set(target, { reason, timestamp });
    if (this.#reasons.size > MAX_REASONS) this.#forgetOldest();
    return true;
  }

  /** Why it is not as wanted now. */
  present(target: string): string | undefined {
    return this.#present.has(target) ? this.#reasons.get(target)?.reason : undefined;
  }

  last(target: string): Reason | undefined {
    return this.#reasons.get(target);
  }

  #forgetOldest(): void {
    const [oldest] = this.#reasons.keys();
    if (oldest === undefined) return;
    this.#reasons.delete(oldest);
    this.#present.delete(oldest);
  }
}

/** What was last done about each thing, and why; the oldest is forgotten first. */
export class Deeds {
  readonly #deeds = new Map<string, Reason>();

  /** @param action `start replica`: its second word says what the target is. Publishing is remembered beside what is published. */
  add({ action, target, reason }: Action, timestamp: Timestamp): void {
    const [verb, kind] = action.split(" ");
    const key = `${verb === "publish" ? "published" : kind}/${target}`;
    this.#deeds.delete(key);
    this.#deeds.set(key, { reason: `${action}: ${reason}`, timestamp });
    const [oldest] = this.#deeds.keys();
    if (this.#deeds.size > MAX_REASONS && oldest !== undefined) this.#deeds.delete(oldest);
  }

  last(target: string): Reason | undefined {
    return this.#deeds.get(target);
  }
}

/** Keys whose reconcile threw: left alone, longer each time, until one look succeeds. */
export class Quarantine {
  readonly #cells = new Map<DirtyKey, { readonly until: Instant; readonly delayMs: number }>();

  /** Answers until when. */
  add(key: DirtyKey, now: Instant): Instant {
    const before = this.#cells.get(key)?.delayMs;
    const delayMs = before === undefined ? QUARANTINE_MIN_MS : Math.min(2 * before, QUARANTINE_MAX_MS);
    this.#cells.set(key, { until: now + delayMs, delayMs });
    return now + delayMs;
  }

  keys(now: Instant): ReadonlySet<DirtyKey> {
    return new Set([...this.#cells].filter(([, cell]) => cell.until > now).map(([key]) => key));
  }

  /** After a turn: whoever was due and is not back has been looked at without a throw. */
  releaseDue(now: Instant): void {
    for (const [key, cell] of this.#cells) if (cell.until <= now) this.#cells.delete(key);
  }
}
