/**
 * The watches of one store: a cursor into the revision log for each. `look` reads what is new and hands it out; whoever knows
 * of a commit calls it, and calling it for nothing does no harm. Order and grouping come from the log, so it makes no difference
 * which process committed. Callbacks run in a turn of their own and may call the store.
 */
import { WATCH_BATCH_REVISIONS } from "../../model/store-limits.ts";
import type { Watch, WatchChange, WatchEvent } from "../../ports/store.ts";
import { decodeChanges } from "./changes-codec.ts";
import type { Connection } from "./connection.ts";
import { Entries, RevisionLog } from "./tables.ts";
import type { Revision } from "./transactions.ts";

interface Watcher {
  readonly prefix: string;
  readonly onEvent: (event: WatchEvent) => void;
  /** The first revision not yet delivered; undefined: the snapshot comes first. */
  next: number | undefined;
}

interface Batch {
  readonly events: readonly WatchEvent[];
  /** The cursor after these events. */
  readonly next: number;
  /** There is more to read at once. */
  readonly more: boolean;
  /** These are the watch's last events. */
  readonly ends: boolean;
}

export class WatchHub {
  readonly #connection: Connection;
  readonly #entries: Entries;
  readonly #log: RevisionLog;
  readonly #watchers = new Set<Watcher>();
  readonly #onReadError: (error: unknown) => void;
  #scheduled: NodeJS.Immediate | undefined;

  /** @param onReadError the log could not be read; the hub tries again at the next `look`. */
  constructor(connection: Connection, onReadError: (error: unknown) => void) {
    this.#connection = connection;
    this.#entries = new Entries(connection.db);
    this.#log = new RevisionLog(connection.db);
    this.#onReadError = onReadError;
  }

  watch(prefix: string, onEvent: (event: WatchEvent) => void, fromRevision: number | undefined): Watch {
    const watcher: Watcher = { prefix, onEvent, next: fromRevision };
    this.#watchers.add(watcher);
    this.look();
    return { stop: () => void this.#watchers.delete(watcher) };
  }

  /** This process made these revisions, the newest there are. Whoever had heard everything before, and follows none of it, has now too. */
  committed(made: readonly Revision[]): void {
    for (const watcher of this.#watchers) {
      for (const { revision, changes } of made) {
        if (watcher.next === revision && !changes.some((change) => follows(watcher, change))) watcher.next += 1;
      }
      if (watcher.next === undefined || watcher.next <= (made.at(-1)?.revision ?? 0)) this.look();
    }
  }

  /** Delivers what is new, soon. */
  look(): void {
    if (this.#watchers.size > 0) this.#scheduled ??= setImmediate(() => this.#deliver());
  }

  close(): void {
    this.#watchers.clear();
    clearImmediate(this.#scheduled);
  }

  #deliver(): void {
    this.#scheduled = undefined;
    for (const watcher of [...this.#watchers]) {
      if (!this.#watchers.has(watcher)) continue;
      const batch = this.#read(watcher);
      if (batch === undefined) return;
      watcher.next = batch.next;
      if (batch.more) this.look();
      for (const event of batch.events) {
        if (this.#watchers.has(watcher)) this.#call(watcher, event);
      }
      if (batch.ends) this.#watchers.delete(watcher);
    }
  }

  /** A callback that throws ends its process, as any uncaught error; should it not, the other watches still get their events. */
  #call(watcher: Watcher, event: WatchEvent): void {
    try {
      watcher.onEvent(event);
    } catch (error) {
      this.look();
      throw error;
    }
  }

  #read(watcher: Watcher): Batch | undefined {
    try {
      return this.#connection.read(() => this.#batch(watcher));
    } catch (error) {
      this.#onReadError(error);
      return undefined;
    }
  }

  #batch(watcher: Watcher): Batch {
    const { prefix, next } = watcher;
    const { oldest, newest } = this.#log.span();
    if (next === undefined) {
      const snapshot: WatchEvent = { kind: "snapshot", revision: newest, entries: this.#entries.list(prefix) };
      return { events: [snapshot], next: newest + 1, more: false, ends: false };
    }
    if (next < oldest) {
      return { events: [{ kind: "compacted", oldestRevision: oldest }], next, more: false, ends: true };
    }
    const to = Math.min(next + WATCH_BATCH_REVISIONS, newest + 1);
    // A watch may wait for a revision that is yet to come.
    if (to <= next) return { events: [], next, more: false, ends: false };
    // Most revisions are about other things, and need not be read to know it.
    const mark = `"${JSON.stringify(prefix).slice(1, -1)}`;
    const events = this.#log.between({ from: next, to }).flatMap(({ revision, changes }): WatchEvent[] => {
      if (!changes.includes(mark)) return [];
      const own = decodeChanges(changes, revision).filter((change) => follows(watcher, change));
      return own.length === 0 ? [] : [{ kind: "changes", revision, changes: own }];
    });
    return { events, next: to, more: to <= newest, ends: false };
  }
}

const follows = ({ prefix }: Watcher, change: WatchChange): boolean =>
  (change.kind === "put" ? change.entry.key : change.key).startsWith(prefix);
