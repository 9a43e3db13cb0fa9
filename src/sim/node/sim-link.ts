/** ports/agent-link.ts over a node's switchboard: carries a `LinkSession` as the real one does (adapters/agent-link.ts), instance file included. */
import { LinkSession } from "../../core/agent/link-session.ts";
import type { ActorName, InstanceId } from "../../model/ids.ts";
import { DIAL_INTERVAL_MS, INSTANCE_LOOK_INTERVAL_MS } from "../../model/limits.ts";
import type { ActorReport, Leader, LinkEvents } from "../../model/link-messages.ts";
import type { ProbeOrder } from "../../model/probe.ts";
import type { ControllerLink } from "../../ports/agent-link.ts";
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

export class SimLink implements ControllerLink {
  readonly #options: SimLinkOptions;
  readonly #session: LinkSession;
  #connection: Connection | undefined;

  constructor(options: SimLinkOptions) {
    const { process, instanceId, role, actor, incarnation = 0 } = options;
    const { pid } = process.facts.identity;
    this.#options = options;
    this.#session = new LinkSession({ instanceId: instanceId as InstanceId, role, actor, incarnation, pid }, () => {
      this.#connection?.cut();
      this.#connection = undefined;
    });
  }

  start(events: LinkEvents): void {
    this.#session.start(events);
    this.#dial();
    this.#lookLater();
  }

  leader(): Leader | undefined {
    return this.#session.leader;
  }

  report(report: ActorReport): void {
    this.#session.report(report);
  }

  leading(leader: Leader): void {
    this.#session.leading(leader);
  }

  committed(): void {
    this.#session.send({ kind: "committed" });
  }

  probe(id: number, order: ProbeOrder): void {
    this.#session.send({ kind: "probe", id, order });
  }

  stop(): void {
    this.#session.stop();
  }

  #dial(): void {
    const { process, switchboard } = this.#options;
    switchboard.dial(process, {
      onOpen: (connection) => this.#opened(connection),
      onMessage: (message) => this.#session.take(message),
      onClose: () => this.#lost(),
    });
  }

  #opened(connection: Connection): void {
    if (this.#session.isOver) {
      connection.cut();
      return;
    }
    this.#connection = connection;
    this.#session.opened((message) => connection.say(message));
  }

  #lost(): void {
    this.#connection = undefined;
    this.#options.process.clock.after(DIAL_INTERVAL_MS, () => {
      if (!this.#session.isOver) this.#dial();
    });
    this.#session.closed();
  }

  #lookLater(): void {
    const { process, instanceOnDisk, instanceId } = this.#options;
    process.clock.after(INSTANCE_LOOK_INTERVAL_MS, () => {
      this.#session.looked(instanceOnDisk() === instanceId ? "found" : "gone", "the instance file");
      if (!this.#session.isOver) this.#lookLater();
    });
  }
}
