/**
 * A decision in the making. Rules write into it, and read it back through the view as if it were saved; when the decision is complete
 * everything is taken out of the view again, and what is left is the list of changes. So deciding costs what it changes, and until
 * they are durable nobody else sees any of it. `mark` and `rollback` undo a part: a refused call, a reconcile that threw.
 */

import type { Instant, Timestamp } from "../base/time.ts";
import type { ActorName, AppName, BackendTag, EndpointTag, GoalId, NodeName } from "../model/ids.ts";
import type { Keys } from "../model/keys.ts";
import { MAX_CHANGES_PER_SAVE, MAX_SAVE_BYTES } from "../model/limits.ts";
import type { EndpointClosure } from "../model/longpoll.ts";
import { utf8Length } from "./canonical.ts";
import { type DirtyKey, DirtyKeys, dirtiedBy } from "./dirty.ts";
import { type Change, type Fact, type FactOf, type Kind, keyOf, type Values } from "./facts.ts";
import type { NoteKind, NoteValues } from "./notes.ts";
import type { SoftState } from "./soft-state.ts";
import type { Entry, View } from "./view.ts";

/** `instant` drives everything; `timestamp` is for people and for bounds on what is kept. */
export interface Now {
  readonly instant: Instant;
  readonly timestamp: Timestamp;
}

export interface Publication {
  readonly tag: EndpointTag;
  /** undefined: the endpoint is gone. */
  readonly closure: EndpointClosure | undefined;
}

interface Step {
  readonly undo: () => void;
}

interface PendingChange extends Change {
  readonly bytes: number;
}

export class Draft {
  readonly view: View;
  readonly soft: SoftState;
  readonly now: Now;
  readonly keys: Keys;
  readonly dirty = new DirtyKeys();
  readonly #postponed = new DirtyKeys();
  readonly #changes = new Map<string, PendingChange>();
  readonly #publications = new Map<EndpointTag, Publication>();
  readonly #withdrawals = new Map<ActorName, "withdraw" | "restore">();
  readonly #wakes = new Map<DirtyKey, Instant>();
  readonly #reasons = new Map<string, string | undefined>();
  readonly #notes: { readonly [K in NoteKind]: Map<string, NoteValues[K] | undefined> } = {
    unplaced: new Map(),
    silences: new Map(),
    scalers: new Map(),
  };
  readonly #collected = new Set<NodeName>();
  readonly #steps: Step[] = [];
  #bytes = 0;
  /** The instance's last transaction: everything under its prefix goes. */
  erase = false;

  constructor(world: { readonly view: View; readonly soft: SoftState; readonly keys: Keys }, now: Now) {
    this.view = world.view;
    this.soft = world.soft;
    this.keys = world.keys;
    this.now = now;
  }

  put<K extends Exclude<Kind, "node" | "status">>(kind: K, id: string, value: Values[K]): void {
    this.#write({ kind, id, after: value } as FactOf<K> as Fact, JSON.stringify(value));
  }

  delete(
    kind: Exclude<Kind, "node" | "status" | "instance">,
    id: BackendTag | EndpointTag | AppName | GoalId | ActorName,
  ): void {
    this.#write({ kind, id, after: undefined }, undefined);
  }

  /** Whether so many more changes, together of about so many bytes, go into the same transaction. */
  hasRoom(changes: number, bytes = 0): boolean {
    return (
      this.#changes.size + changes <= MAX_CHANGES_PER_SAVE &&
      (this.#bytes + bytes <= MAX_SAVE_BYTES || this.#changes.size === 0)
    );
  }

  /** What a transaction of all that is decided so far would hold. */
  size(): { readonly changes: number; readonly bytes: number } {
    return { changes: this.#changes.size, bytes: this.#bytes };
  }

  /** Nothing is decided yet that needs saving. */
  isEmpty(): boolean {
    return this.#changes.size === 0;
  }

  isOverfull(): boolean {
    return this.#changes.size > MAX_CHANGES_PER_SAVE || this.#bytes > MAX_SAVE_BYTES;
  }

  /** Takes a replica out of the published set, or back into it. */
  withdraw(actor: ActorName, step: "withdraw" | "restore"): void {
    this.#remember(this.#withdrawals, actor);
    this.#withdrawals.set(actor, step);
  }

  isWithdrawn(actor: ActorName): boolean {
    const step = this.#withdrawals.get(actor);
    return step === undefined ? this.soft.withdrawals.has(actor) : step === "withdraw";
  }

  publish(publication: Publication): void {
    this.#remember(this.#publications, publication.tag);
    this.#publications.set(publication.tag, publication);
  }

  /** Routers are told of something after this turn, or may be: endpoints are still to be looked at. */
  mayPublish(): boolean {
    return this.#publications.size > 0 || this.dirty.hasEndpoints();
  }

  /** Remembers something of a thing for later decisions of this life; undefined takes it back. */
  note<K extends NoteKind>(kind: K, id: string, value: NoteValues[K] | undefined): void {
    const notes: Map<string, NoteValues[K] | undefined> = this.#notes[kind];
    this.#remember(notes, id);
    notes.set(id, value);
  }

  noted<K extends NoteKind>(kind: K, id: string): NoteValues[K] | undefined {
    const notes: ReadonlyMap<string, NoteValues[K] | undefined> = this.#notes[kind];
    const known: ReadonlyMap<string, NoteValues[K]> = this.soft.notes[kind];
    return notes.has(id) ? notes.get(id) : known.get(id);
  }

  /** All of a kind; a copy, so only for kinds with few. */
  allNoted<K extends NoteKind>(kind: K): ReadonlyMap<string, NoteValues[K]> {
    const notes = new Map(this.soft.notes[kind] as ReadonlyMap<string, NoteValues[K]>);
    for (const [id, value] of this.#notes[kind] as ReadonlyMap<string, NoteValues[K] | undefined>) {
      if (value === undefined) notes.delete(id);
      else notes.set(id, value);
    }
    return notes;
  }

  /** What the agent of this dead node has written goes too. */
  collect(node: NodeName): void {
    this.#collected.add(node);
  }

  /** Looks at the key again then; of several wishes the earliest counts. */
  wakeAt(key: DirtyKey, at: Instant): void {
    const known = this.#wakes.get(key);
    if (known === undefined || at < known) this.#wakes.set(key, at);
  }

  /** There is no room for the rest of this key's changes: looks at it again in the next decision, not once more in this one. */
  postpone(key: DirtyKey): void {
    this.#postponed.add(key);
  }

  /** Why a thing is not as wanted; undefined: it is. */
  explain(target: string, reason: string | undefined): void {
    this.#reasons.set(target, reason);
  }

  mark(): number {
    return this.#steps.length;
  }

  rollback(mark: number): void {
    while (this.#steps.length > mark) this.#steps.pop()?.undo();
  }

  /** What was decided. The view still holds it: whoever made the draft takes it out by a rollback to 0. */
  finish() {
    this.dirty.addAll(this.#postponed);
    return {
      changes: [...this.#changes.values()],
      publications: [...this.#publications.values()],
      withdrawals: new Map(this.#withdrawals),
      notes: {
        unplaced: new Map(this.#notes.unplaced),
        silences: new Map(this.#notes.silences),
        scalers: new Map(this.#notes.scalers),
      },
      collected: [...this.#collected],
      wakes: new Map(this.#wakes),
      reasons: new Map(this.#reasons),
      leftDirty: this.dirty,
      erase: this.erase,
    };
  }

  #write(fact: Fact, text: string | undefined): void {
    const entry = this.view.entry(fact.kind, fact.id);
    const node = nodeOf(fact) ?? nodeOf({ ...fact, after: entry?.value } as Fact);
    const key = keyOf(this.keys, { kind: fact.kind, id: fact.id, ...(node === undefined ? {} : { node }) });
    const known = this.#changes.get(key);
    const expectedRevision = known === undefined ? (entry?.revision ?? 0) : known.expectedRevision;
    const bytes = 2 * key.length + (text === undefined ? 0 : utf8Length(text));
    this.#remember(this.#changes, key);
    // Made and removed within one decision: there is nothing to save.
    if (text === undefined && expectedRevision === 0) this.#changes.delete(key);
    else this.#changes.set(key, { fact, key, expectedRevision, text, bytes });
    this.#account(bytes - (known?.bytes ?? 0));
    this.#feed(fact, entry);
  }

  #feed(fact: Fact, before: Entry<Values[Kind]> | undefined): void {
    this.view.apply(fact, before?.revision ?? 0);
    this.#steps.push({
      undo: () => {
        this.view.apply({ kind: fact.kind, id: fact.id, after: before?.value } as Fact, before?.revision ?? 0);
      },
    });
    for (const key of dirtiedBy(this.view, fact, before?.value)) this.dirty.add(key);
    // Where a replica goes others find room.
    if (fact.kind === "assignment" && fact.after === undefined) this.#lookAtUnplaced();
  }

  #lookAtUnplaced(): void {
    for (const tag of [...this.soft.notes.unplaced.keys(), ...this.#notes.unplaced.keys()]) {
      this.dirty.add(`backend/${tag as BackendTag}`);
    }
  }

  #account(bytes: number): void {
    this.#bytes += bytes;
    this.#steps.push({
      undo: () => {
        this.#bytes -= bytes;
      },
    });
  }

  #remember<K, V>(map: Map<K, V>, key: K): void {
    const had = map.has(key);
    const before = map.get(key) as V;
    this.#steps.push({
      undo: () => {
        if (had) map.set(key, before);
        else map.delete(key);
      },
    });
  }
}

const nodeOf = (fact: Fact): NodeName | undefined => (fact.kind === "assignment" ? fact.after?.node : undefined);
