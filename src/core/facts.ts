/**
 * What the store says about one thing, parsed: a `Fact` sets or removes one saved or observed thing. The controller's view is fed
 * with facts, and what it decides are facts too. Keys and values of the store are turned into facts here and nowhere else.
 */
import type { ActorStatus, Assignment, NodeRecord } from "../model/actor.ts";
import type { NodeName } from "../model/ids.ts";
import type { Keys } from "../model/keys.ts";
import type { AppRecord, BackendRecord, EndpointRecord, GoalRecord, InstanceRecord } from "../model/records.ts";

export interface Values {
  readonly instance: InstanceRecord;
  readonly backend: BackendRecord;
  readonly endpoint: EndpointRecord;
  readonly app: AppRecord;
  readonly goal: GoalRecord;
  readonly assignment: Assignment;
  readonly node: NodeRecord;
  readonly status: ActorStatus;
}

export type Kind = keyof Values;

/** `id`: tag, name of an app, goal id, actor or node name; "" for the instance. `after` undefined: it is gone. */
export type FactOf<K extends Kind> = {
  readonly kind: K;
  readonly id: string;
  readonly after: Values[K] | undefined;
};
export type Fact = { [K in Kind]: FactOf<K> }[Kind];

/** A decided change of hard state, as a transaction needs it. */
export interface Change {
  readonly fact: Fact;
  readonly key: string;
  /** Revision of the last write of the key; 0: it must not exist. */
  readonly expectedRevision: number;
  /** The value as it is saved; undefined: the key is deleted. */
  readonly text: string | undefined;
}

/** The key of a thing; an assignment's or status's also names its node. */
export const keyOf = (
  keys: Keys,
  thing: { readonly kind: Kind; readonly id: string; readonly node?: NodeName },
): string => {
  const actor = thing.id as Assignment["actor"];
  switch (thing.kind) {
    case "instance":
      return keys.instance;
    case "backend":
      return keys.backend(thing.id);
    case "endpoint":
      return keys.endpoint(thing.id);
    case "app":
      return keys.app(thing.id);
    case "goal":
      return keys.goal(thing.id);
    case "node":
      return keys.node(thing.id as NodeName);
    case "assignment":
      return keys.assign(thing.node ?? ("" as NodeName), actor);
    case "status":
      return keys.status(thing.node ?? ("" as NodeName), actor);
  }
};

/** The fact that a key and its value state; undefined: a key that is not part of the view (the leader's). */
export const factOf = (keys: Keys, key: string, text: string | undefined): Fact | undefined => {
  const place = placeOf(keys, key);
  if (place === undefined) return undefined;
  const after: unknown = text === undefined ? undefined : JSON.parse(text);
  return { ...place, after } as Fact;
};

const placeOf = (keys: Keys, key: string): { readonly kind: Kind; readonly id: string } | undefined => {
  if (key === keys.instance) return { kind: "instance", id: "" };
  const [folder, id] = cut(key.slice(keys.root.length));
  switch (folder) {
    case "backends":
      return { kind: "backend", id };
    case "endpoints":
      return { kind: "endpoint", id };
    case "apps":
      return { kind: "app", id };
    case "goals":
      return { kind: "goal", id };
    case "nodes":
      return { kind: "node", id };
    case "assign":
      return actorOf("assignment", id);
    case "status":
      return actorOf("status", id);
    default:
      return undefined;
  }
};

/** Below the name of its node. */
const actorOf = (kind: "assignment" | "status", path: string) => {
  const [, id] = cut(path);
  return id === "" ? undefined : ({ kind, id } as const);
};

/** `a/b/c` is `a` and `b/c`. */
const cut = (path: string): readonly [string, string] => {
  const slash = path.indexOf("/");
  return slash < 0 ? [path, ""] : [path.slice(0, slash), path.slice(slash + 1)];
};
