/**
 * An actor's line to its node's agent (model/link-messages.ts). It dials, says hello, re-dials for life and re-sends the last report
 * after each hello. Callbacks never run inside `start`.
 */
import type { Intent } from "../model/actor.ts";
import type { BackendConfig } from "../model/backend-config.ts";
import type { ActorReport, Leader } from "../model/link-messages.ts";
import type { MetricsSnapshot } from "../model/metrics.ts";
import type { ProbeAnswer, ProbeOrder } from "../model/probe.ts";

export interface LinkEvents {
  /** The newest leading controller; undefined = none known. */
  onLeader?(leader: Leader | undefined): void;
  onConfigure?(configRevision: number, config: BackendConfig): void;
  onIntent?(intent: Exclude<Intent, { kind: "kill" }>): void;
  /** Another process committed to the store. */
  onCommitted?(): void;
  onProbed?(id: number, answer: ProbeAnswer): void;
  /** The agent does not know this process: it must end. */
  onRefused?(reason: string): void;
  /** What this process has counted since its start. Asked at each scrape, and when the link is stopped. */
  onCollect?(): MetricsSnapshot;
  onUp?(): void;
  onDown?(): void;
}

export interface AgentLink {
  start(events: LinkEvents): void;
  leader(): Leader | undefined;
  report(report: ActorReport): void;
  /** Controllers: I lead. Remembered and re-sent. */
  leading(leader: Leader): void;
  committed(): void;
  stop(): void;
}

export interface ControllerLink extends AgentLink {
  /** While the link is up: look at this code. Not re-sent. */
  probe(id: number, order: ProbeOrder): void;
}
