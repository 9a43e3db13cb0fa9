/**
 * An actor's line to its node's agent (model/link-messages.ts). It dials, says hello, re-dials for life and re-sends the last report
 * after each hello. Callbacks never run inside `start`.
 */
import type { ActorReport, Leader, LinkEvents } from "../model/link-messages.ts";
import type { ProbeOrder } from "../model/probe.ts";

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
