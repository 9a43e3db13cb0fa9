/**
 * A simulated agent: registers its node, and reports every actor that is assigned to it as ready, or as gone when it is told to go,
 * without starting any process. To a controller it is an agent: through a store of its own on the same file and, when it has a run
 * folder, through `agent.sock`.
 */
import { createLinkServer } from "../../src/adapters/link-server.ts";
import { openSqliteStore, type SqliteStore } from "../../src/adapters/sqlite-store.ts";
import type { ActorStatus, Assignment } from "../../src/model/actor.ts";
import type { ActorName, InstanceId, InstanceName, NodeName } from "../../src/model/ids.ts";
import { keysOf } from "../../src/model/keys.ts";
import { MAX_STATUS_ROWS_PER_TXN } from "../../src/model/limits.ts";
import type { Leader, ToAgent } from "../../src/model/link-messages.ts";
import { runFiles, stateFiles } from "../../src/model/places.ts";
import type { ProbeAnswer, ProbeOrder } from "../../src/model/probe.ts";
import { LEASE_RENEW_INTERVAL_MS, LEASE_TTL_MS } from "../../src/model/store-limits.ts";
import type { Clock, Timer } from "../../src/ports/clock.ts";
import type { LinkServer, ServerLink } from "../../src/ports/link-server.ts";
import type { Lease, Op, Watch, WatchEvent } from "../../src/ports/store.ts";

export const NODE = "local" as NodeName;
const INCARNATION = 1;

export interface SimAgentOptions {
  readonly stateDir: string;
  /** undefined: no controller process dials in; `onCommit` is told instead. */
  readonly runDir?: string | undefined;
  readonly clock: Clock;
  readonly instance: InstanceName;
  readonly instanceId: InstanceId;
  readonly onCommit?: () => void;
  readonly onLeader?: (leader: Leader) => void;
}

export class SimAgent {
  readonly store: SqliteStore;
  readonly #options: SimAgentOptions;
  readonly #keys;
  readonly #rows = new Map<ActorName, ActorStatus>();
  /** Rows to write; undefined: to delete. */
  readonly #changed = new Map<ActorName, ActorStatus | undefined>();
  readonly #controllers = new Set<ServerLink>();
  #link: LinkServer | undefined;
  #leader: Leader | undefined;
  #lease: Lease | undefined;
  #renewal: Timer | undefined;
  #watch: Watch | undefined;
  #writing: Promise<void> | undefined;

  constructor(options: SimAgentOptions) {
    this.#options = options;
    this.#keys = keysOf(options.instance);
    const { store: path } = stateFiles(options.stateDir);
    this.store = openSqliteStore({ path, clock: options.clock, onCommit: () => this.#tellCommitted() });
  }

  /** Rows of an earlier life on this file are true again: nothing has happened to processes that do not exist. */
  async start(): Promise<void> {
    const { entries } = await this.store.list(this.#keys.statusesOf(NODE));
    for (const { value } of entries) {
      const row = JSON.parse(value) as ActorStatus;
      this.#rows.set(row.actor, row);
    }
    await this.#register();
    this.#follow();
    const { runDir } = this.#options;
    if (runDir === undefined) return;
    this.#link = createLinkServer(runFiles(runDir).agentSocket);
    await this.#link.start({
      onMessage: (link, message) => this.#hear(link, message),
      onBreach: () => {},
      onClose: (link) => void this.#controllers.delete(link),
    });
  }

  /** Actors that are assigned to this node and of which it has a row. */
  get actors(): number {
    return this.#rows.size;
  }

  /** Takes the lead from a controller that is dead, as an agent does before it starts the next one. */
  async revokeLead(): Promise<void> {
    const leader = await this.store.get(this.#keys.leader);
    if (leader?.lease !== undefined) await this.store.revokeLease(leader.lease);
  }

  async stop(): Promise<void> {
    this.#link?.stop();
    this.#watch?.stop();
    this.#renewal?.cancel();
    await this.#writing;
    await this.#lease?.revoke();
    await this.store.close();
  }

  async #register(): Promise<void> {
    const key = this.#keys.node(NODE);
    const leftOver = await this.store.get(key);
    if (leftOver?.lease !== undefined) await this.store.revokeLease(leftOver.lease);
    const record = {
      node: NODE,
      incarnation: INCARNATION,
      agentIncarnation: 1,
      pid: process.pid,
      hostname: "bench",
      cpus: 2,
      memoryBytes: 1e9,
      labels: {},
      startedAt: 0,
    };
    this.#lease = await this.store.lease(LEASE_TTL_MS);
    const op = { kind: "put", key, value: JSON.stringify(record), lease: this.#lease.id } as const;
    await this.store.txn({ compare: [], then: [op] });
    this.#renewLater(this.#lease);
  }

  #renewLater(lease: Lease): void {
    this.#renewal = this.#options.clock.after(LEASE_RENEW_INTERVAL_MS, () => {
      lease.keepAlive().then(
        () => this.#renewLater(lease),
        () => {}, // the store is closed
      );
    });
  }

  #follow(): void {
    const onEvent = (event: WatchEvent): void => {
      if (event.kind === "compacted") this.#follow();
      if (event.kind === "snapshot") for (const { value } of event.entries) this.#take(JSON.parse(value) as Assignment);
      if (event.kind !== "changes") return;
      for (const change of event.changes) {
        if (change.kind === "put") this.#take(JSON.parse(change.entry.value) as Assignment);
        else this.#forget(change.key.slice(change.key.lastIndexOf("/") + 1) as ActorName);
      }
    };
    this.#watch = this.store.watch(this.#keys.assignsOf(NODE), onEvent);
  }

  #take(assignment: Assignment): void {
    const row = this.#rows.get(assignment.actor);
    const wanted = rowOf(assignment);
    if (row?.state === wanted.state && row.configRevision === wanted.configRevision) return;
    this.#write(assignment.actor, wanted);
  }

  #forget(actor: ActorName): void {
    if (this.#rows.has(actor)) this.#write(actor, undefined);
  }

  #write(actor: ActorName, row: ActorStatus | undefined): void {
    if (row === undefined) this.#rows.delete(actor);
    else this.#rows.set(actor, row);
    this.#changed.set(actor, row);
    this.#writing ??= this.#writeAll().finally(() => {
      this.#writing = undefined;
    });
  }

  /** Many rows in one transaction, as the real agent writes them. */
  async #writeAll(): Promise<void> {
    await Promise.resolve(); // what comes in one turn is written together
    while (this.#changed.size > 0) {
      const rows = [...this.#changed].slice(0, MAX_STATUS_ROWS_PER_TXN);
      for (const [actor] of rows) this.#changed.delete(actor);
      const then = rows.map(([actor, row]): Op => {
        const key = this.#keys.status(NODE, actor);
        return row === undefined ? { kind: "delete", key } : { kind: "put", key, value: JSON.stringify(row) };
      });
      await this.store.txn({ compare: [], then });
    }
  }

  #hear(link: ServerLink, message: ToAgent): void {
    const { instanceId, onLeader } = this.#options;
    if (message.kind === "hello") {
      if (message.role === "controller") this.#controllers.add(link);
      link.send({ kind: "welcome", leader: this.#leader, instanceId });
    }
    if (message.kind === "committed") this.store.nudge();
    if (message.kind === "probe") link.send({ kind: "probed", id: message.id, answer: probed(message.order) });
    if (message.kind !== "leading") return;
    this.#leader = message.leader;
    onLeader?.(message.leader);
  }

  #tellCommitted(): void {
    this.#options.onCommit?.();
    for (const link of this.#controllers) link.send({ kind: "committed" });
  }
}

/** No files are read: the rows are about calls, not about code. */
export const probed = ({ module, targets }: ProbeOrder): ProbeAnswer => ({
  kind: "loaded",
  code: { files: `files of ${module}`, entry: module },
  targets: targets.map(() => ({
    kind: "possible",
    offers: { door: "function", methods: [], batches: "no", reconfigures: "no" },
  })),
});

const rowOf = ({ actor, node, spec, intent, configRevision }: Assignment): ActorStatus => ({
  actor,
  node,
  kind: spec.kind,
  state: intent.kind === "run" ? "ready" : "exited",
  pid: intent.kind === "run" ? process.pid : undefined,
  incarnation: 1,
  nodeIncarnation: INCARNATION,
  address: spec.kind === "proxy" ? "tcp:127.0.0.1:1" : `unix:/tmp/maitred-0/0123456789ab/${actor}-1.sock`,
  configRevision,
  error: undefined,
  failedStarts: 0,
  offers: undefined,
  loadedDigest: undefined,
  health: "healthy",
  startedAt: 0,
});
