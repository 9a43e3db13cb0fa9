/**
 * The names of things: branded strings, and the one grammar they share.
 * A tag, node or instance name is 1 to 63 characters of `[A-Za-z0-9._:-]` and starts with a letter or digit, so it is safe in a
 * key, a file name and a URL path. Actor names add `#ordinal`, which no tag can contain.
 */

declare const brand: unique symbol;
type Branded<B extends string> = string & { readonly [brand]: B };

export type BackendTag = Branded<"BackendTag">;
export type EndpointTag = Branded<"EndpointTag">;
export type GoalId = Branded<"GoalId">;
/** The name of an app: what its file is called, or what `defineApp` says. */
export type AppName = Branded<"AppName">;
export type NodeName = Branded<"NodeName">;
export type InstanceName = Branded<"InstanceName">;
/** Drawn when an instance is created; a name that is re-used gets another id. */
export type InstanceId = Branded<"InstanceId">;
/** A supervised process: `iris:v1#7` (replica), `proxy#3`. The ordinal is unique in the instance and never used again. */
export type ActorName = Branded<"ActorName">;
/** The actor name of a replica. */
export type ReplicaTag = ActorName;

const NAME = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,62}$/;
const GOAL_ID = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,99}$/;

/** Sentence fragment for messages: what a name may look like. */
export const NAME_RULE = "1 to 63 characters of letters, digits and . _ : -, starting with a letter or digit";

export const isName = (text: string): boolean => NAME.test(text);
export const isGoalId = (text: string): text is GoalId => GOAL_ID.test(text);

export const actorName = (stem: string, ordinal: number): ActorName => `${stem}#${ordinal}` as ActorName;

/** Processes that are no actors. */
export const agentName = (node: string): string => `agent@${node}`;
export const controllerName = (node: string): string => `controller@${node}`;

/** The ordinal of an actor name: `ordinalOf("iris:v1#7")` is 7. */
export const ordinalOf = (name: ActorName): number => Number(name.slice(name.lastIndexOf("#") + 1));

/** A name as part of a file name: `iris:v1#7` → `iris%3Av1%237`. Inverse of decodeURIComponent. */
export const fileNameOf = (name: string): string => encodeURIComponent(name);
