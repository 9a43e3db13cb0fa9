/**
 * What a process says and hears on its line to the agent (model/link-messages.ts), whatever carries it: hello first, the last report
 * again after each welcome, pings answered, looks for the instance counted. The carrier (adapters/agent-link.ts, or the simulator's)
 * dials, for life and every DIAL_INTERVAL_MS, says `opened`, `take` and `closed`, and looks for the instance's file every
 * INSTANCE_LOOK_INTERVAL_MS.
 */
import { INSTANCE_GONE_MS, INSTANCE_LOOK_INTERVAL_MS } from "../../model/limits.ts";
import {
  type ActorReport,
  type FromAgent,
  type Leader,
  LINK_PROTOCOL,
  type LinkEvents,
  type ToAgent,
} from "../../model/link-messages.ts";

/** Who speaks. */
export type LinkSpeaker = Omit<Extract<ToAgent, { kind: "hello" }>, "kind" | "protocol" | "counts">;

const LOOKS_UNTIL_GONE = Math.ceil(INSTANCE_GONE_MS / INSTANCE_LOOK_INTERVAL_MS);

export class LinkSession {
  readonly #speaker: LinkSpeaker;
  /** Ends the connection and everything that would dial or look again. */
  readonly #close: () => void;
  #events: LinkEvents = {};
  /** The connection of now, if there is one. */
  #say: ((message: ToAgent) => void) | undefined;
  #state: "down" | "up" | "over" = "down";
  #leader: Leader | undefined;
  #report: ActorReport | undefined;
  #leading: Leader | undefined;
  #looksWithoutInstance = 0;

  constructor(speaker: LinkSpeaker, close: () => void) {
    this.#speaker = speaker;
    this.#close = close;
  }

  start(events: LinkEvents): void {
    this.#events = events;
  }

  get isOver(): boolean {
    return this.#state === "over";
  }

  get leader(): Leader | undefined {
    return this.#leader;
  }

  report(report: ActorReport): void {
    this.#report = report;
    this.send({ kind: "report", report });
  }

  leading(leader: Leader): void {
    this.#leading = leader;
    this.send({ kind: "leading", leader });
  }

  /** What the agent must know waits for its welcome; the rest is news of a moment that has passed. */
  send(message: ToAgent): void {
    if (this.#state === "up") this.#say?.(message);
  }

  opened(say: (message: ToAgent) => void): void {
    this.#say = say;
    const counts = this.#events.onCollect === undefined ? {} : { counts: true as const };
    say({ kind: "hello", protocol: LINK_PROTOCOL, ...this.#speaker, ...counts });
  }

  take(message: FromAgent): void {
    if (this.#state === "over") return;
    switch (message.kind) {
      case "welcome":
        this.#state = "up";
        if (this.#report !== undefined) this.report(this.#report);
        if (this.#leading !== undefined) this.leading(this.#leading);
        this.#events.onUp?.();
        this.#follow(message.leader);
        return;
      case "leader":
        this.#follow(message.leader);
        return;
      case "ping":
        this.#say?.({ kind: "pong", id: message.id });
        return;
      case "collect":
        this.#tellCounts();
        return;
      case "configure":
        this.#events.onConfigure?.(message.configRevision, message.config);
        return;
      case "intent":
        this.#events.onIntent?.(message.intent);
        return;
      case "committed":
        this.#events.onCommitted?.();
        return;
      case "probed":
        this.#events.onProbed?.(message.id, message.answer);
        return;
      case "failed": // the line closes, and is dialled again
        return;
      case "refused":
        this.#refused(message.reason);
        return;
    }
  }

  /** Nobody answered, or the connection is over. */
  closed(): void {
    const wasUp = this.#state === "up";
    this.#say = undefined;
    if (this.#state === "over") return;
    this.#state = "down";
    if (wasUp) this.#events.onDown?.();
  }

  /** Counts looks, not time: a process that was stopped for a minute has looked once. `place` is where the instance's file should be. */
  looked(found: "found" | "gone", place: string): void {
    if (this.#state === "over") return;
    this.#looksWithoutInstance = found === "found" ? 0 : this.#looksWithoutInstance + 1;
    if (this.#looksWithoutInstance < LOOKS_UNTIL_GONE) return;
    this.#refused(`instance ${this.#speaker.instanceId} is over: ${place} is gone or names another one`);
  }

  stop(): void {
    this.#tellCounts();
    this.#state = "over";
    this.#say = undefined;
    this.#close();
  }

  #refused(reason: string): void {
    this.stop();
    this.#events.onRefused?.(reason);
  }

  #tellCounts(): void {
    if (this.#events.onCollect === undefined || this.#state !== "up") return;
    this.#say?.({ kind: "metrics", snapshot: this.#events.onCollect() });
  }

  /** No leader known now is no news to somebody who has never heard of one. */
  #follow(leader: Leader | undefined): void {
    if (leader?.epoch === this.#leader?.epoch && leader?.address === this.#leader?.address) return;
    this.#leader = leader;
    this.#events.onLeader?.(leader);
  }
}
