/**
 * What a person asked of this start: that the instance runs, whatever it was before. It does from the revision of the store on with which
 * it was seen to run, or with which a controller leads that was asked for it: a phase that was saved before says nothing about it, and one
 * that was saved later does, also when it stops again before this agent saw it run.
 */
import type { InstanceRecord } from "../model/records.ts";

export interface SavedPhase {
  readonly phase: InstanceRecord["phase"] | "gone";
  /** 0 when it is gone. */
  readonly revision: number;
}

export class AskedStart {
  #doneAt: number | undefined;
  #newest: SavedPhase | undefined;

  /** @param kind `rescue`: nobody asked, so what the store says holds. */
  constructor(kind: "asked" | "rescue") {
    if (kind === "rescue") this.#doneAt = 0;
  }

  /** `open`: a controller is still to be asked for it. `of before`: the start is done, and this was saved before. */
  hear(saved: SavedPhase): "open" | "of before" | "in force" {
    this.#newest = saved;
    if (saved.phase === "running") this.#doneAt ??= saved.revision - 1;
    if (this.#doneAt === undefined) return "open";
    return saved.revision > this.#doneAt || saved.phase === "gone" ? "in force" : "of before";
  }

  /** A controller that was asked for it leads with this epoch. Answers what the store said last, to be heard again. */
  done(epoch: number): SavedPhase | undefined {
    if (this.#doneAt !== undefined) return undefined;
    this.#doneAt = epoch;
    return this.#newest;
  }
}
