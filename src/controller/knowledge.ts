/**
 * What a life knows, and how it comes to know it: everything under the instance's prefix once, then what agents report, as it comes.
 * Hard state is not watched: while the epoch holds only this life writes it.
 */
import { ServeError } from "../base/serve-error.ts";
import { type DirtyKey, dirtiedBy } from "../core/dirty.ts";
import { type FactOf, factOf } from "../core/facts.ts";
import { View } from "../core/view.ts";
import type { Keys } from "../model/keys.ts";
import { SCHEMA_VERSION } from "../model/records.ts";
import type { KeyValue, Store, Watch, WatchEvent } from "../ports/store.ts";

export interface Loaded {
  readonly view: View;
  readonly revision: number;
}

/** @throws ServeError `schema-newer`, before anything else of the state is looked at. */
export const load = async (store: Store, keys: Keys): Promise<Loaded> => {
  const { revision, entries } = await store.list(keys.root);
  refuseNewerSchema(keys, entries);
  const view = new View();
  const goals: { readonly fact: FactOf<"goal">; readonly modRevision: number }[] = [];
  for (const { key, value, modRevision } of entries) {
    const fact = factOf(keys, key, value);
    if (fact?.kind === "goal") goals.push({ fact, modRevision });
    else if (fact !== undefined) view.apply(fact, modRevision);
  }
  // Settled goals are forgotten in the order in which they are fed.
  goals.sort((a, b) => settledAt(a.fact) - settledAt(b.fact));
  for (const { fact, modRevision } of goals) view.apply(fact, modRevision);
  return { view, revision };
};

/** Feeds the view with what agents write, from `revision` on; says which keys each change makes dirty. */
export const observe = (
  store: Store,
  { keys, view, revision }: Loaded & { readonly keys: Keys },
  onDirty: (dirty: readonly DirtyKey[]) => void,
): Watch => {
  const watches = [keys.statuses, keys.nodes].map((prefix) =>
    follow(store, { prefix, fromRevision: revision + 1 }, (event) => onDirty(feed({ keys, view, prefix }, event))),
  );
  return {
    stop: () => {
      for (const watch of watches) watch.stop();
    },
  };
};

/** A watch that starts again with a snapshot when the store has forgotten where it was. */
const follow = (
  store: Store,
  { prefix, fromRevision }: { readonly prefix: string; readonly fromRevision: number },
  onEvent: (event: Exclude<WatchEvent, { kind: "compacted" }>) => void,
): Watch => {
  let isStopped = false;
  const begin = (options: { readonly fromRevision?: number }): Watch =>
    store.watch(
      prefix,
      (event) => {
        if (isStopped) return;
        if (event.kind !== "compacted") return onEvent(event);
        watch = begin({});
      },
      options,
    );
  let watch = begin({ fromRevision });
  return {
    stop: () => {
      isStopped = true;
      watch.stop();
    },
  };
};

const feed = (
  { keys, view, prefix }: { readonly keys: Keys; readonly view: View; readonly prefix: string },
  event: Exclude<WatchEvent, { kind: "compacted" }>,
): readonly DirtyKey[] => {
  const dirty: DirtyKey[] = [];
  const apply = (key: string, text: string | undefined, revision: number) => {
    const fact = factOf(keys, key, text);
    if (fact === undefined) return;
    const before = view.apply(fact, revision);
    dirty.push(...dirtiedBy(view, fact, before?.value));
  };
  if (event.kind === "changes") {
    for (const change of event.changes) {
      if (change.kind === "put") apply(change.entry.key, change.entry.value, change.entry.modRevision);
      else apply(change.key, undefined, change.modRevision);
    }
    return dirty;
  }
  const present = new Set(event.entries.map((entry) => entry.key));
  const known = prefix === keys.nodes ? knownNodes(keys, view) : knownStatuses(keys, view);
  for (const key of known) if (!present.has(key)) apply(key, undefined, event.revision);
  for (const entry of event.entries) apply(entry.key, entry.value, entry.modRevision);
  return dirty;
};

const knownNodes = (keys: Keys, view: View): string[] => Array.from(view.all("node"), ({ node }) => keys.node(node));
const knownStatuses = (keys: Keys, view: View): string[] =>
  Array.from(view.all("status"), ({ node, actor }) => keys.status(node, actor));

const refuseNewerSchema = (keys: Keys, entries: readonly KeyValue[]): void => {
  const entry = entries.find(({ key }) => key === keys.instance);
  if (entry === undefined) return;
  const { schemaVersion } = JSON.parse(entry.value) as { readonly schemaVersion?: number };
  if (schemaVersion !== undefined && schemaVersion <= SCHEMA_VERSION) return;
  throw new ServeError(
    "schema-newer",
    `the saved state has schema version ${schemaVersion}, this maitred knows ${SCHEMA_VERSION}: it was written by a newer maitred. Use that version again, or another state folder. Nothing was changed.`,
    { details: { schemaVersion, known: SCHEMA_VERSION } },
  );
};

const settledAt = ({ after }: FactOf<"goal">): number => after?.settledAt ?? 0;
