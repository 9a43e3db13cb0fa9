/**
 * The public file of this folder: sends queries to replicas. It asks nobody: all it needs came by long poll and is held in
 * immutable pickers, so it goes on when controller, agent and store are gone. Every query that is taken ends in exactly one answer or
 * failure, at its deadline at the latest; what can have run is run again only where that is allowed.
 */

import type { Meters, WriteGauge } from "../core/metrics/meters.ts";
import { LongPollClient, type News } from "../longpoll/longpoll.ts";
import type { BackendTag, EndpointTag } from "../model/ids.ts";
import { DEFAULT_MAX_QUEUED_QUERIES, DEFAULT_QUERY_TIMEOUT_MS, POLL_TIMEOUT_MS } from "../model/limits.ts";
import { type EndpointClosure, NO_SNAPSHOT, type PollRequest, type SnapshotId } from "../model/longpoll.ts";
import { NO_NAME } from "../model/metrics.ts";
import type { WireFailure } from "../model/wire.ts";
import type { Clock } from "../ports/clock.ts";
import type { Log } from "../ports/log.ts";
import type { PollTransport } from "../ports/poll-transport.ts";
import type { Random } from "../ports/random.ts";
import type { Transport } from "../ports/transport.ts";
import { BackendPool, type PoolOwner } from "./backend-pool.ts";
import { DeadlineWheel } from "./deadline-wheel.ts";
import { EndpointTable } from "./endpoint-table.ts";
import { endpointDeleted, endpointUnknown, noReplica, noTimeLeft, queueFull, routerStopped } from "./failures.ts";
import { FlowBudget } from "./flow-window.ts";
import { OpenQuery, type QueryEnd, type QueryOwner, type QueryPlace } from "./open-query.ts";
import { QueryQueue } from "./query-queue.ts";
import type { ReplySink, RouterQuery, SentQuery } from "./query-types.ts";
import { RetryBudget } from "./retry-budget.ts";
import { RouterMeters } from "./router-meters.ts";
import { type ShadowCounts, Shadows } from "./shadows.ts";
import { parseSnapshots, type RouterSnapshots } from "./snapshots.ts";

export { DeadlineWheel, type WheelEntry } from "./deadline-wheel.ts";
export { WideWindow } from "./flow-window.ts";
export { type CallWords, createHandleCallers, type HandleCallers } from "./handle-caller.ts";
export type { Part, QueryBody, ReplySink, RouterQuery, SentQuery } from "./query-types.ts";
export type { RouterSnapshots } from "./snapshots.ts";
export { type BodyGiver, StreamedBody } from "./streamed-body.ts";

export interface RouterPorts {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly poll: PollTransport;
  readonly meters: Meters;
}

export interface RouterIdentity {
  readonly instanceId: string;
  /** Who connects, in the logs of replicas and in `laggards`: actor name, or `program <pid>`. */
  readonly peer: string;
  readonly kind: PollRequest["kind"];
  /** Proxies know all endpoints; other processes those that they have sent a query to. */
  readonly follow: "all" | "used";
}

/** What is known of endpoints now. Each change gives a new value. */
export interface KnownEndpoints {
  readonly endpoints: readonly EndpointClosure[];
  /** A snapshot was applied or restored: an endpoint that is not here does not exist. */
  readonly learnt: boolean;
}

export interface RouterCounts {
  readonly sent: number;
  readonly open: number;
  readonly retried: number;
  readonly shadows: ShadowCounts;
}

export class Router implements PoolOwner, QueryOwner {
  /** Of all its answers. */
  readonly flowBudget = new FlowBudget();
  readonly #ports: RouterPorts;
  readonly #identity: RouterIdentity;
  readonly #poll: LongPollClient;
  readonly #table: EndpointTable;
  /** Holds every open query: each has a deadline. */
  readonly #wheel: DeadlineWheel<OpenQuery>;
  readonly #meters: RouterMeters;
  readonly #budget: RetryBudget;
  readonly #shadows: Shadows;
  readonly #unrouted: UnroutedQueries;
  readonly #listeners: ((known: KnownEndpoints) => void)[] = [];
  #learnt = false;
  #isStopped = false;
  #sent = 0;
  #retried = 0;
  /** Newest snapshot that was applied or restored. */
  #applied: SnapshotId = NO_SNAPSHOT;

  constructor(ports: RouterPorts, identity: RouterIdentity) {
    this.#ports = ports;
    this.#identity = identity;
    const random = () => ports.random.number();
    this.#meters = new RouterMeters(
      ports.meters,
      identity.kind,
      (endpoint) => this.#table.picker(endpoint) !== undefined,
    );
    this.#table = new EndpointTable((tag) => this.#newPool(tag));
    ports.meters.gauges((write) => this.#writeGauges(write));
    this.#wheel = new DeadlineWheel(ports.clock);
    this.#budget = new RetryBudget(ports.clock.now());
    // A process that follows single endpoints learns of each by itself: what it knows of others says nothing.
    const knowsAll = () => this.#learnt && (identity.follow === "all" || this.#poll.isRegistered);
    this.#unrouted = new UnroutedQueries(knowsAll);
    this.#shadows = new Shadows({
      clock: ports.clock,
      random,
      pool: (backend) => this.#table.pool(backend),
      copy: (primary, sink) => this.#copy(primary, sink),
    });
    this.#poll = new LongPollClient(
      { transport: ports.poll, clock: ports.clock, log: ports.log },
      {
        client: ports.random.id(),
        kind: identity.kind,
        name: identity.peer,
        apply: (news) => this.apply(news),
        loads: () => this.#loads(),
        waitMs: () => Math.min(POLL_TIMEOUT_MS, ...this.#table.pools.map((pool) => pool.loadIntervalMs)),
      },
    );
    if (identity.follow === "all") this.#poll.follow("all");
  }

  /** Begins to follow the controller. */
  start(): void {
    this.#poll.start();
  }

  /** Ends every open query with a failure and every connection. */
  stop(): void {
    this.#isStopped = true;
    this.#poll.stop();
    for (const query of this.#wheel.entries()) query.fail(routerStopped(query.endpoint));
    for (const pool of this.#table.pools) pool.stop();
    this.#wheel.stop();
  }

  /** Sends a query; its answer comes to the sink, never before this has returned. */
  send(query: RouterQuery, sink: ReplySink): SentQuery {
    const now = this.#ports.clock.now();
    const spec = this.#table.picker(query.endpoint)?.closure.spec;
    const timeoutMs = query.timeoutMs ?? spec?.timeoutMs ?? DEFAULT_QUERY_TIMEOUT_MS;
    const allowedMs = query.notAfter === undefined ? timeoutMs : Math.min(timeoutMs, query.notAfter - now);
    const isRepeatable = query.safeMethod || (query.idempotent ?? spec?.idempotent ?? false);
    const rules = { deadline: now + allowedMs, allowedMs, isRepeatable };
    const open = new OpenQuery(this, { query, sink, kind: "primary" }, rules);
    if (this.#isStopped) open.failSoon(routerStopped(query.endpoint));
    else if (allowedMs <= 0) open.failSoon(noTimeLeft(query.endpoint));
    else {
      this.#wheel.add(open, now);
      this.#route(open);
    }
    return open;
  }

  /** Follows an endpoint before the first query to it. */
  follow(endpoint: EndpointTag): void {
    this.#poll.follow(endpoint);
  }

  endpoints(): KnownEndpoints {
    return { endpoints: this.#table.closures(), learnt: this.#learnt };
  }

  /** Called after each change; not for what is known already. */
  onEndpoints(listener: (known: KnownEndpoints) => void): void {
    this.#listeners.push(listener);
  }

  /** Takes over news of the controller, as a whole. Endpoints that are not named stay, unless `complete`. */
  apply(news: Pick<News, "snapshot" | "complete" | "endpoints" | "removed">): void {
    this.#table.apply(news);
    this.#meters.endpointsChanged();
    this.#applied = news.snapshot;
    this.#learnt = true;
    for (const query of this.#unrouted.takeAll()) this.#route(query);
    const known = this.endpoints();
    for (const listener of this.#listeners) listener(known);
  }

  /** What is known, to be kept on disk; JSON. */
  snapshots(): RouterSnapshots {
    return { version: 1, applied: this.#applied, endpoints: this.#table.closures() };
  }

  /** Serves from what `snapshots` gave in an earlier life, until the controller says something newer. false: it is unusable. */
  restore(saved: unknown): boolean {
    const snapshots = parseSnapshots(saved);
    if (snapshots === undefined || this.#learnt) return false;
    this.apply({ snapshot: snapshots.applied, complete: true, endpoints: snapshots.endpoints, removed: [] });
    return true;
  }

  counts(): RouterCounts {
    return { sent: this.#sent, open: this.#wheel.size, retried: this.#retried, shadows: this.#shadows.counts };
  }

  // ── as the owner of pools

  sent(query: OpenQuery): void {
    if (query.isShadow) return;
    this.#sent += 1;
    this.#budget.earn();
    const picker = this.#table.picker(query.endpoint);
    if (picker?.hasShadows === true) this.#shadows.draw(query, picker);
  }

  mayRetry(): boolean {
    const may = this.#budget.spend(this.#ports.clock.now());
    if (may) this.#retried += 1;
    return may;
  }

  homeless(query: OpenQuery, backend: BackendTag, loss: WireFailure | undefined): void {
    if (query.isShadow) this.#shadows.droppedAfterSending(query, backend);
    else if (this.#table.picker(query.endpoint) === undefined) query.failSoon(loss ?? endpointDeleted(query.endpoint));
    else this.#route(query);
  }

  // ── as the owner of queries

  ended(query: OpenQuery, how: QueryEnd): void {
    this.#wheel.remove(query);
    if (query.isShadow) return;
    const durationMs = this.#ports.clock.now() - query.since;
    if (typeof how === "string") this.#meters.ended(query.endpoint, how, durationMs);
    else {
      this.#meters.ended(query.endpoint, "failed", durationMs);
      this.#meters.failed(how.code);
    }
  }

  sinkThrew(query: OpenQuery, problem: string): void {
    this.#ports.log.error("reply-sink-threw", { endpoint: query.endpoint, requestId: query.query.requestId, problem });
  }

  #route(query: OpenQuery): void {
    const { endpoint, shardKey } = query.query;
    const picker = this.#table.picker(endpoint);
    const backend = picker?.pick(shardKey, this.#random);
    const pool = backend === undefined ? undefined : this.#table.pool(backend);
    if (pool !== undefined) pool.submit(query);
    else {
      this.#unrouted.add(query);
      if (this.#identity.follow === "used") this.#poll.follow(endpoint as EndpointTag);
    }
  }

  readonly #random = (): number => this.#ports.random.number();

  #newPool(tag: BackendTag): BackendPool {
    const settings = {
      ...{ tag, identity: this.#identity, random: this.#random, meters: this.#meters.poolOpened(tag) },
      onFinished: () => this.#meters.poolGone(tag),
    };
    return new BackendPool({ ...this.#ports, meters: this.#meters }, settings, this);
  }

  #writeGauges(write: WriteGauge): void {
    const { kind: from } = this.#identity;
    write("maitred_router_waiting", { from, backend: NO_NAME }, this.#unrouted.size);
    for (const pool of this.#table.pools) {
      const labels = { from, backend: pool.tag };
      write("maitred_router_waiting", labels, pool.queued);
      write("maitred_wire_in_flight", labels, pool.load - pool.queued);
      write("maitred_wire_connections", labels, pool.connections);
    }
  }

  #copy(primary: OpenQuery, sink: ReplySink): OpenQuery {
    const { deadline, allowedMs } = primary;
    const what = { query: primary.query, sink, kind: "shadow" as const };
    const copy = new OpenQuery(this, what, { deadline, allowedMs, isRepeatable: false });
    this.#wheel.add(copy, this.#ports.clock.now());
    return copy;
  }

  #loads(): Readonly<Record<BackendTag, number>> {
    return Object.fromEntries(this.#table.pools.map((pool) => [pool.tag, pool.load]));
  }
}

/** Queries to endpoints that are not known, or have no backend, until news comes. */
class UnroutedQueries implements QueryPlace {
  readonly #queue = new QueryQueue();
  readonly #knowsAll: () => boolean;

  constructor(knowsAll: () => boolean) {
    this.#knowsAll = knowsAll;
  }

  add(query: OpenQuery): void {
    if (this.#queue.size >= DEFAULT_MAX_QUEUED_QUERIES) {
      query.failSoon(queueFull(query.endpoint, DEFAULT_MAX_QUEUED_QUERIES));
      return;
    }
    query.moveTo(this);
    this.#queue.push(query);
  }

  get size(): number {
    return this.#queue.size;
  }

  takeAll(): readonly OpenQuery[] {
    return this.#queue.takeAll();
  }

  abandon(query: OpenQuery): void {
    this.#queue.remove(query);
  }

  deadlineFailure(query: OpenQuery): WireFailure {
    return this.#knowsAll()
      ? endpointUnknown(query.endpoint, query.allowedMs)
      : noReplica(query.endpoint, query.allowedMs, undefined);
  }

  consumed(): void {}

  bodyGrew(): void {}
}
