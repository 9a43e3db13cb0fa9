/**
 * Looks at the nodes whose agent has gone silent. For a while nothing is done: an agent comes back, and what it ran may have served all
 * the time. After that the node is dead: its records are removed, so that its replicas and proxies are made anew elsewhere. Should it come
 * back all the same, its agent finds no record of what still runs there and drains it.
 *
 * Many nodes that go silent together are more likely cut off from the store than gone: while more than half of the known ones are silent
 * none dies, and otherwise one after the other. So the only node of an instance never dies.
 */
import type { Instant } from "../base/time.ts";
import type { NodeName } from "../model/ids.ts";
import { MAX_ROWS_PER_STEP, NODE_DEAD_AFTER_MS, NODE_DEATH_PACE_MS } from "../model/limits.ts";
import type { Draft } from "./draft.ts";
import type { Silence } from "./notes.ts";
import type { View } from "./view.ts";

export const reconcileNodes = (draft: Draft): void => {
  const { view } = draft;
  const known = knownNodes(view);
  const silent = [...known].filter((node) => view.node(node) === undefined).sort();
  forgetOthers(draft, new Set(silent));
  const isStorm = silent.length * 2 > known.size;
  const counting: { node: NodeName; since: Instant }[] = [];
  for (const node of silent) {
    const state = noteSilence(draft, node, isStorm ? "storm" : "calm");
    if (state.kind === "dead") collect(draft, node);
    else draft.explain(`node/${node}`, isStorm ? storm(silent.length, known.size) : silence());
    if (state.kind === "counting") counting.push({ node, since: state.since });
  }
  // What was collected is forgotten then; what could not be is tried again.
  const last = lastDeath(draft);
  if (last !== undefined) draft.wakeAt("nodes", draft.now.instant + NODE_DEATH_PACE_MS);
  const [next] = counting.sort((a, b) => a.since - b.since);
  if (next !== undefined)
    giveUpInTime(draft, { ...next, notBefore: (last ?? Number.NEGATIVE_INFINITY) + NODE_DEATH_PACE_MS });
};

const giveUpInTime = (
  draft: Draft,
  { node, since, notBefore }: { readonly node: NodeName; readonly since: Instant; readonly notBefore: Instant },
): void => {
  const { instant } = draft.now;
  const diesAt = Math.max(since + NODE_DEAD_AFTER_MS, notBefore);
  if (instant < diesAt) {
    draft.wakeAt("nodes", diesAt);
    return;
  }
  draft.note("silences", node, { kind: "dead", at: instant });
  draft.explain(`node/${node}`, "it was silent for too long: what ran there is replaced on other nodes.");
  draft.dirty.add("nodes");
};

const silence = (): string =>
  `its agent is silent. What runs there stays as it is; it is replaced when the silence lasts ${NODE_DEAD_AFTER_MS / 1_000} s.`;

const storm = (silent: number, known: number): string =>
  known === 1
    ? "its agent is silent. What runs there stays as it is."
    : `its agent is silent, like those of ${silent} of ${known} nodes: nothing is replaced while more than half are.`;

/** Registered, or with records or rows of something that ran there. */
const knownNodes = (view: View): ReadonlySet<NodeName> =>
  new Set([
    ...Array.from(view.all("node"), ({ node }) => node),
    ...view.nodesWithActors(),
    ...view.nodesWithStatuses(),
  ]);

const noteSilence = (draft: Draft, node: NodeName, weather: "storm" | "calm"): Silence => {
  const known = draft.noted("silences", node);
  const next = nextSilence(known, weather, draft.now.instant);
  if (next !== known) draft.note("silences", node, next);
  return next;
};

const nextSilence = (known: Silence | undefined, weather: "storm" | "calm", now: Instant): Silence => {
  if (known?.kind === "dead") return known;
  if (weather === "storm") return known?.kind === "held" ? known : { kind: "held" };
  return known?.kind === "counting" ? known : { kind: "counting", since: now };
};

const lastDeath = (draft: Draft): Instant | undefined => {
  const deaths = [...draft.allNoted("silences").values()].flatMap((it) => (it.kind === "dead" ? [it.at] : []));
  return deaths.length === 0 ? undefined : Math.max(...deaths);
};

/** Nodes that are back, or of which nothing is left, and whose death is not the last one. */
const forgetOthers = (draft: Draft, silent: ReadonlySet<string>): void => {
  for (const [node, state] of draft.allNoted("silences")) {
    if (silent.has(node)) continue;
    const isRecent = state.kind === "dead" && draft.now.instant < state.at + NODE_DEATH_PACE_MS;
    if (isRecent && draft.view.node(node as NodeName) === undefined) continue;
    draft.note("silences", node, undefined);
    draft.explain(`node/${node}`, undefined);
  }
};

/** The records of a dead node first; then, when none is left, the rows that its agent wrote. */
const collect = (draft: Draft, node: NodeName): void => {
  let rows = 0;
  for (const actor of [...draft.view.actorsOn(node)]) {
    if (rows >= MAX_ROWS_PER_STEP || !draft.hasRoom(1)) {
      draft.postpone("nodes");
      return;
    }
    draft.delete("assignment", actor);
    rows += 1;
  }
  draft.collect(node);
};
