/**
 * `<run>/agent.sock` of a simulated node: connections between one agent and its actors, controller and programs. Messages keep their
 * order and take their time; either side's death or a cut ends a connection for both.
 */
import type { FromAgent, ToAgent } from "../../model/link-messages.ts";
import type { LinkServer, LinkServerEvents, ServerLink } from "../../ports/link-server.ts";
import type { Scheduler } from "../kernel/scheduler.ts";
import type { SimProcess } from "../kernel/sim-process.ts";

export interface Wire {
  readonly scheduler: Scheduler;
  readonly delayMs: () => number;
}

export interface DialEvents {
  onOpen(connection: Connection): void;
  onMessage(message: FromAgent): void;
  /** Also when nobody answers. */
  onClose(): void;
}

interface Listening {
  readonly process: SimProcess;
  readonly events: LinkServerEvents;
}

export class Switchboard {
  readonly #wire: Wire;
  readonly #connections = new Set<Connection>();
  #listening: Listening | undefined;

  constructor(wire: Wire) {
    this.#wire = wire;
  }

  /** The server's side, for one agent process. */
  serverFor(process: SimProcess): LinkServer {
    return {
      start: (events) =>
        new Promise((resolve) => {
          this.#wire.scheduler.after(this.#wire.delayMs(), () => {
            if (!process.isAlive) return;
            this.#listening = { process, events };
            process.onDeath(() => this.#stop(process));
            process.deliver(resolve);
          });
        }),
      stop: () => this.#stop(process),
    };
  }

  dial(process: SimProcess, events: DialEvents): void {
    this.#wire.scheduler.after(this.#wire.delayMs(), () => {
      const listening = this.#listening;
      if (listening === undefined || !process.isAlive) {
        process.deliver(() => events.onClose());
        return;
      }
      const connection = new Connection(
        this.#wire,
        { client: process, server: listening.process },
        {
          ...events,
          onServer: (link, message) => listening.events.onMessage(link, message),
          onServerClose: (link) => listening.events.onClose(link),
          onEnd: () => this.#connections.delete(connection),
        },
      );
      this.#connections.add(connection);
      process.onDeath(() => connection.cut());
      process.deliver(() => events.onOpen(connection));
    });
  }

  /** Breaks the connections that the draw hits. */
  cut(hits: () => boolean): void {
    for (const connection of [...this.#connections]) if (hits()) connection.cut();
  }

  #stop(process: SimProcess): void {
    if (this.#listening?.process !== process) return;
    this.#listening = undefined;
    for (const connection of [...this.#connections]) connection.cut();
  }
}

interface ConnectionEvents extends DialEvents {
  onServer(link: ServerLink, message: ToAgent): void;
  onServerClose(link: ServerLink): void;
  onEnd(): void;
}

export class Connection implements ServerLink {
  readonly #wire: Wire;
  readonly #ends: { readonly client: SimProcess; readonly server: SimProcess };
  readonly #events: ConnectionEvents;
  #isOpen = true;
  #hasSpoken = false;
  #toServerFrom = 0;
  #toClientFrom = 0;

  constructor(
    wire: Wire,
    ends: { readonly client: SimProcess; readonly server: SimProcess },
    events: ConnectionEvents,
  ) {
    this.#wire = wire;
    this.#ends = ends;
    this.#events = events;
  }

  /** Client → agent. */
  say(message: ToAgent): void {
    if (!this.#isOpen || !this.#ends.client.isAlive) return;
    this.#hasSpoken = true;
    this.#toServerFrom = this.#later(this.#toServerFrom, this.#ends.server, () => {
      if (this.#isOpen) this.#events.onServer(this, message);
    });
  }

  /** Agent → client. */
  send(message: FromAgent): void {
    if (!this.#isOpen || !this.#ends.server.isAlive) return;
    this.#toClientFrom = this.#later(this.#toClientFrom, this.#ends.client, () => this.#events.onMessage(message));
  }

  /** By the agent, after what it has sent; by the client at its end. */
  close(): void {
    if (this.#ends.server.isAlive) this.cut();
  }

  cut(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#events.onEnd();
    this.#later(this.#toClientFrom, this.#ends.client, () => this.#events.onClose());
    if (this.#hasSpoken) this.#later(this.#toServerFrom, this.#ends.server, () => this.#events.onServerClose(this));
  }

  #later(notBefore: number, process: SimProcess, run: () => void): number {
    const at = Math.max(notBefore, this.#wire.scheduler.now() + this.#wire.delayMs());
    this.#wire.scheduler.at(at, () => process.deliver(run));
    return at;
  }
}
