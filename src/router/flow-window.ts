/**
 * How much of a large answer may be on its way to its reader. STREAM_WINDOW_BYTES until the reader has taken some; from then on a narrow
 * window, or a wide one out of what a router has for all its readers: processes with room work, where others wait for each other's
 * credit, and readers that stop cost no more together than that room.
 */
import { FLOW_BUDGET_BYTES, FLOW_WINDOW_BYTES, WIDE_WINDOW_BYTES } from "../model/limits.ts";

/** The part of a query that this is about. */
export interface FlowingQuery {
  /** Bytes of the answer that may be on their way. */
  window: number;
  /** Bytes of it that were used up and not yet told to the replica. */
  unreported: number;
  /** How many it should be now. */
  wantedWindow(): number;
}

/**
 * The reader has used so many bytes.
 * @returns what the replica may send more; 0: nothing for now.
 */
export function takeConsumed(query: FlowingQuery, bytes: number): number {
  query.unreported += bytes;
  // Not each part: half a window keeps the replica sending and halves nothing.
  if (query.unreported < query.window / 2) return 0;
  // A window that is too wide now shrinks by what was used of it.
  const credit = Math.max(0, query.unreported + query.wantedWindow() - query.window);
  query.window += credit - query.unreported;
  query.unreported = 0;
  return credit;
}

/** What the readers of one router may have beyond a narrow window each. */
export class FlowBudget {
  #left = FLOW_BUDGET_BYTES;

  /** Bytes that nobody has. */
  get left(): number {
    return this.#left;
  }

  /** @param held what the asker has of it. @returns what it has now. */
  share(held: number): number {
    // Half of the rest: n that go on asking come to have an n + 1st part each, and who comes next finds something.
    const share = Math.min(WIDE_WINDOW_BYTES - FLOW_WINDOW_BYTES, Math.floor((this.#left + held) / 2));
    this.#left += held - share;
    return share;
  }

  giveBack(held: number): void {
    this.#left += held;
  }
}

/** The window of one reader. Whoever opens one closes it when nothing of the answer waits for that reader any more. */
export class WideWindow {
  readonly #budget: FlowBudget;
  #held = 0;
  #isClosed = false;

  constructor(budget: FlowBudget) {
    this.#budget = budget;
  }

  /** Bytes that may be on their way. Another number each time it is asked, as others come and go. */
  bytes(): number {
    if (!this.#isClosed) this.#held = this.#budget.share(this.#held);
    return FLOW_WINDOW_BYTES + this.#held;
  }

  /** Again: nothing. */
  close(): void {
    this.#isClosed = true;
    this.#budget.giveBack(this.#held);
    this.#held = 0;
  }
}
