/**
 * An endpoint's closure: all that a router needs to serve it, out of the view. Published replicas are those that were last heard to be
 * ready, are not on their way out and have not been withdrawn. Every backend that the traffic or the shadows name is there, if need be
 * without replicas: then queries wait.
 */

import type { Instant } from "../base/time.ts";
import type { BackendTag, EndpointTag } from "../model/ids.ts";
import { HEAR_NODES_WINDOW_MS, LOAD_REPORT_INTERVAL_MS } from "../model/limits.ts";
import type { BackendClosure, EndpointClosure, ReplicaEntry } from "../model/longpoll.ts";
import type { EndpointRecord } from "../model/records.ts";
import { isSameValue } from "./canonical.ts";
import type { Draft } from "./draft.ts";
import { backendsOf } from "./indexes.ts";
import { observeReplicas } from "./observed-replica.ts";

/**
 * Publishes the endpoint if what routers were told is not what is so.
 * `current`: they were told already · `publishing`: they are told after this turn · `held`: it is too early in this life.
 */
export const publishEndpoint = (draft: Draft, tag: EndpointTag): "current" | "publishing" | "held" => {
  const { view, soft } = draft;
  const record = view.endpoint(tag);
  const published = soft.published.get(tag);
  if (record === undefined) {
    if (published?.closure === undefined) return "current";
    draft.publish({ tag, closure: undefined });
    return "publishing";
  }
  const unheard = unheardUntil(draft, record);
  if (unheard !== undefined) {
    draft.wakeAt(`endpoint/${tag}`, unheard);
    draft.explain(
      `endpoint/${tag}`,
      "it is not published yet: this controller is new and waits to hear from the nodes of its backends.",
    );
    return "held";
  }
  const closure = closureOf(draft, record);
  if (isSameValue(closure, published?.closure)) return "current";
  draft.publish({ tag, closure });
  return "publishing";
};

const closureOf = (draft: Draft, record: EndpointRecord): EndpointClosure => ({
  tag: record.tag,
  spec: record.spec,
  traffic: record.traffic,
  shadows: record.shadows,
  backends: Object.fromEntries(Array.from(backendsOf(record), (tag) => [tag, backendClosure(draft, tag)])),
});

const backendClosure = (draft: Draft, tag: BackendTag): BackendClosure => {
  const { maxConcurrentQueries, maxQueuedQueries, autoscaling } = draft.view.config(tag);
  const reports = autoscaling === undefined ? {} : { loadIntervalMs: LOAD_REPORT_INTERVAL_MS };
  return { maxConcurrentQueries, maxQueuedQueries, ...reports, replicas: publishedReplicas(draft, tag) };
};

const publishedReplicas = (draft: Draft, tag: BackendTag): readonly ReplicaEntry[] =>
  observeReplicas(draft.view, tag).flatMap((replica) => {
    const { actor } = replica;
    const status = draft.view.status(actor);
    if (!replica.serving || replica.assignment.intent.kind !== "run" || draft.isWithdrawn(actor)) return [];
    if (status?.address === undefined) return [];
    return [{ replica: actor, incarnation: status.incarnation, address: status.address }];
  });

/**
 * A new life says nothing about a backend before every node that it remembers for it has registered, or a window has passed: silence
 * is not absence. Until when to wait; undefined: no need.
 */
const unheardUntil = ({ view, soft, now }: Draft, record: EndpointRecord): Instant | undefined => {
  const until = soft.life.startedAt + HEAR_NODES_WINDOW_MS;
  if (now.instant >= until) return undefined;
  for (const backend of backendsOf(record)) {
    for (const actor of view.replicasOf(backend)) {
      const node = view.assignment(actor)?.node;
      if (node !== undefined && view.node(node) === undefined) return until;
    }
  }
  return undefined;
};
