/**
 * The replica's side of the wire: accepts routers, lets their queries in as far as `maxConcurrentQueries` allows, ends those whose
 * deadline passes, and says goodbye when it drains. What happens on one connection never touches another.
 */
import { LineBound } from "../base/line-bound.ts";
import type { Address } from "../model/actor.ts";
import { BREACH_WINDOW_MS, DEADLINE_TICK_MS, MOST_BREACH_LINES } from "../model/limits.ts";
import type { Hello } from "../model/wire.ts";
import type { Clock } from "../ports/clock.ts";
import type { Listening, Transport } from "../ports/transport.ts";
import { Admission } from "./admission.ts";
import { Connection, type ConnectionWorld } from "./connection.ts";
import type { QueryWorld } from "./query.ts";

export interface WireServerOptions extends QueryWorld {
  readonly hello: Hello;
  readonly transport: Transport;
  readonly maxConcurrentQueries: number;
}

export class WireServer {
  readonly #clock: Clock;
  readonly #transport: Transport;
  readonly #admission: Admission;
  readonly #world: ConnectionWorld;
  readonly #connections = new Set<Connection>();
  #listening: Listening | undefined;
  #openQueries = 0;
  #isDraining = false;
  #isTicking = false;
  /** Called when the last query and the last connection are gone. */
  #onEmpty: (() => void) | undefined;

  constructor(options: WireServerOptions) {
    const { clock, log, transport, target, facts, hello, meters } = options;
    this.#clock = clock;
    this.#transport = transport;
    this.#admission = new Admission(clock, options.maxConcurrentQueries);
    const isDraining = () => this.#isDraining;
    this.#world = {
      breaches: new LineBound({ mostLines: MOST_BREACH_LINES, windowMs: BREACH_WINDOW_MS }),
      ...{ clock, log, transport, target, facts, hello, meters, admission: this.#admission },
      get isDraining() {
        return isDraining();
      },
      queryStarted: () => this.#queryStarted(),
      queryEnded: () => this.#queryEnded(),
      connectionClosed: (connection) => this.#connectionClosed(connection),
    };
  }

  /** Queries that run now. */
  get openQueries(): number {
    return this.#openQueries;
  }

  async listen(address: Address): Promise<Address> {
    this.#listening = await this.#transport.listen(address, (socket) => {
      const connection = new Connection(this.#world, socket);
      this.#connections.add(connection);
      return connection;
    });
    return this.#listening.address;
  }

  setMaxConcurrentQueries(limit: number): void {
    this.#admission.setLimit(limit);
  }

  /**
   * Tells every router, now and later, to send nothing new. Resolves when all have their answers and have closed. Whoever comes late
   * is answered with a goodbye too: a closed door would look like a dead replica.
   */
  async drain(): Promise<void> {
    this.#isDraining = true;
    for (const connection of this.#connections) connection.goAway();
    if (this.#isEmpty()) return;
    await new Promise<void>((resolve) => {
      this.#onEmpty = resolve;
    });
  }

  /** Ends everything at once. */
  async stop(): Promise<void> {
    await this.#listening?.close();
    for (const connection of [...this.#connections]) connection.destroy();
  }

  #isEmpty(): boolean {
    return this.#openQueries === 0 && this.#connections.size === 0;
  }

  #queryStarted(): void {
    this.#openQueries += 1;
    if (!this.#isTicking) this.#tick();
  }

  #queryEnded(): void {
    this.#openQueries -= 1;
    this.#lookEmpty();
  }

  #connectionClosed(connection: Connection): void {
    this.#connections.delete(connection);
    this.#lookEmpty();
  }

  #lookEmpty(): void {
    if (this.#onEmpty === undefined || !this.#isEmpty()) return;
    this.#onEmpty();
    this.#onEmpty = undefined;
  }

  /**
   * Looks at all open queries each tick: there are at most `maxConcurrentQueries` of them, and so a query pays nothing for its
   * deadline when it begins and ends.
   */
  #tick(): void {
    this.#isTicking = true;
    this.#clock.after(DEADLINE_TICK_MS, () => {
      this.#isTicking = false;
      const now = this.#clock.now();
      for (const connection of this.#connections) connection.expireQueries(now);
      if (this.#openQueries > 0) this.#tick();
    });
  }
}
