/**
 * The agent's dealings with the store: opens it when it can, registers the node, follows what is assigned to it, writes status rows.
 * Whatever fails ends the session; another begins after a pause, for ever. Actors never wait for it: their last known assignment stands.
 *
 * A store that does not hold our instance's record is not believed: an empty file in place of the real one must not kill anybody.
 */
import { messageOf } from "../base/serve-error.ts";
import type { Assignment, NodeRecord } from "../model/actor.ts";
import type { CodeIdentity } from "../model/code-ref.ts";
import type { ActorName, InstanceId } from "../model/ids.ts";
import type { Keys } from "../model/keys.ts";
import { STORE_RETRY_MAX_MS, STORE_RETRY_MIN_MS } from "../model/limits.ts";
import type { Leader } from "../model/link-messages.ts";
import type { BackendRecord, InstanceRecord, LeaderRecord } from "../model/records.ts";
import { LEASE_RENEW_INTERVAL_MS } from "../model/store-limits.ts";
import type { ActorLedger } from "../ports/actor-ledger.ts";
import type { Clock, Timer } from "../ports/clock.ts";
import type { Log } from "../ports/log.ts";
import type { KeyValue, Store, Watch, WatchEvent } from "../ports/store.ts";
import type { ActorSupervisor } from "./actor-supervisor.ts";
import type { SavedPhase } from "./asked-start.ts";
import { actorOf, type Registration, register } from "./registration.ts";
import { StatusWriter } from "./status-writer.ts";

export interface SessionParts {
  readonly clock: Clock;
  readonly ledger: ActorLedger;
  readonly supervisor: ActorSupervisor;
  readonly log: Log;
  readonly openStore: () => Promise<Store>;
  /** Pid of this node's controller, if it lives. */
  readonly livingController: () => number | undefined;
}

export interface SessionSettings {
  readonly keys: Keys;
  readonly instanceId: InstanceId;
  readonly node: Omit<NodeRecord, "incarnation" | "agentIncarnation">;
}

export interface SessionEvents {
  onPhase(saved: SavedPhase): void;
  /** A controller of another node leads, or none of another node any more. */
  onForeignLeader(leader: Leader | undefined): void;
}

interface RunningSession {
  end(error: unknown): void;
  isOver(): boolean;
}

export class StoreSession {
  readonly #parts: SessionParts;
  readonly #settings: SessionSettings;
  readonly #events: SessionEvents;
  #store: Store | undefined;
  #writer: StatusWriter | undefined;
  #registration: Registration | undefined;
  #watches: Watch[] = [];
  #renewal: Timer | undefined;
  #knowsInstance = false;
  /** Drawn with the first registration of this process. */
  #agentIncarnation: number | undefined;
  #isStopped = false;
  #endSession: (() => void) | undefined;
  #wakePause: (() => void) | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(parts: SessionParts, settings: SessionSettings, events: SessionEvents) {
    this.#parts = parts;
    this.#settings = settings;
    this.#events = events;
  }

  /** `store`: already open. */
  start(store: Store | undefined): void {
    this.#store = store;
    this.#running = this.#run();
  }

  changed(actor: ActorName): void {
    this.#writer?.changed(actor);
  }

  nudge(): void {
    this.#store?.nudge();
  }

  /** Code that backends and assignments name, those of other nodes too; undefined: the store cannot be asked now. */
  async codeIdentities(): Promise<readonly (CodeIdentity | undefined)[] | undefined> {
    const { keys } = this.#settings;
    const store = this.#store;
    if (store === undefined || !this.#knowsInstance) return undefined;
    // Backends first: an assignment that is written between the two looks has the code of a backend that the first one saw, or new code.
    const backends = (await store.list(keys.backends)).entries.map(({ value }) => JSON.parse(value) as BackendRecord);
    const assigned = (await store.list(keys.assigns)).entries.map(({ value }) => JSON.parse(value) as Assignment);
    return [
      ...backends.flatMap(({ identity, proven }) => [identity, proven?.identity]),
      ...assigned.map(({ spec }) => (spec.kind === "replica" ? spec.identity : undefined)),
    ];
  }

  /** Takes the lead from a dead controller of this node. Never rejects: a lease lapses by itself, later. */
  async revokeDeadLead(): Promise<void> {
    try {
      if (this.#store !== undefined) await this.#revokeDeadLead(this.#store);
    } catch (error) {
      this.#parts.log.warn("lead-not-revoked", { error: messageOf(error) });
    }
  }

  async #revokeDeadLead(store: Store): Promise<void> {
    const { keys, node } = this.#settings;
    const found = await store.get(keys.leader);
    if (found?.lease === undefined) return;
    const leader = JSON.parse(found.value) as LeaderRecord;
    if (leader.node === node.node && leader.pid !== this.#parts.livingController())
      await store.revokeLease(found.lease);
  }

  /** Writes the last rows, gives the registration back and closes the store. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#writer?.untilIdle();
    this.#endSession?.();
    this.#wakePause?.();
    await this.#running;
    try {
      await this.#registration?.lease.revoke();
      await this.#store?.close();
    } catch (error) {
      this.#parts.log.warn("store-not-closed", { error: messageOf(error) });
    }
  }

  async #run(): Promise<void> {
    let pauseMs = STORE_RETRY_MIN_MS;
    while (!this.#isStopped) {
      try {
        this.#store ??= await this.#parts.openStore();
        await this.#begin(this.#store);
        pauseMs = STORE_RETRY_MIN_MS;
        const error = await this.#untilOver();
        if (error !== undefined) throw error;
      } catch (error) {
        this.#parts.log.warn("store-session-ended", { error: messageOf(error), retryMs: pauseMs });
        await this.#drop();
      }
      if (this.#isStopped) return;
      await this.#pause(pauseMs);
      pauseMs = Math.min(pauseMs * 2, STORE_RETRY_MAX_MS);
    }
  }

  /** A file that was replaced or repaired is only seen by a new connection. */
  async #drop(): Promise<void> {
    const store = this.#store;
    this.#store = undefined;
    this.#registration = undefined;
    await store?.close().catch(() => {}); // it is broken already
  }

  async #begin(store: Store): Promise<void> {
    const { supervisor, ledger, log } = this.#parts;
    const { keys, node } = this.#settings;
    await this.#revokeDeadLead(store);
    const nodeIncarnation = ledger.nextNodeIncarnation();
    this.#agentIncarnation ??= ledger.nextAgentIncarnation();
    const rowOf = (actor: ActorName) => supervisor.rowOf(actor, { node: node.node, nodeIncarnation });
    const record = { ...node, incarnation: nodeIncarnation, agentIncarnation: this.#agentIncarnation };
    const registration = await register({ store, keys, record, rowOf });
    this.#registration = registration;
    log.info("node-registered", { nodeIncarnation, createRevision: registration.createRevision });
    this.#knowsInstance = false;
    this.#watch(store, keys.instance, (event) => this.#onInstance(store, event));
    this.#watch(store, keys.leader, (event) => this.#onLeader(event));
  }

  /** Resolves with why the session is over; undefined = the registration was lost, the store is well. */
  async #untilOver(): Promise<unknown> {
    if (this.#isStopped) return undefined;
    const { supervisor } = this.#parts;
    const { keys, node } = this.#settings;
    const store = this.#store!;
    const registration = this.#registration!;
    const { nodeIncarnation } = registration;
    return new Promise<unknown>((resolve) => {
      let isOver = false;
      const end = (error: unknown) => {
        // The answer to a renewal may come when this session is over: the next one's parts are not its to end.
        if (isOver) return;
        isOver = true;
        this.#renewal?.cancel();
        this.#writer?.stop();
        this.#writer = undefined;
        for (const watch of this.#watches.splice(0)) watch.stop();
        resolve(error);
      };
      this.#endSession = () => end(undefined);
      this.#writer = new StatusWriter({
        store,
        keys,
        node: node.node,
        registration,
        rowOf: (actor) => supervisor.rowOf(actor, { node: node.node, nodeIncarnation }),
        onEnd: end,
      });
      for (const actor of supervisor.actors()) this.#writer.changed(actor);
      this.#renewLater(registration, { end, isOver: () => isOver });
    });
  }

  #renewLater(registration: Registration, session: RunningSession): void {
    const { clock } = this.#parts;
    if (session.isOver()) return;
    this.#renewal = clock.after(LEASE_RENEW_INTERVAL_MS, () => {
      registration.lease.keepAlive().then(
        (isHeld) => (isHeld ? this.#renewLater(registration, session) : session.end(undefined)),
        (error: unknown) => {
          // One failed renewal is not the end of a lease; a lapsed one is the end of the session.
          if (clock.now() < registration.lease.deadline()) this.#renewLater(registration, session);
          else session.end(error);
        },
      );
    });
  }

  #watch(store: Store, prefix: string, onEvent: (event: WatchEvent) => void): void {
    const watch = store.watch(prefix, (event) => {
      if (event.kind === "compacted") {
        this.#watch(store, prefix, onEvent);
        return;
      }
      try {
        onEvent(event);
      } catch (error) {
        // A value that is not what its writer writes: leave things as they are rather than act on half of it.
        this.#parts.log.error("store-value-malformed", { prefix, error: messageOf(error) });
      }
    });
    this.#watches.push(watch);
  }

  #onInstance(store: Store, event: WatchEvent): void {
    const { keys, node, instanceId } = this.#settings;
    const entry = newestOf(event, keys.instance);
    if (entry === "unchanged") return;
    if (entry === undefined) {
      if (this.#knowsInstance) this.#events.onPhase({ phase: "gone", revision: 0 });
      return;
    }
    const record = JSON.parse(entry.value) as InstanceRecord;
    if (record.id !== instanceId) {
      this.#parts.log.error("store-of-another-instance", { expected: instanceId, found: record.id });
      return;
    }
    if (!this.#knowsInstance) {
      this.#knowsInstance = true;
      this.#watch(store, keys.assignsOf(node.node), (change) => this.#onAssignments(change));
    }
    this.#events.onPhase({ phase: record.phase, revision: entry.modRevision });
  }

  #onAssignments(event: WatchEvent): void {
    const { supervisor } = this.#parts;
    if (event.kind === "snapshot") {
      supervisor.setAllWanted(event.entries.map((entry) => JSON.parse(entry.value) as Assignment));
    } else if (event.kind === "changes") {
      for (const change of event.changes) {
        if (change.kind === "delete") supervisor.setWanted(actorOf(change.key), { kind: "none" });
        else {
          const assignment = JSON.parse(change.entry.value) as Assignment;
          supervisor.setWanted(assignment.actor, { kind: "assigned", assignment });
        }
      }
    }
  }

  /** Of this node's controller the agent hears by its link, and knows better whether it lives. */
  #onLeader(event: WatchEvent): void {
    const entries = event.kind === "snapshot" ? event.entries : [];
    const puts = event.kind === "changes" ? event.changes : [];
    const entry = [...entries, ...puts.flatMap((change) => (change.kind === "put" ? [change.entry] : []))].at(-1);
    const record = entry === undefined ? undefined : (JSON.parse(entry.value) as LeaderRecord);
    const isForeign = record !== undefined && record.node !== this.#settings.node.node;
    this.#events.onForeignLeader(
      isForeign ? { address: record.address as Leader["address"], epoch: entry!.createRevision } : undefined,
    );
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#parts.clock.after(ms, resolve);
      this.#wakePause = () => {
        timer.cancel();
        resolve();
      };
    });
  }
}

/** The value of the key after this event; undefined = deleted. */
const newestOf = (event: WatchEvent, key: string): KeyValue | undefined | "unchanged" => {
  if (event.kind === "snapshot") return event.entries.find((entry) => entry.key === key);
  if (event.kind === "compacted") return "unchanged";
  const last = event.changes.filter((change) => (change.kind === "put" ? change.entry.key : change.key) === key).at(-1);
  if (last === undefined) return "unchanged";
  return last.kind === "put" ? last.entry : undefined;
};
