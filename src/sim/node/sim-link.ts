/** ports/agent-link.ts over a node's switchboard: the same life as the real one (adapters/agent-link.ts), instance file included. */
import type { ActorName, InstanceId } from "../../model/ids.ts";
import { DIAL_INTERVAL_MS, INSTANCE_GONE_MS, INSTANCE_LOOK_INTERVAL_MS } from "../../model/limits.ts";
import {
  type ActorReport,
  type FromAgent,
  type Leader,
  LINK_PROTOCOL,
  type ToAgent,
} from "../../model/link-messages.ts";
import type { ProbeOrder } from "../../model/probe.ts";
import type { ControllerLink, LinkEvents } from "../../ports/agent-link.ts";
import type { SimProcess } from "../kernel/sim-process.ts";
import type { Connection, Switchboard } from "./switchboard.ts";

export interface SimLinkOptions {
  readonly process: SimProcess;
  readonly switchboard: Switchboard;
  readonly instanceId: string;
  readonly role: "replica" | "proxy" | "controller" | "client";
  readonly actor?: ActorName | undefined;
  readonly incarnation?: number | undefined;
  /** Id in the instance file of this node; undefined = there is none. */
  readonly instanceOnDisk: () => string | undefined;
}

const LOOKS_UNTIL_GONE = Math.ceil(INSTANCE_GONE_MS / INSTANCE_LOOK_INTERVAL_MS);

export class SimLink implements ControllerLink {
  readonly #options: SimLinkOptions;
  #events: LinkEvents = {};
  #connection: Connection | undefined;
  #state: "idle" | "dialling" | "up" | "stopped" = "idle";
  #leader: Leader | undefined;
  #report: ActorReport | undefined;
  #leading: Leader | undefined;
  #looksWithoutInstance = 0;

  constructor(options: SimLinkOptions) {
    this.#options = options;
  }

  start(events: LinkEvents): void {
    if (this.#state !== "idle") return;
    this.#events = events;
    this.#dial();
    this.#lookLater();
  }

  leader(): Leader | undefined {
    return this.#leader;
  }

  report(report: ActorReport): void {
    this.#report = report;
    this.#send({ kind: "report", report });
  }

  leading(leader: Leader): void {
    this.#leading = leader;
    this.#send({ kind: "leading", leader });
  }

  committed(): void {
    this.#send({ kind: "committed" });
  }

  probe(id: number, order: ProbeOrder): void {
    this.#send({ kind: "probe", id, order });
  }

  stop(): void {
    this.#state = "stopped";
    this.#connection?.cut();
    this.#connection = undefined;
  }

  #dial(): void {
    const { process, switchboard } = this.#options;
    this.#state = "dialling";
    switchboard.dial(process, {
      onOpen: (connection) => this.#opened(connection),
      onMessage: (message) => this.#take(message),
      onClose: () => this.#lost(),
    });
  }

  #opened(connection: Connection): void {
    if (this.#state === "stopped") {
      connection.cut();
      return;
    }
    const { process, instanceId, role, actor, incarnation = 0 } = this.#options;
    const { pid } = process.facts.identity;
    this.#connection = connection;
    connection.say({
      kind: "hello",
      protocol: LINK_PROTOCOL,
      instanceId: instanceId as InstanceId,
      ...{ role, actor, incarnation, pid },
    });
  }

  #take(message: FromAgent): void {
    if (this.#state === "stopped") return;
    switch (message.kind) {
      case "welcome":
        this.#state = "up";
        if (this.#report !== undefined) this.#send({ kind: "report", report: this.#report });
        if (this.#leading !== undefined) this.#send({ kind: "leading", leader: this.#leading });
        this.#events.onUp?.();
        this.#follow(message.leader);
        return;
      case "leader":
        this.#follow(message.leader);
        return;
      case "ping":
        this.#send({ kind: "pong", id: message.id });
        return;
      case "collect":
        if (this.#events.onCollect !== undefined) this.#send({ kind: "metrics", snapshot: this.#events.onCollect() });
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
      case "failed":
        return;
      case "refused":
        this.stop();
        this.#events.onRefused?.(message.reason);
        return;
    }
  }

  #follow(leader: Leader | undefined): void {
    if (leader?.epoch === this.#leader?.epoch && leader?.address === this.#leader?.address) return;
    this.#leader = leader;
    this.#events.onLeader?.(leader);
  }

  #lost(): void {
    if (this.#state === "stopped") return;
    const wasUp = this.#state === "up";
    this.#state = "dialling";
    this.#connection = undefined;
    this.#options.process.clock.after(DIAL_INTERVAL_MS, () => {
      if (this.#state !== "stopped") this.#dial();
    });
    if (wasUp) this.#events.onDown?.();
  }

  #send(message: ToAgent): void {
    if (this.#state === "up") this.#connection?.say(message);
  }

  /** Counts looks, not time. */
  #lookLater(): void {
    const { process, instanceOnDisk, instanceId } = this.#options;
    process.clock.after(INSTANCE_LOOK_INTERVAL_MS, () => {
      if (this.#state === "stopped") return;
      this.#looksWithoutInstance = instanceOnDisk() === instanceId ? 0 : this.#looksWithoutInstance + 1;
      if (this.#looksWithoutInstance < LOOKS_UNTIL_GONE) return this.#lookLater();
      this.stop();
      this.#events.onRefused?.(`instance ${instanceId} is over`);
    });
  }
}
