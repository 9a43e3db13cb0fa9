/**
 * Which things must be looked at again after a change. The controller works on these keys and on nothing else, so a quiet instance
 * costs nothing, however large it is. Keys come in kinds with an order: what others build on goes first.
 */
import type { ActorName, BackendTag, EndpointTag, GoalId } from "../model/ids.ts";
import type { Fact, Kind, Values } from "./facts.ts";
import type { View } from "./view.ts";

export type DirtyKey =
  | "instance"
  /** Those that are silent. */
  | "nodes"
  | "proxies"
  | `backend/${BackendTag}`
  | `endpoint/${EndpointTag}`
  | `goal/${GoalId}`
  /** The bound on kept goals. */
  | "goals";

const ORDER = ["instance", "nodes", "proxies", "backend", "endpoint", "goal", "goals"] as const;

/** A set of keys that gives the first kind first, and within a kind the oldest first. */
export class DirtyKeys {
  readonly #byKind = new Map<string, Set<DirtyKey>>(ORDER.map((kind) => [kind, new Set()]));

  add(key: DirtyKey): void {
    this.#byKind.get(kindOf(key))?.add(key);
  }

  addAll(keys: Iterable<DirtyKey>): void {
    for (const key of keys) this.add(key);
  }

  hasEndpoints(): boolean {
    return (this.#byKind.get("endpoint")?.size ?? 0) > 0;
  }

  take(): DirtyKey | undefined {
    for (const keys of this.#byKind.values()) {
      for (const key of keys) {
        keys.delete(key);
        return key;
      }
    }
    return undefined;
  }

  /** Takes out so many at most; the others stay. */
  takeSome(most: number): DirtyKeys {
    const taken = new DirtyKeys();
    let left = most;
    for (const keys of this.#byKind.values()) {
      for (const key of keys) {
        if (left === 0) return taken;
        left -= 1;
        keys.delete(key);
        taken.add(key);
      }
    }
    return taken;
  }

  *[Symbol.iterator](): IterableIterator<DirtyKey> {
    for (const keys of this.#byKind.values()) yield* keys;
  }

  get size(): number {
    let size = 0;
    for (const keys of this.#byKind.values()) size += keys.size;
    return size;
  }
}

const kindOf = (key: DirtyKey): string => {
  const slash = key.indexOf("/");
  return slash < 0 ? key : key.slice(0, slash);
};

/** The keys to look at after `fact` was applied to the view; `before` is the value that it replaced. */
export const dirtiedBy = (view: View, fact: Fact, before: Values[Kind] | undefined): readonly DirtyKey[] => {
  switch (fact.kind) {
    case "instance":
      return fact.after?.phase === (before as Values["instance"] | undefined)?.phase ? [] : everything(view);
    case "backend":
      return [
        backendKey(fact.id as BackendTag),
        ...(toldToRouters(fact.after) === toldToRouters(before as Values["backend"] | undefined)
          ? []
          : endpointKeys(view, fact.id as BackendTag)),
      ];
    case "endpoint":
      return [`endpoint/${fact.id as EndpointTag}`];
    case "app":
      return [];
    case "goal":
      return fact.after === undefined || fact.after.state === "pending" ? [] : [`goal/${fact.after.id}`, "goals"];
    case "assignment":
      return assignmentKeys(view, (fact.after ?? before) as Values["assignment"], fact.after);
    case "status":
      return statusKeys(view, fact.id as ActorName, fact.after);
    case "node":
      return everything(view);
  }
};

/** All there is: at the start of a life, and after the rare changes that concern all. */
export const everything = (view: View): readonly DirtyKey[] => {
  const keys: DirtyKey[] = ["instance", "nodes", "proxies", "goals"];
  for (const record of view.all("backend")) keys.push(backendKey(record.tag));
  for (const record of view.all("endpoint")) keys.push(`endpoint/${record.tag}`);
  for (const goal of view.aliasedGoals()) keys.push(`goal/${goal}`);
  for (const goal of view.pendingDeploys()) keys.push(`goal/${goal}`);
  return keys.concat(waitingEndpoints(view));
};

/** Endpoints with pending goals, gone ones too: what routers and proxies do may settle them. */
export const waitingEndpoints = (view: View): DirtyKey[] => {
  const keys: DirtyKey[] = [];
  for (const subject of view.pendingSubjects()) {
    if (subject !== "instance" && subject.startsWith("endpoint/")) keys.push(subject as DirtyKey);
  }
  return keys;
};

const assignmentKeys = (
  view: View,
  assignment: Values["assignment"],
  after: Values["assignment"] | undefined,
): readonly DirtyKey[] => {
  const keys = actorKeys(view, assignment, after === undefined ? "gone" : "there");
  if (after !== undefined || view.instance()?.phase === "running") return keys;
  // Replicas wait for the last proxy to go, the instance for the last actor.
  if (assignment.spec.kind === "proxy" && view.proxies().size === 0) keys.push(...everything(view));
  if (view.count("assignment") === 0) keys.push("instance");
  return keys;
};

const statusKeys = (view: View, actor: ActorName, after: Values["status"] | undefined): readonly DirtyKey[] => {
  const assignment = view.assignment(actor);
  if (assignment === undefined) return [];
  return actorKeys(view, assignment, after === undefined || after.state === "exited" ? "gone" : "there");
};

/**
 * An endpoint's goal waits for proxies, and for the handles of a replica until that is gone. So a replica that is there concerns no
 * goal but those of its backend's endpoints: bringing up ten thousand must not cost ten thousand looks each.
 */
const actorKeys = (view: View, { spec }: Values["assignment"], state: "there" | "gone"): DirtyKey[] => {
  if (spec.kind === "proxy") return ["proxies", ...waitingEndpoints(view)];
  const own = [backendKey(spec.backend), ...endpointKeys(view, spec.backend)];
  return state === "gone" ? own.concat(waitingEndpoints(view)) : own;
};

/** What of a backend's record stands in closures. */
const toldToRouters = (record: Values["backend"] | undefined): string =>
  `${record?.config.maxConcurrentQueries} ${record?.config.maxQueuedQueries} ${record?.config.autoscaling === undefined}`;

const endpointKeys = (view: View, backend: BackendTag): DirtyKey[] =>
  Array.from(view.endpointsOf(backend), (tag): DirtyKey => `endpoint/${tag}`);

const backendKey = (tag: BackendTag): DirtyKey => `backend/${tag}`;
