/** The store's content as a checker reads it: records, parsed, as of the last commit. Omniscient: no delay, no fence. */
import type { ActorStatus, Assignment, NodeRecord } from "../../model/actor.ts";
import { type BackendConfig, resolveBackendConfig } from "../../model/backend-config.ts";
import type {
  AppRecord,
  BackendRecord,
  EndpointRecord,
  GoalRecord,
  InstanceRecord,
  LeaderRecord,
} from "../../model/records.ts";
import { keyOf, recordOf, type SimStore } from "../store/sim-store.ts";
import type { World } from "../world.ts";

/** The slowest watch and the slowest save of a busy store. */
export const HEARD_MS = 4_000;

export class Facts {
  readonly #store: SimStore;
  readonly #keys: World["keys"];
  /** Nodes by their keys: since when they are not registered. */
  readonly #silentSince = new Map<string, number>();
  readonly #world: World;
  readonly #configs = new WeakMap<BackendRecord, BackendConfig>();
  readonly #lists = new Map<string, readonly unknown[]>();

  /** To be made before anybody who asks it about a commit. */
  constructor(world: World) {
    this.#world = world;
    this.#store = world.store;
    this.#keys = world.keys;
    world.on("commit", ({ changes, at }) => {
      for (const change of changes) {
        const key = keyOf(change);
        if (!key.startsWith(this.#keys.nodes)) continue;
        if (change.kind === "delete") this.#silentSince.set(key, at);
        else this.#silentSince.delete(key);
      }
      for (const prefix of this.#lists.keys()) {
        if (changes.some((change) => keyOf(change).startsWith(prefix))) this.#lists.delete(prefix);
      }
    });
  }

  leader(): LeaderRecord | undefined {
    return this.#one(this.#keys.leader);
  }

  instance(): InstanceRecord | undefined {
    return this.#one(this.#keys.instance);
  }

  backend(tag: string): BackendRecord | undefined {
    return this.#one(this.#keys.backend(tag));
  }

  endpoint(tag: string): EndpointRecord | undefined {
    return this.#one(this.#keys.endpoint(tag));
  }

  apps(): readonly AppRecord[] {
    return this.#all(this.#keys.apps);
  }

  goal(id: string): GoalRecord | undefined {
    return this.#one(this.#keys.goal(id));
  }

  node(name: string): NodeRecord | undefined {
    return this.#one(`${this.#keys.nodes}${name}`);
  }

  status({ node, actor }: Assignment): ActorStatus | undefined {
    return this.#one(this.#keys.status(node, actor));
  }

  /** Its agent's word, while it counts. */
  countedStatus(assignment: Assignment): ActorStatus | undefined {
    const status = this.status(assignment);
    return status !== undefined && this.node(status.node)?.incarnation === status.nodeIncarnation ? status : undefined;
  }

  /**
   * What may have been known when a transaction was decided: the end of a node's registration is heard only with the next look at the
   * store, and a save takes a while. Nobody could tell such a decision from one that was saved just before.
   */
  heardStatus(assignment: Assignment): ActorStatus | undefined {
    const since = this.#silentSince.get(`${this.#keys.nodes}${assignment.node}`);
    const isFresh = since !== undefined && this.#world.scheduler.now() - since <= HEARD_MS;
    return isFresh ? this.status(assignment) : this.countedStatus(assignment);
  }

  backends(): readonly BackendRecord[] {
    return this.#all(this.#keys.backends);
  }

  endpoints(): readonly EndpointRecord[] {
    return this.#all(this.#keys.endpoints);
  }

  goals(): readonly GoalRecord[] {
    return this.#all(this.#keys.goals);
  }

  assignments(): readonly Assignment[] {
    return this.#all(this.#keys.assigns);
  }

  replicasOf(tag: string): readonly Assignment[] {
    return this.assignments().filter(({ spec }) => spec.kind === "replica" && spec.backend === tag);
  }

  config(record: BackendRecord): BackendConfig {
    const known = this.#configs.get(record);
    if (known !== undefined) return known;
    const config = resolveBackendConfig(record.config);
    this.#configs.set(record, config);
    return config;
  }

  /** As many replicas as were set, or as the load asked for last. */
  wantedReplicas(record: BackendRecord): number {
    const { numReplicas, autoscaling } = this.config(record);
    if (autoscaling === undefined) return numReplicas;
    const { minReplicas, maxReplicas } = autoscaling;
    return Math.min(Math.max(record.autoscaled?.replicas ?? minReplicas, minReplicas), maxReplicas);
  }

  /** All starts that its agent grants its configuration have failed. */
  hasGivenUp(replica: Assignment, wordOf = (it: Assignment) => this.countedStatus(it)): boolean {
    const { failedStarts = 0, startedRevision = 0 } = wordOf(replica) ?? {};
    const { spec, configRevision } = replica;
    return spec.kind === "replica" && failedStarts >= spec.config.maxStartAttempts && startedRevision >= configRevision;
  }

  /** Exactly the wanted replicas run, of this roll-out, with this configuration; the record of one that has ended may still be there. */
  isAsWanted(tag: string, wordOf = (replica: Assignment) => this.countedStatus(replica)): boolean {
    const record = this.backend(tag);
    if (record === undefined) return false;
    const replicas = this.replicasOf(tag).filter(
      (replica) => replica.intent.kind === "run" || wordOf(replica)?.state !== "exited",
    );
    return (
      replicas.length === this.wantedReplicas(record) &&
      replicas.every((replica) => {
        const status = wordOf(replica);
        const isCurrent = replica.intent.kind === "run" && replica.rollout === record.rollout;
        return isCurrent && status?.state === "ready" && status.configRevision >= record.configRevision;
      })
    );
  }

  #one<T>(key: string): T | undefined {
    const entry = this.#store.get(key);
    return entry && recordOf<T>(entry);
  }

  #all<T>(prefix: string): readonly T[] {
    const known = this.#lists.get(prefix);
    if (known !== undefined) return known as readonly T[];
    const values = this.#store.list(prefix).map((entry) => recordOf<T>(entry));
    this.#lists.set(prefix, values);
    return values;
  }
}

/** Equal as JSON, whatever the order of keys. */
export const isSameJson = (a: unknown, b: unknown): boolean =>
  JSON.stringify(a) === JSON.stringify(b) || canonical(a) === canonical(b);

const canonical = (value: unknown): string =>
  JSON.stringify(value, (_, it: unknown) =>
    typeof it === "object" && it !== null && !Array.isArray(it)
      ? Object.fromEntries(Object.entries(it).sort(([a], [b]) => (a < b ? -1 : 1)))
      : it,
  ) ?? "undefined";
