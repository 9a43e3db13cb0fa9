/**
 * ports/store.ts as one process sees a simulated store: each request travels there and its answer back, in order, each with a fate
 * drawn for it. A lost answer is an unknown outcome. What a process has sent before it died may still take effect.
 */
import { ServeError } from "../../base/serve-error.ts";
import type { Instant } from "../../ports/clock.ts";
import type { KeyValue, Lease, LeaseId, Store, Txn, TxnResult, Watch, WatchEvent } from "../../ports/store.ts";
import type { Effects } from "../kernel/effects.ts";
import type { Scheduler } from "../kernel/scheduler.ts";
import type { SimProcess } from "../kernel/sim-process.ts";
import type { Commit, SimStore } from "./sim-store.ts";
import { checkKey } from "./store-rules.ts";

export interface RequestFate {
  readonly requestMs: number;
  readonly answerMs: number;
  /** What of it never arrives: then the request is rejected after `answerMs` as `store-unavailable`. */
  readonly loses: "nothing" | "request" | "answer";
  /** Still takes effect when its process dies on the way. */
  readonly outlives: boolean;
}

export interface StoreNetwork {
  fate(process: SimProcess): RequestFate;
  watchDelayMs(process: SimProcess): number;
  /** Whether nothing of the store reaches this process now. */
  isCutOff(process: SimProcess): boolean;
}

export interface StoreClientPorts {
  readonly store: SimStore;
  readonly scheduler: Scheduler;
  readonly network: StoreNetwork;
  readonly effects: Effects;
  readonly process: SimProcess;
}

/** A connection that was lost for a while comes back, and brings what was missed. */
const CUT_OFF_LOOK_MS = 500;

/** Before every instant. */
const LOST = Number.NEGATIVE_INFINITY;

export class SimStoreClient implements Store {
  readonly #ports: StoreClientPorts;
  readonly #watches = new Set<ClientWatch>();
  #arrivesFrom: Instant = 0;
  #answersFrom: Instant = 0;
  #isClosed = false;

  constructor(ports: StoreClientPorts) {
    this.#ports = ports;
    ports.store.onCommit((commit) => this.#committed(commit));
    ports.process.onDeath(() => void this.close());
  }

  get(key: string): Promise<KeyValue | undefined> {
    return this.#send(undefined, () => {
      checkKey(key);
      return this.#ports.store.get(key);
    });
  }

  list(prefix: string): Promise<{ readonly revision: number; readonly entries: readonly KeyValue[] }> {
    const { store } = this.#ports;
    return this.#send(undefined, () => ({ revision: store.revision, entries: store.list(prefix) }));
  }

  txn(txn: Txn): Promise<TxnResult> {
    const { store, process } = this.#ports;
    return this.#send("txn", () => store.txn(txn, process.facts.name));
  }

  watch(
    prefix: string,
    onEvent: (event: WatchEvent) => void,
    { fromRevision }: { readonly fromRevision?: number } = {},
  ): Watch {
    const watch = new ClientWatch(this.#ports, { prefix, onEvent, next: fromRevision });
    if (this.#isClosed) return watch;
    this.#watches.add(watch);
    watch.look();
    return {
      stop: () => {
        watch.stop();
        this.#watches.delete(watch);
      },
    };
  }

  async lease(ttlMs: number): Promise<Lease> {
    const { store, process, scheduler } = this.#ports;
    const now = () => process.clock.now();
    // The holder's instant is taken first: it gives up before others take over.
    const deadline = scheduler.now() + ttlMs;
    const id = await this.#send(undefined, () => store.grant(ttlMs));
    return new ClientLease(id, deadline, {
      extend: async () => {
        const extended = now() + ttlMs;
        return (await this.#send(undefined, () => store.extend(id, ttlMs))) ? extended : LOST;
      },
      end: () => this.revokeLease(id),
    });
  }

  revokeLease(id: LeaseId): Promise<void> {
    const { store, process } = this.#ports;
    return this.#send("revoke", () => store.revoke(id, process.facts.name));
  }

  /** Watches are pushed to. */
  nudge(): void {}

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const watch of this.#watches) watch.stop();
    this.#watches.clear();
  }

  #committed(commit: Commit): void {
    if (this.#isClosed) return;
    for (const watch of this.#watches) watch.look(commit);
  }

  /** `effect` undefined: a crash before or after it makes no difference to the store. */
  #send<T>(effect: string | undefined, work: () => T): Promise<T> {
    const { process, network, scheduler } = this.#ports;
    if (this.#isClosed) return Promise.reject(unavailable("it is closed"));
    if (!process.isAlive) return new Promise(() => {});
    const fate = network.fate(process);
    return new Promise((resolve, reject) => {
      this.#arrivesFrom = Math.max(this.#arrivesFrom, scheduler.now() + fate.requestMs);
      scheduler.at(this.#arrivesFrom, () => {
        const answer = this.#perform(effect, fate, work);
        this.#answersFrom = Math.max(this.#answersFrom, scheduler.now() + fate.answerMs);
        scheduler.at(this.#answersFrom, () =>
          process.deliver(() => {
            if (answer.kind === "value") resolve(answer.value);
            else reject(answer.error);
          }),
        );
      });
    });
  }

  #perform<T>(effect: string | undefined, fate: RequestFate, work: () => T): Answer<T> {
    const { process, effects } = this.#ports;
    const wasAlive = process.isAlive;
    if (effect !== undefined && wasAlive) effects.before(process, effect);
    const dies = !process.isAlive && (wasAlive || !fate.outlives);
    if (dies || fate.loses === "request") return { kind: "error", error: unavailable("the request was lost") };
    const answer = attempt(work);
    if (effect !== undefined) effects.after(process, effect);
    return fate.loses === "answer" ? { kind: "error", error: unavailable("the answer was lost") } : answer;
  }
}

type Answer<T> = { readonly kind: "value"; readonly value: T } | { readonly kind: "error"; readonly error: unknown };

const attempt = <T>(work: () => T): Answer<T> => {
  try {
    return { kind: "value", value: work() };
  } catch (error) {
    return { kind: "error", error };
  }
};

interface Watching {
  readonly prefix: string;
  readonly onEvent: (event: WatchEvent) => void;
  /** The first revision not yet delivered; undefined: the snapshot comes first. */
  next: number | undefined;
}

/** A cursor into the log. A look is on its way or not; it brings all that is new when it arrives. */
class ClientWatch implements Watch {
  readonly #ports: StoreClientPorts;
  readonly #watching: Watching;
  #isLooking = false;
  #isStopped = false;

  constructor(ports: StoreClientPorts, watching: Watching) {
    this.#ports = ports;
    this.#watching = watching;
  }

  look(commit?: Commit): void {
    const { scheduler, network, process } = this.#ports;
    if (this.#isLooking || this.#isStopped) return;
    if (commit !== undefined && !commit.changes.some((change) => this.#concerns(change))) return;
    this.#isLooking = true;
    scheduler.after(network.watchDelayMs(process), () =>
      process.deliver(() => {
        this.#isLooking = false;
        if (network.isCutOff(process)) this.#lookLater();
        else this.#deliver();
      }),
    );
  }

  #lookLater(): void {
    this.#ports.scheduler.after(CUT_OFF_LOOK_MS, () => this.look());
  }

  stop(): void {
    this.#isStopped = true;
  }

  #concerns(change: Commit["changes"][number]): boolean {
    return (change.kind === "put" ? change.entry.key : change.key).startsWith(this.#watching.prefix);
  }

  #deliver(): void {
    const { store } = this.#ports;
    const { prefix, onEvent, next } = this.#watching;
    if (next === undefined) {
      this.#watching.next = store.revision + 1;
      if (!this.#isStopped) onEvent({ kind: "snapshot", revision: store.revision, entries: store.list(prefix) });
      return;
    }
    if (next < store.oldest) {
      const wasStopped = this.#isStopped;
      this.#isStopped = true;
      if (!wasStopped) onEvent({ kind: "compacted", oldestRevision: store.oldest });
      return;
    }
    const events = store.since(next, prefix);
    this.#watching.next = Math.max(next, store.revision + 1);
    for (const event of events) if (!this.#isStopped) onEvent({ kind: "changes", ...event });
  }
}

class ClientLease implements Lease {
  readonly id: LeaseId;
  readonly #calls: { extend(): Promise<number>; end(): Promise<void> };
  #deadline: number;
  #isRevoked = false;

  constructor(id: LeaseId, deadline: number, calls: { extend(): Promise<number>; end(): Promise<void> }) {
    this.id = id;
    this.#deadline = deadline;
    this.#calls = calls;
  }

  deadline(): number {
    return this.#deadline;
  }

  async keepAlive(): Promise<boolean> {
    const deadline = await this.#calls.extend();
    this.#deadline = this.#isRevoked ? LOST : deadline;
    return this.#deadline !== LOST;
  }

  async revoke(): Promise<void> {
    this.#isRevoked = true;
    this.#deadline = LOST;
    await this.#calls.end();
  }
}

const unavailable = (why: string): ServeError =>
  new ServeError("store-unavailable", `the store does not answer: ${why}.`, { retryable: true });
