/**
 * What a controller life remembers of single things from one decision to the next, besides what is saved: small facts that a decision
 * notes and a later one reads. All of it ends with the life; a new one starts with none and comes to the same ends, later.
 */
import type { Instant } from "../base/time.ts";
import type { Scaler } from "./autoscaling.ts";

export interface NoteValues {
  /** Backend: it wants more replicas than the nodes have room for. */
  readonly unplaced: true;
  /** Backend: its load asks for another number of replicas than are wanted. */
  readonly scalers: Scaler;
  /** Node that has records and no registration. */
  readonly silences: Silence;
}

export type Silence =
  | { readonly kind: "counting"; readonly since: Instant }
  /** Too many are silent: its time begins when they are fewer. */
  | { readonly kind: "held" }
  | { readonly kind: "dead"; readonly at: Instant };

export type NoteKind = keyof NoteValues;

/** By tag or name of the thing. */
export type Notes = { readonly [K in NoteKind]: ReadonlyMap<string, NoteValues[K]> };
/** `undefined`: the note is taken back. */
export type NoteChanges = { readonly [K in NoteKind]: ReadonlyMap<string, NoteValues[K] | undefined> };

export class NoteBook implements Notes {
  readonly unplaced = new Map<string, true>();
  readonly silences = new Map<string, Silence>();
  readonly scalers = new Map<string, Scaler>();

  /** What a decision has noted, once it is durable. */
  take(changes: NoteChanges): void {
    for (const kind of Object.keys(changes) as NoteKind[]) this.#takeKind(kind, changes);
  }

  #takeKind<K extends NoteKind>(kind: K, changes: NoteChanges): void {
    const notes = this[kind] as Map<string, NoteValues[K]>;
    for (const [id, value] of changes[kind] as ReadonlyMap<string, NoteValues[K] | undefined>) {
      if (value === undefined) notes.delete(id);
      else notes.set(id, value);
    }
  }
}
