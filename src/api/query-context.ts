/**
 * What is known of one query while its handler runs, and the way it is cancelled.
 * One small object a query: the facts stay in the two objects given to it, and the `AbortController` exists only once somebody
 * has asked for `signal`. Code inside maitred that only wants to know of a cancellation uses `isCancelled` and `onCancel`.
 */

import type { TraceContext } from "../model/trace.ts";

/** The query that a handler is working on. */
export interface Context {
  readonly requestId: string;
  /** Aborts when the caller leaves or the deadline passes, with the `ServeError` as reason. */
  readonly signal: AbortSignal;
  /** An instant of this process, in milliseconds on the scale of `performance.now()`. */
  readonly deadline: number | undefined;
  readonly shardKey: string | undefined;
  readonly instance: string;
  readonly endpoint: string;
  readonly backendTag: string;
  readonly replicaTag: string;
  /** This query is a copy; its answer is dropped. */
  readonly isShadow: boolean;
  /** W3C Trace Context: what to send on to be part of the same trace; of this handler's own span when OpenTelemetry traces here. */
  readonly traceparent: string | undefined;
  readonly tracestate: string | undefined;
}

/** The same for every query of a replica. */
export interface ReplicaFacts {
  readonly instance: string;
  readonly backendTag: string;
  readonly replicaTag: string;
  /** Only of replicas that share a process (maitred/testing): what the process keeps for a replica that has it to itself. */
  readonly own?: ReplicaOwn | undefined;
}

export interface ReplicaOwn {
  /** Runs a function as part of the replica's code, outside every query. */
  readonly atRoot: <T>(run: () => T) => T;
  readonly batchOverrides: BatchOverrides;
}

/** What the backend's configuration says instead of what `batch()` declares. */
export interface BatchOverrides {
  readonly maxBatchSize: number | undefined;
  readonly batchWaitTimeoutMs: number | undefined;
}

/** What differs from query to query; the members are read when they are asked for. */
export interface QueryFacts {
  readonly requestId: string;
  readonly endpoint: string;
  readonly deadline: number | undefined;
  readonly shardKey: string | undefined;
  readonly isShadow: boolean;
  readonly trace: TraceContext | undefined;
}

export interface CancelListener {
  /** Called once, synchronously, when the query is cancelled. Must not throw. */
  queryCancelled(reason: unknown): void;
}

export class QueryContext implements Context {
  readonly #replica: ReplicaFacts;
  readonly #query: QueryFacts;
  #controller: AbortController | undefined;
  #isCancelled = false;
  #cancelReason: unknown;
  // Nearly every query has no listener or one: a set is made for the second.
  #listener: CancelListener | undefined;
  #moreListeners: Set<CancelListener> | undefined;

  constructor(replica: ReplicaFacts, query: QueryFacts) {
    this.#replica = replica;
    this.#query = query;
  }

  get requestId(): string {
    return this.#query.requestId;
  }
  get deadline(): number | undefined {
    return this.#query.deadline;
  }
  get shardKey(): string | undefined {
    return this.#query.shardKey;
  }
  get instance(): string {
    return this.#replica.instance;
  }
  get endpoint(): string {
    return this.#query.endpoint;
  }
  get backendTag(): string {
    return this.#replica.backendTag;
  }
  get replicaTag(): string {
    return this.#replica.replicaTag;
  }
  get isShadow(): boolean {
    return this.#query.isShadow;
  }

  /** Undefined when the replica has its process to itself. */
  get own(): ReplicaOwn | undefined {
    return this.#replica.own;
  }

  get trace(): TraceContext | undefined {
    return this.#query.trace;
  }
  get traceparent(): string | undefined {
    return this.#query.trace?.traceparent;
  }
  get tracestate(): string | undefined {
    return this.#query.trace?.tracestate;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#isCancelled) this.#controller.abort(this.#cancelReason);
    }
    return this.#controller.signal;
  }

  get isCancelled(): boolean {
    return this.#isCancelled;
  }
  /** Undefined until `cancel`. */
  get cancelReason(): unknown {
    return this.#cancelReason;
  }

  /** Tells everyone who listens, once; the first reason counts. */
  cancel(reason: unknown): void {
    if (this.#isCancelled) return;
    this.#isCancelled = true;
    this.#cancelReason = reason;
    const [first, more] = [this.#listener, this.#moreListeners];
    this.#listener = undefined;
    this.#moreListeners = undefined;
    first?.queryCancelled(reason);
    for (const listener of more ?? []) listener.queryCancelled(reason);
    this.#controller?.abort(reason);
  }

  /** Only for a query that is not cancelled yet. The same listener counts once. */
  onCancel(listener: CancelListener): void {
    if (this.#listener === undefined) {
      this.#listener = listener;
    } else if (this.#listener !== listener) {
      this.#moreListeners ??= new Set();
      this.#moreListeners.add(listener);
    }
  }

  offCancel(listener: CancelListener): void {
    if (this.#listener === listener) this.#listener = undefined;
    else this.#moreListeners?.delete(listener);
  }

  /** The members are getters, which `JSON.stringify` would not see. */
  toJSON(): Omit<Context, "signal"> {
    const {
      requestId,
      deadline,
      shardKey,
      instance,
      endpoint,
      backendTag,
      replicaTag,
      isShadow,
      traceparent,
      tracestate,
    } = this;
    return {
      requestId,
      deadline,
      shardKey,
      instance,
      endpoint,
      backendTag,
      replicaTag,
      isShadow,
      traceparent,
      tracestate,
    };
  }
}
