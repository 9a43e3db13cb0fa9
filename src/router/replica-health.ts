/**
 * Whether a replica is fit to get queries, from what became of the last ones: the one mechanism for all kinds of failure. Facts come from
 * its connection, the judgement in comparison with its siblings from outlier-watch.ts.
 *
 *   fit       it gets its share
 *   down      it cannot be reached, or says goodbye: nothing is sent, for a while that doubles each time
 *   ejected   its answers are bad where those of its siblings are good: it gets queries only when no other replica can take them
 *   probing   it was ejected, and its while is over: one query at a time, until some were good, or a second one was bad
 *
 * A silent one, whose process does not answer pings, is treated as an ejected one for as long as that lasts.
 */
import {
  EJECT_FORGIVE_AFTER,
  EJECT_MAX_MS,
  EJECT_MIN_MS,
  OUTCOME_GAIN,
  PROBES_TO_EJECT,
  PROBES_TO_RECOVER,
  SLOW_LEARN_FACTOR,
} from "../model/limits.ts";
import type { Clock, Timer } from "../ports/clock.ts";
import type { Candidate } from "./replica-choice.ts";

export type EjectReason = "unreachable" | "leaving" | "silent" | "outlier";

export interface HealthEvents {
  /** It is left alone from now on. */
  onEject(why: EjectReason): void;
  /** It may be tried again. */
  onFit(): void;
  /** It looks bad: compare it with its siblings. */
  onSuspicion(): void;
}

/** Far more doublings than it takes to EJECT_MAX_MS. */
const MOST_DOUBLINGS = 16;

export class ReplicaHealth {
  state: "fit" | "down" | "ejected" | "probing" = "fit";
  isSilent = false;
  /** Share of bad outcomes, newer ones counting more. */
  badShare = 0;
  /** Outcomes since it was last fit anew. */
  seen = 0;
  /** What half of its good answers take at most; undefined: not known yet. */
  typicalMs: number | undefined;
  /** Answers that were timed. */
  timed = 0;
  /** A slower answer is a bad one; set by who knows the siblings. */
  slowBeyondMs = Number.POSITIVE_INFINITY;
  readonly #clock: Clock;
  readonly #events: HealthEvents;
  /** In a row, without a proof of reachability between. */
  #losses = 0;
  /** In a row, without a long good time between. */
  #ejections = 0;
  #goodProbes = 0;
  #badProbes = 0;
  #timer: Timer | undefined;

  constructor(clock: Clock, events: HealthEvents) {
    this.#clock = clock;
    this.#events = events;
  }

  readiness(inFlight: number): Candidate["readiness"] {
    if (this.state === "down") return "unready";
    if (this.isSilent || this.state === "ejected") return "suspect";
    return this.state === "fit" || inFlight === 0 ? "ready" : "suspect";
  }

  /** Something came back: it can be reached. */
  reached(): void {
    this.#losses = 0;
  }

  /** @param tookMs undefined when the time says nothing of the replica. */
  outcome(kind: "good" | "bad", tookMs: number | undefined): void {
    const isSlow = tookMs !== undefined && tookMs > this.slowBeyondMs;
    if (kind === "good" && tookMs !== undefined) this.#learn(tookMs);
    const isBad = kind === "bad" || isSlow;
    if (this.state === "probing") {
      this.#probed(isBad ? "bad" : "good");
      return;
    }
    this.seen += 1;
    this.badShare += ((isBad ? 1 : 0) - this.badShare) * OUTCOME_GAIN;
    if (isBad && this.state === "fit") this.#events.onSuspicion();
    else if (this.#ejections > 0 && this.seen >= EJECT_FORGIVE_AFTER && this.badShare < OUTCOME_GAIN) {
      this.#ejections = 0;
    }
  }

  unreachable(): void {
    this.#down("unreachable");
  }

  /** It has said that it goes. */
  leaving(): void {
    this.#down("leaving");
  }

  silent(): void {
    if (this.isSilent) return;
    this.isSilent = true;
    this.#events.onEject("silent");
  }

  heard(): void {
    if (!this.isSilent) return;
    this.isSilent = false;
    this.#events.onFit();
  }

  /** By comparison. */
  eject(): void {
    this.#pause("ejected", this.#ejections);
    this.#ejections = Math.min(this.#ejections + 1, MOST_DOUBLINGS);
    this.#events.onEject("outlier");
  }

  /** It was ejected for what turned out to be its siblings' too: no worse than they are, and held against them as such from now on. */
  takeBack(theirBadShare: number): void {
    this.stop();
    this.state = "fit";
    this.badShare = Math.max(this.badShare, theirBadShare);
    this.#events.onFit();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #down(why: "unreachable" | "leaving"): void {
    this.isSilent = false;
    this.#pause("down", this.#losses);
    this.#losses = Math.min(this.#losses + 1, MOST_DOUBLINGS);
    this.#events.onEject(why);
  }

  #pause(state: "down" | "ejected", doublings: number): void {
    this.stop();
    this.state = state;
    const pauseMs = Math.min(EJECT_MAX_MS, EJECT_MIN_MS * 2 ** doublings);
    this.#timer = this.#clock.after(pauseMs, () => this.#tryAgain());
  }

  #tryAgain(): void {
    this.#goodProbes = 0;
    this.#badProbes = 0;
    // A process that comes back is another one: what is held against it is whether it was ejected again and again.
    if (this.state === "ejected" || this.#ejections > 0) this.state = "probing";
    else this.#fit();
    this.#events.onFit();
  }

  #probed(kind: "good" | "bad"): void {
    if (kind === "bad") this.#badProbes += 1;
    else this.#goodProbes += 1;
    if (this.#badProbes >= PROBES_TO_EJECT) this.eject();
    else if (this.#goodProbes >= PROBES_TO_RECOVER) {
      this.#fit();
      this.#events.onFit();
    }
  }

  #fit(): void {
    this.stop();
    this.state = "fit";
    this.badShare = 0;
    this.seen = 0;
  }

  /** Half of the values lie below where steps up and down are as frequent; steps in proportion find it on any scale. */
  #learn(tookMs: number): void {
    this.timed += 1;
    if (this.typicalMs === undefined) this.typicalMs = tookMs;
    else this.typicalMs *= tookMs > this.typicalMs ? SLOW_LEARN_FACTOR : 1 / SLOW_LEARN_FACTOR;
  }
}
