/**
 * What a router knows, as JSON: a proxy keeps it on disk and serves from it when it starts while no controller answers.
 * Files can be old, cut or of another version: `parseSnapshots` takes nothing that a picker could stumble over.
 */
import type { EndpointClosure, SnapshotId } from "../model/longpoll.ts";

export interface RouterSnapshots {
  readonly version: 1;
  readonly applied: SnapshotId;
  readonly endpoints: readonly EndpointClosure[];
}

/** undefined: this is not what `Router.snapshots` gave. */
export function parseSnapshots(value: unknown): RouterSnapshots | undefined {
  if (!isRecord(value) || value["version"] !== 1 || !isRecord(value["applied"])) return undefined;
  const { epoch, counter } = value["applied"];
  const endpoints = value["endpoints"];
  if (!isNumber(epoch) || !isNumber(counter) || !Array.isArray(endpoints)) return undefined;
  return endpoints.every(isEndpointClosure) ? { version: 1, applied: { epoch, counter }, endpoints } : undefined;
}

/** Complete, of the right types, and naming no backend that it does not hold. */
export function isEndpointClosure(value: unknown): value is EndpointClosure {
  if (!isRecord(value) || typeof value["tag"] !== "string" || !isRecord(value["spec"])) return false;
  const { traffic, shadows, backends } = value;
  if (!isRecord(traffic) || !isRecord(shadows) || !isRecord(backends)) return false;
  const isShare = ([tag, weight]: [string, unknown]) => isNumber(weight) && Object.hasOwn(backends, tag);
  return (
    Object.entries(traffic).every(isShare) &&
    Object.entries(shadows).every(isShare) &&
    Object.values(backends).every(isBackendClosure)
  );
}

const isBackendClosure = (value: unknown): boolean =>
  isRecord(value) &&
  isNumber(value["maxConcurrentQueries"]) &&
  isNumber(value["maxQueuedQueries"]) &&
  Array.isArray(value["replicas"]) &&
  value["replicas"].every(isReplicaEntry);

const isReplicaEntry = (value: unknown): boolean =>
  isRecord(value) &&
  typeof value["replica"] === "string" &&
  isNumber(value["incarnation"]) &&
  typeof value["address"] === "string" &&
  /^(unix|tcp):./.test(value["address"]);

const isNumber = (value: unknown): value is number => typeof value === "number" && Number.isFinite(value);

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
