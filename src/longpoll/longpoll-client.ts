/**
 * Follows the controller: keeps one poll under way, hands every newer answer to `apply`, in order, one at a time, and acknowledges
 * it with the next poll. It registers once per controller life, and again when the set it follows changes.
 * Whatever happens (no controller, an answer from an older life, an `apply` that throws) the loop goes on until `stop`.
 */
import { isServeError, messageOf } from "../base/serve-error.ts";
import type { BackendTag, EndpointTag } from "../model/ids.ts";
import { POLL_RETRY_MS, POLL_TIMEOUT_MS } from "../model/limits.ts";
import {
  compareSnapshotIds,
  NO_SNAPSHOT,
  type PollAnswer,
  type PollRequest,
  type SnapshotId,
} from "../model/longpoll.ts";
import type { Clock } from "../ports/clock.ts";
import type { Log } from "../ports/log.ts";
import type { PollTransport } from "../ports/poll-transport.ts";

export type News = Extract<PollAnswer, { kind: "news" }>;

export interface LongPollClientOptions {
  /** Unique in the instance; drawn once per process. */
  readonly client: string;
  readonly kind: PollRequest["kind"];
  readonly name: string;
  /** Takes one answer as a whole. When it throws, the same news is asked for again. */
  readonly apply: (news: News) => void;
  /** Read at each poll. */
  readonly loads: () => Readonly<Record<BackendTag, number>>;
  /** Read at each poll: how long it may wait at most, so that loads are told as often as somebody wants them. */
  readonly waitMs?: (() => number) | undefined;
}

export interface LongPollClientPorts {
  readonly transport: PollTransport;
  readonly clock: Clock;
  readonly log: Log;
}

export class LongPollClient {
  readonly #ports: LongPollClientPorts;
  readonly #options: LongPollClientOptions;
  #following: "all" | Set<EndpointTag> = new Set();
  #applied: SnapshotId = NO_SNAPSHOT;
  /** The controller life that has our subscription; undefined = none that we know of. */
  #registeredEpoch: number | undefined;
  #state: "idle" | "running" | "stopped" = "idle";
  /** Ends the poll that is under way. */
  #poll: AbortController | undefined;
  /** Ends the pause after a failure. */
  #wake: (() => void) | undefined;
  #lastProblem: string | undefined;

  constructor(ports: LongPollClientPorts, options: LongPollClientOptions) {
    this.#ports = ports;
    this.#options = options;
  }

  start(): void {
    if (this.#state !== "idle") return;
    this.#state = "running";
    this.#ports.transport.onLeaderChange(() => this.#leaderChanged());
    this.#run().catch((error: unknown) => this.#ports.log.error("longpoll-ended", { error: messageOf(error) }));
  }

  /** No callback is made afterwards. */
  stop(): void {
    this.#state = "stopped";
    this.#interrupt();
  }

  /** Newest snapshot that `apply` has taken. */
  get applied(): SnapshotId {
    return this.#applied;
  }

  /** The controller knows all that is followed, and has said what it knows of it. */
  get isRegistered(): boolean {
    return this.#registeredEpoch !== undefined;
  }

  /** Adds to what is followed; once all, always all. */
  follow(what: "all" | EndpointTag): void {
    if (this.#following === "all" || (what !== "all" && this.#following.has(what))) return;
    if (what === "all") this.#following = "all";
    else this.#following.add(what);
    this.#registeredEpoch = undefined;
    this.#interrupt();
  }

  async #run(): Promise<void> {
    while (this.#state === "running") {
      if (this.#followsNothing()) {
        await this.#pause("until woken");
        continue;
      }
      const outcome = await this.#pollOnce();
      if (this.#state === "running" && outcome === "failed") await this.#pause("until retry");
    }
  }

  async #pollOnce(): Promise<"answered" | "interrupted" | "failed"> {
    const poll = new AbortController();
    this.#poll = poll;
    const isRegistering = this.#registeredEpoch === undefined;
    try {
      const answer = await this.#ports.transport.poll(this.#request(isRegistering), poll.signal);
      // An interrupted poll may still have been answered: what it says is not lost, since it was not acknowledged.
      if (poll.signal.aborted) return "interrupted";
      return this.#take(answer, isRegistering);
    } catch (error) {
      if (poll.signal.aborted) return "interrupted";
      this.#registeredEpoch = undefined;
      this.#report("longpoll-failed", error);
      return "failed";
    } finally {
      this.#poll = undefined;
    }
  }

  #request(isRegistering: boolean): PollRequest {
    const { client, kind, name, loads, waitMs } = this.#options;
    const subscribe = this.#following === "all" ? "all" : [...this.#following];
    return {
      client,
      kind,
      name,
      ...(isRegistering ? { subscribe } : {}),
      applied: this.#applied,
      loads: loads(),
      // What is newly followed is answered at once, news or not: only then is it known whether it exists.
      waitMs: isRegistering ? 0 : Math.min(waitMs?.() ?? POLL_TIMEOUT_MS, POLL_TIMEOUT_MS),
    };
  }

  #take(answer: PollAnswer, wasRegistering: boolean): "answered" | "failed" {
    if (answer.kind === "register") {
      // A life that asks for what it was just told is broken: no faster than any failure.
      const isNew = !wasRegistering;
      this.#registeredEpoch = undefined;
      return isNew ? "answered" : "failed";
    }
    const epoch = answer.kind === "news" ? answer.snapshot.epoch : answer.epoch;
    if (epoch < this.#applied.epoch) {
      this.#report("longpoll-older-life", new Error(`answer of epoch ${epoch}, applied is ${this.#applied.epoch}`));
      this.#registeredEpoch = undefined;
      return "failed";
    }
    this.#registeredEpoch = epoch;
    if (answer.kind === "news") {
      const newer = compareSnapshotIds(answer.snapshot, this.#applied);
      // What was just added to the subscription comes whole, also when nothing has changed since.
      if (newer < 0 || (newer === 0 && !wasRegistering)) {
        this.#report("longpoll-no-news", new Error("news that is not newer than what is applied"));
        return "failed";
      }
      try {
        this.#options.apply(answer);
      } catch (error) {
        this.#report("longpoll-apply-failed", error);
        return "failed";
      }
      this.#applied = answer.snapshot;
    }
    this.#lastProblem = undefined;
    return "answered";
  }

  #followsNothing(): boolean {
    return this.#following !== "all" && this.#following.size === 0;
  }

  /** Another controller leads: it does not know us, and a poll to the old one is of no use. */
  #leaderChanged(): void {
    this.#registeredEpoch = undefined;
    this.#interrupt();
  }

  #interrupt(): void {
    this.#poll?.abort();
    this.#wake?.();
  }

  #pause(until: "until retry" | "until woken"): Promise<void> {
    return new Promise((resolve) => {
      const timer = until === "until retry" ? this.#ports.clock.after(POLL_RETRY_MS, () => this.#wake?.()) : undefined;
      this.#wake = () => {
        timer?.cancel();
        this.#wake = undefined;
        resolve();
      };
    });
  }

  /** Once, until something else happens: a dead controller fails ten polls a second. */
  #report(event: string, error: unknown): void {
    const problem = `${event} ${messageOf(error)}`;
    if (problem === this.#lastProblem) return;
    this.#lastProblem = problem;
    // Controllers come and go; everything else is somebody's mistake.
    const level = isServeError(error) && error.code === "controller-unavailable" ? "info" : "warn";
    this.#ports.log[level](event, { error: messageOf(error), applied: this.#applied });
  }
}
