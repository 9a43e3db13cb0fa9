/**
 * Looks at all proxies: starts the missing ones on the nodes that shall have them, drains those that are too many, on the wrong node or
 * made for other HTTP options, and forgets those that are gone. Agents restart dead ones in place. A silent node keeps what it has.
 */
import type { Assignment, NodeRecord } from "../model/actor.ts";
import { type ActorName, actorName, type NodeName, ordinalOf } from "../model/ids.ts";
import { MAX_ROWS_PER_STEP, PROXY_DRAIN_TIMEOUT_MS, SHUTDOWN_DRAIN_MS } from "../model/limits.ts";
import type { HttpConfig, InstanceRecord } from "../model/records.ts";
import type { Draft } from "./draft.ts";
import { statusCounts } from "./observed-replica.ts";
import type { View } from "./view.ts";

/** The label that marks head nodes; without any, the first node by name is the head. */
const HEAD_LABEL = "head";

export const reconcileProxies = (draft: Draft): void => {
  const { view } = draft;
  const instance = view.instance();
  if (instance === undefined) return;
  const proxies = Array.from(view.proxies(), (actor) => view.assignment(actor)).filter((it) => it !== undefined);
  for (const proxy of proxies) {
    if (proxy.intent.kind === "run" || !isGone(view, proxy)) continue;
    if (!draft.hasRoom(ROWS_RESERVE)) {
      draft.postpone("proxies");
      return;
    }
    draft.delete("assignment", proxy.actor);
  }

  const nodes = instance.phase === "running" ? proxyNodes(view, instance.http, proxies) : [];
  const wanted = new Map(nodes.map((node) => [node, instance.http.proxiesPerNode]));
  const running = proxies.filter((proxy) => proxy.intent.kind === "run").sort(byAge);
  for (const proxy of surplusOf(running, { wanted, view, instance })) {
    if (!draft.hasRoom(ROWS_RESERVE)) {
      draft.postpone("proxies");
      return;
    }
    draft.put("assignment", proxy.actor, { ...proxy, intent: { kind: "drain", timeoutMs: drainTimeoutOf(instance) } });
  }
  startMissing(draft, wanted);
  draft.explain("proxies", reasonOf(view));
};

/** A port that cannot be listened on, say; the agent tries for ever. */
const reasonOf = (view: View): string | undefined => {
  for (const actor of view.proxies()) {
    const status = view.status(actor);
    if (view.assignment(actor)?.intent.kind !== "run" || status === undefined || !statusCounts(view, status)) continue;
    if (status.state === "exited" && status.error !== undefined)
      return `${actor} does not run, and is started again: ${status.error.message}`;
  }
  return undefined;
};

const ROWS_RESERVE = 3;

/** Nodes that shall have proxies, of those that are registered. */
const proxyNodes = (view: View, http: HttpConfig, proxies: readonly Assignment[]): readonly NodeName[] => {
  if (http.location === "none") return [];
  const nodes: readonly NodeRecord[] = [...view.all("node")].sort((a, b) => (a.node < b.node ? -1 : 1));
  if (http.location === "every") return nodes.map((node) => node.node);
  const heads = nodes.filter((node) => node.labels[HEAD_LABEL] === "true");
  if (heads.length > 0) return heads.map((node) => node.node);
  // A silent node keeps what it has until it is given up: while it is the head nobody else is.
  if (proxies.some((proxy) => view.node(proxy.node) === undefined && proxy.intent.kind === "run")) return [];
  return nodes.slice(0, 1).map((node) => node.node);
};

const surplusOf = (
  running: readonly Assignment[],
  {
    wanted,
    view,
    instance,
  }: { readonly wanted: ReadonlyMap<NodeName, number>; readonly view: View; readonly instance: InstanceRecord },
): readonly Assignment[] => {
  const kept = new Map<NodeName, number>();
  return running.filter((proxy) => {
    const isSilent = view.node(proxy.node) === undefined;
    if (isSilent && instance.phase === "running") return false;
    if (!fits(proxy, instance.http)) return true;
    const count = (kept.get(proxy.node) ?? 0) + 1;
    kept.set(proxy.node, count);
    return count > (wanted.get(proxy.node) ?? 0);
  });
};

const startMissing = (draft: Draft, wanted: ReadonlyMap<NodeName, number>): void => {
  const { view } = draft;
  let rows = 0;
  for (const [node, count] of wanted) {
    for (let missing = count - runningOn(view, node); missing > 0; missing -= 1) {
      const instance = view.instance();
      if (instance === undefined) return;
      if (rows >= MAX_ROWS_PER_STEP || !draft.hasRoom(ROWS_RESERVE)) {
        draft.postpone("proxies");
        return;
      }
      rows += 1;
      const actor = actorName("proxy", instance.nextOrdinal);
      draft.put("instance", "", { ...instance, nextOrdinal: instance.nextOrdinal + 1 });
      draft.put("assignment", actor, newProxy({ actor, node, http: instance.http }));
    }
  }
};

const newProxy = ({
  actor,
  node,
  http,
}: {
  readonly actor: ActorName;
  readonly node: NodeName;
  readonly http: HttpConfig;
}): Assignment => ({
  actor,
  node,
  spec: { kind: "proxy", host: http.host, port: http.port },
  rollout: 0,
  configRevision: 0,
  intent: { kind: "run" },
});

const runningOn = (view: View, node: NodeName): number => {
  let count = 0;
  for (const actor of view.proxies()) {
    const assignment = view.assignment(actor);
    if (assignment?.node === node && assignment.intent.kind === "run") count += 1;
  }
  return count;
};

const fits = (proxy: Assignment, http: HttpConfig): boolean =>
  proxy.spec.kind === "proxy" && proxy.spec.host === http.host && proxy.spec.port === http.port;

const isGone = (view: View, proxy: Assignment): boolean => {
  const status = view.status(proxy.actor);
  return status !== undefined && status.state === "exited" && statusCounts(view, status);
};

const drainTimeoutOf = (instance: InstanceRecord): number =>
  instance.phase === "erasing" ? SHUTDOWN_DRAIN_MS : PROXY_DRAIN_TIMEOUT_MS;

const byAge = (a: Assignment, b: Assignment): number => ordinalOf(a.actor) - ordinalOf(b.actor);
