/**
 * An agent without processes, for tests of the controller on a real store: through a store of its own on the same file it registers a
 * node and writes the status rows that a real agent would, as the test's script says.
 */
import { openSqliteStore, type SqliteStore } from "../../src/adapters/sqlite-store.ts";
import type { ActorStatus, Assignment } from "../../src/model/actor.ts";
import type { ErrorBody } from "../../src/model/error-codes.ts";
import type { ActorName, InstanceName, NodeName } from "../../src/model/ids.ts";
import { keysOf } from "../../src/model/keys.ts";
import type { Clock } from "../../src/ports/clock.ts";
import type { Lease, Watch } from "../../src/ports/store.ts";

export const NODE = "local" as NodeName;

export interface AgentScript {
  /** What becomes of a start. Default: ready. */
  readonly fateOf?: (assignment: Assignment) => "ready" | "starting" | { readonly fails: ErrorBody };
  /** `never`: told to go, it stays. */
  readonly drains?: "at once" | "never";
}

export interface AgentOptions {
  readonly path: string;
  readonly clock: Clock;
  readonly instance: InstanceName;
  readonly onCommit: () => void;
  readonly incarnation?: number;
}

export class ScriptedAgent {
  readonly store: SqliteStore;
  /** Every assignment that it has ever seen to run, by name: how often it started it. */
  readonly starts = new Map<ActorName, number>();
  readonly #keys;
  readonly #incarnation: number;
  #script: AgentScript;
  #lease: Lease | undefined;
  #watch: Watch | undefined;
  #rows = new Map<ActorName, ActorStatus>();
  #assignments = new Map<ActorName, Assignment>();
  #work: Promise<void> = Promise.resolve();

  constructor({ path, clock, instance, onCommit, incarnation = 1 }: AgentOptions, script: AgentScript = {}) {
    this.store = openSqliteStore({ path, clock, onCommit });
    this.#keys = keysOf(instance);
    this.#incarnation = incarnation;
    this.#script = script;
  }

  /** Registers; `adopts`: rows of an earlier incarnation that are true again. */
  async start(adopts: Iterable<ActorStatus> = []): Promise<void> {
    for (const row of adopts) await this.#write({ ...row, nodeIncarnation: this.#incarnation });
    this.#lease = await this.store.lease(60_000);
    const record = {
      node: NODE,
      incarnation: this.#incarnation,
      pid: process.pid,
      hostname: "test",
      cpus: 2,
      memoryBytes: 1e9,
      labels: {},
      startedAt: 0,
    };
    const op = {
      kind: "put",
      key: this.#keys.node(NODE),
      value: JSON.stringify(record),
      lease: this.#lease.id,
    } as const;
    await this.store.txn({ compare: [], then: [op] });
    this.#watch = this.store.watch(this.#keys.assignsOf(NODE), (event) => {
      if (event.kind === "snapshot") for (const { value } of event.entries) this.#take(JSON.parse(value) as Assignment);
      if (event.kind !== "changes") return;
      for (const change of event.changes) {
        if (change.kind === "put") this.#take(JSON.parse(change.entry.value) as Assignment);
        else this.#forget(change.key.slice(change.key.lastIndexOf("/") + 1) as ActorName);
      }
    });
  }

  rows(): readonly ActorStatus[] {
    return [...this.#rows.values()];
  }

  /** Plays on by another script; what it says about actors that are there is done now. */
  play(script: AgentScript): void {
    this.#script = script;
    for (const assignment of this.#assignments.values()) this.#take(assignment);
  }

  report(actor: ActorName, change: Partial<ActorStatus>): Promise<void> {
    const row = this.#rows.get(actor);
    if (row === undefined) throw new Error(`no row of ${actor}`);
    return this.#write({ ...row, ...change });
  }

  /** Its lease lapses: the node is suspect. The rows stay. */
  async silence(): Promise<void> {
    this.#watch?.stop();
    await this.#work;
    await this.#lease?.revoke();
  }

  async stop(): Promise<void> {
    this.#watch?.stop();
    await this.#work.catch(() => {});
    await this.store.close();
  }

  #take(assignment: Assignment): void {
    this.#assignments.set(assignment.actor, assignment);
    this.#work = this.#work.then(() => this.#act(assignment));
  }

  #forget(actor: ActorName): void {
    this.#assignments.delete(actor);
    this.#work = this.#work.then(async () => {
      this.#rows.delete(actor);
      await this.store.txn({ compare: [], then: [{ kind: "delete", key: this.#keys.status(NODE, actor) }] });
    });
  }

  async #act(assignment: Assignment): Promise<void> {
    const { actor, intent, configRevision, spec } = assignment;
    const row = this.#rows.get(actor) ?? newRow(assignment, this.#incarnation);
    if (intent.kind !== "run") {
      if (row.state === "exited" || (this.#script.drains === "never" && intent.kind === "drain")) return;
      await this.#write({ ...row, state: "exited", pid: undefined, address: undefined });
      return;
    }
    if (row.state === "ready") {
      if (row.configRevision < configRevision) await this.#write({ ...row, configRevision });
      return;
    }
    const fate = this.#script.fateOf?.(assignment) ?? "ready";
    if (fate === "starting") return this.#write(row);
    if (row.state === "exited" && row.failedStarts > 0) return;
    this.starts.set(actor, (this.starts.get(actor) ?? 0) + 1);
    if (fate !== "ready") {
      const failedStarts = spec.kind === "replica" ? spec.config.maxStartAttempts : 1;
      await this.#write({ ...row, state: "exited", failedStarts, error: fate.fails });
      return;
    }
    const address = spec.kind === "proxy" ? (`tcp:${spec.host}:${spec.port}` as const) : (`unix:/${actor}` as const);
    await this.#write({ ...row, state: "ready", configRevision, address, incarnation: row.incarnation + 1 });
  }

  async #write(row: ActorStatus): Promise<void> {
    this.#rows.set(row.actor, row);
    const op = { kind: "put", key: this.#keys.status(NODE, row.actor), value: JSON.stringify(row) } as const;
    await this.store.txn({ compare: [], then: [op] });
  }
}

const newRow = ({ actor, node, spec }: Assignment, nodeIncarnation: number): ActorStatus => ({
  actor,
  node,
  kind: spec.kind,
  state: "starting",
  pid: process.pid,
  incarnation: 0,
  nodeIncarnation,
  address: undefined,
  configRevision: 0,
  error: undefined,
  failedStarts: 0,
  offers: undefined,
  loadedDigest: undefined,
  health: "healthy",
  startedAt: 0,
});
