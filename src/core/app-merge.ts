/**
 * What a deploy makes of a thing, field by field, from three values: what the file said at its last deploy, what it says now, and what
 * is so. A field that the file has changed since gets the file's value, any other keeps its live one: a replica count that was scaled by
 * hand stays, and so does a canary's share. Without a last deploy, all is as the file says.
 */
import type { AppEndpoint } from "../model/app.ts";
import type { BackendConfigInput } from "../model/backend-config.ts";
import type { EndpointSpec } from "../model/endpoint.ts";
import { isSameValue } from "./canonical.ts";
import { withoutZero } from "./traffic.ts";

export interface ThreeValues<T> {
  /** undefined: the file did not name the thing. */
  readonly said: T | undefined;
  readonly says: T;
  readonly live: T;
}

/** Of `resources` and `autoscaling` each field for itself, of the others the whole. */
export const mergeConfigs = ({ said, says, live }: ThreeValues<BackendConfigInput>): BackendConfigInput => {
  if (said === undefined) return says;
  const { resources: _, ...whole } = mergeFields<BackendConfigInput>({ said, says, live });
  const merged: BackendConfigInput = {
    ...whole,
    ...someOf("resources", mergeFields({ said: said.resources, says: says.resources, live: live.resources })),
    // It is there or not as a whole; within it each field counts for itself.
    ...(whole.autoscaling === undefined
      ? {}
      : someOf("autoscaling", mergeFields({ said: said.autoscaling, says: says.autoscaling, live: live.autoscaling }))),
  };
  if (merged.numReplicas === undefined || merged.autoscaling === undefined) return merged;
  // They exclude each other, and one of them was set by hand: the other one is the file's newer wish.
  const { numReplicas, autoscaling, ...others } = merged;
  if (says.autoscaling === undefined) return { ...others, numReplicas };
  return says.numReplicas === undefined ? { ...others, autoscaling } : merged;
};

/**
 * Traffic as a whole, since its shares sum to 1; of the shadows each for itself.
 * @param leaving backends that go with this deploy: a live value cannot go on naming them.
 */
export const mergeEndpoints = (
  { said, says, live }: ThreeValues<AppEndpoint>,
  leaving: ReadonlySet<string>,
): AppEndpoint => {
  if (said === undefined) return { ...says, shadows: withoutZero(says.shadows) };
  const traffic = isSameValue(said.traffic, says.traffic) ? live.traffic : says.traffic;
  const shadows = mergeFields<Readonly<Record<string, number>>>({
    said: said.shadows,
    says: says.shadows,
    live: live.shadows,
  });
  return {
    spec: mergeFields<EndpointSpec>({ said: said.spec, says: says.spec, live: live.spec }),
    traffic: Object.keys(traffic).some((tag) => leaving.has(tag)) ? says.traffic : traffic,
    shadows: withoutZero(Object.fromEntries(Object.entries(shadows).filter(([tag]) => !leaving.has(tag)))),
  };
};

const mergeFields = <T extends object>({
  said,
  says,
  live,
}: { readonly [V in "said" | "says" | "live"]: T | undefined }): T => {
  const fields = new Set([...Object.keys(live ?? {}), ...Object.keys(says ?? {})]) as Set<keyof T>;
  const merged = Array.from(fields, (field) => {
    const now = ownValue(says, field);
    return [field, isSameValue(ownValue(said, field), now) ? ownValue(live, field) : now] as const;
  });
  return Object.fromEntries(merged.filter(([, value]) => value !== undefined)) as T;
};

const someOf = <K extends string, T extends object>(field: K, value: T): { readonly [F in K]?: T } =>
  Object.keys(value).length === 0 ? {} : ({ [field]: value } as { readonly [F in K]: T });

/** Tags are keys too, and one may be called `constructor`. */
export const ownValue = <T extends object, K extends keyof T>(from: T | undefined, key: K): T[K] | undefined =>
  from !== undefined && Object.hasOwn(from, key) ? from[key] : undefined;
