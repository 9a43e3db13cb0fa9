/**
 * One backend as a router sees it: its replicas, and the queries that wait for one of them, first come first served. A query waits
 * here until a replica is free, at most `maxQueuedQueries` of them; what a replica hands back goes to the head of the queue.
 * How many run at a time on a replica is the replica's to keep; the router only keeps its own below the same number.
 */
import type { BackendTag } from "../model/ids.ts";
import { MAX_REFUSALS_PER_QUERY, MAX_RETRIES_PER_QUERY } from "../model/limits.ts";
import type { BackendClosure, ReplicaEntry } from "../model/longpoll.ts";
import type { WireFailure } from "../model/wire.ts";
import { noReplica, queueFull } from "./failures.ts";
import type { OpenQuery, QueryPlace } from "./open-query.ts";
import { OutlierWatch } from "./outlier-watch.ts";
import { QueryQueue } from "./query-queue.ts";
import { chooseReplica } from "./replica-choice.ts";
import {
  ReplicaClient,
  type ReplicaClientPorts,
  type ReplicaOwner,
  type Returned,
  type WireIdentity,
} from "./replica-client.ts";
import type { PoolMeters } from "./router-meters.ts";

export interface PoolOwner {
  /** A query goes to a replica for the first time. */
  sent(query: OpenQuery): void;
  /** Asked for a query that may have run and may run again. */
  mayRetry(): boolean;
  /**
   * The pool of this backend is closed and the query still waits for a replica.
   * @param loss of the replica that had it, after which it may run again; undefined: it has not run
   */
  homeless(query: OpenQuery, backend: BackendTag, loss: WireFailure | undefined): void;
}

export interface PoolSettings {
  readonly tag: BackendTag;
  readonly identity: WireIdentity;
  readonly random: () => number;
  readonly meters: PoolMeters;
  /** It is closed and its last replica has answered. */
  readonly onFinished: () => void;
}

export class BackendPool implements QueryPlace, ReplicaOwner {
  readonly tag: BackendTag;
  readonly #ports: ReplicaClientPorts;
  readonly #settings: PoolSettings;
  readonly #owner: PoolOwner;
  readonly #queue = new QueryQueue();
  readonly #watch: OutlierWatch;
  #maxQueuedQueries = 0;
  #loadIntervalMs = Number.POSITIVE_INFINITY;
  /** Those that get queries. */
  #replicas: readonly ReplicaClient[] = [];
  /** Withdrawn ones that still answer. */
  readonly #retiring = new Set<ReplicaClient>();
  #isClosed = false;
  #isFinished = false;

  constructor(ports: ReplicaClientPorts, settings: PoolSettings, owner: PoolOwner) {
    this.tag = settings.tag;
    this.#ports = ports;
    this.#settings = settings;
    this.#owner = owner;
    this.#watch = new OutlierWatch(ports.clock);
  }

  get replicas(): readonly ReplicaClient[] {
    return this.#replicas;
  }

  get queued(): number {
    return this.#queue.size;
  }

  get meters(): PoolMeters {
    return this.#settings.meters;
  }

  get connections(): number {
    const all = [...this.#replicas, ...this.#retiring];
    return all.filter((replica) => replica.isConnected).length;
  }

  /** How often the controller wants to hear the load. */
  get loadIntervalMs(): number {
    return this.#loadIntervalMs;
  }

  /** Queries in flight and waiting. */
  get load(): number {
    let load = this.#queue.size;
    for (const replica of this.#replicas) load += replica.inFlight;
    for (const replica of this.#retiring) load += replica.inFlight;
    return load;
  }

  /** Takes over a newer list of replicas; who is in both keeps connection and queries. */
  update(closure: BackendClosure): void {
    this.#isClosed = false;
    this.#maxQueuedQueries = closure.maxQueuedQueries;
    this.#loadIntervalMs = closure.loadIntervalMs ?? Number.POSITIVE_INFINITY;
    const before = new Map(this.#replicas.map((client) => [keyOf(client.entry), client]));
    this.#replicas = closure.replicas.map((entry) => {
      const known = before.get(keyOf(entry));
      before.delete(keyOf(entry));
      known?.setLimit(closure.maxConcurrentQueries);
      return known ?? this.#clientFor(entry, closure.maxConcurrentQueries);
    });
    for (const gone of before.values()) this.#retire(gone);
    this.#watch.update(this.#replicas);
    this.#dispatch();
  }

  /** Nothing names this backend any more. What runs is finished, what waits is given back. */
  close(): void {
    this.#isClosed = true;
    this.#watch.stop();
    const replicas = this.#replicas;
    this.#replicas = [];
    for (const client of replicas) this.#retire(client);
    for (const query of this.#queue.takeAll()) this.#giveBack(query, undefined);
    this.#lookFinished();
  }

  /** Cuts all connections; the owner has ended every query. */
  stop(): void {
    this.#isClosed = true;
    this.#watch.stop();
    for (const client of [...this.#replicas, ...this.#retiring]) client.stop();
    this.#replicas = [];
  }

  submit(query: OpenQuery): void {
    if (this.#queue.size === 0) {
      const client = this.#choose();
      if (client !== undefined) {
        this.#start(query, client);
        return;
      }
    }
    if (this.#queue.size >= this.#maxQueuedQueries) {
      query.failSoon(queueFull(this.tag, this.#maxQueuedQueries));
      return;
    }
    query.moveTo(this);
    this.#queue.push(query);
  }

  /** For a copy that must not wait: false = no replica is free at this moment. */
  submitNow(query: OpenQuery): boolean {
    if (this.#queue.size > 0) return false;
    const client = this.#choose();
    if (client !== undefined) this.#start(query, client);
    return client !== undefined;
  }

  // ── as the place of a waiting query

  abandon(query: OpenQuery): void {
    this.#queue.remove(query);
  }

  deadlineFailure(query: OpenQuery): WireFailure {
    return noReplica(query.endpoint, query.allowedMs, this.tag);
  }

  consumed(): void {}

  bodyGrew(): void {}

  // ── as the owner of replicas

  returned(query: OpenQuery, why: Returned): void {
    if (query.isDone) return;
    if (why.kind === "lost" && !this.#mayRunAgain(query)) {
      query.fail(why.failure);
      return;
    }
    if (why.kind === "busy") query.refusals += 1;
    if (query.isShadow) this.#settings.meters.shadows.returned.add();
    if (query.isShadow || this.#isClosed) {
      this.#giveBack(query, why.kind === "lost" ? why.failure : undefined);
      return;
    }
    // It has waited longest: nobody overtakes it. The bound of the queue is for those that come new.
    query.moveTo(this);
    this.#queue.pushFront(query);
    this.#dispatch();
  }

  freed(): void {
    if (this.#queue.size > 0) this.#dispatch();
  }

  slotOffered(client: ReplicaClient): void {
    const query = this.#queue.first;
    if (query !== undefined) {
      this.#queue.remove(query);
      this.#start(query, client);
    }
    this.#dispatch();
  }

  get isComparing(): boolean {
    return this.#watch.isOn;
  }

  suspected(): void {
    this.#watch.judge();
  }

  finished(client: ReplicaClient): void {
    this.#retiring.delete(client);
    this.#lookFinished();
  }

  #dispatch(): void {
    let next = this.#queue.first;
    while (next !== undefined) {
      const query = next;
      next = query.queueNext;
      if (query.refusals >= MAX_REFUSALS_PER_QUERY && this.#replicas.some((client) => client.owesSlot)) continue;
      const client = this.#choose();
      if (client === undefined) return;
      this.#queue.remove(query);
      this.#start(query, client);
    }
  }

  #choose(): ReplicaClient | undefined {
    return chooseReplica(this.#replicas, this.#settings.random);
  }

  #start(query: OpenQuery, client: ReplicaClient): void {
    client.start(query);
    this.#watch.wake();
    if (query.wasSent) return;
    query.wasSent = true;
    if (!query.isShadow) {
      const { sent, waitMs } = this.#settings.meters;
      sent.add();
      waitMs.record(query.hasWaited ? this.#ports.clock.now() - query.since : 0);
    }
    this.#owner.sent(query);
  }

  #lookFinished(): void {
    if (!this.#isClosed || this.#isFinished || this.#retiring.size > 0) return;
    this.#isFinished = true;
    this.#settings.onFinished();
  }

  #mayRunAgain(query: OpenQuery): boolean {
    if (query.isShadow || query.hasReply || !query.isRepeatable || query.retries >= MAX_RETRIES_PER_QUERY) return false;
    if (!query.canReplay) return false;
    if (!this.#owner.mayRetry()) return false;
    this.#settings.meters.retries.add();
    query.retries += 1;
    return true;
  }

  #giveBack(query: OpenQuery, loss: WireFailure | undefined): void {
    query.place = undefined;
    this.#owner.homeless(query, this.tag, loss);
  }

  #retire(client: ReplicaClient): void {
    this.#retiring.add(client);
    client.retire();
  }

  #clientFor(entry: ReplicaEntry, limit: number): ReplicaClient {
    const { identity, meters } = this.#settings;
    return new ReplicaClient(this.#ports, { entry, identity, limit, meters }, this);
  }
}

/** Another incarnation or address is another process. */
const keyOf = ({ replica, incarnation, address }: ReplicaEntry): string => `${replica} ${incarnation} ${address}`;
