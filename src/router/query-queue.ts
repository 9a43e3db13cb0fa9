/** Queries that wait, in order. Anyone can leave from anywhere at once: the queries themselves are the links. */
import type { OpenQuery } from "./open-query.ts";

export class QueryQueue {
  #first: OpenQuery | undefined;
  #last: OpenQuery | undefined;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get first(): OpenQuery | undefined {
    return this.#first;
  }

  push(query: OpenQuery): void {
    query.queuePrevious = this.#last;
    query.queueNext = undefined;
    if (this.#last === undefined) this.#first = query;
    else this.#last.queueNext = query;
    this.#last = query;
    this.#added(query);
  }

  /** For a query that has waited before. */
  pushFront(query: OpenQuery): void {
    query.queueNext = this.#first;
    query.queuePrevious = undefined;
    if (this.#first === undefined) this.#last = query;
    else this.#first.queuePrevious = query;
    this.#first = query;
    this.#added(query);
  }

  /** Safe for a query that does not wait. */
  remove(query: OpenQuery): void {
    if (!query.isQueued) return;
    const { queueNext: next, queuePrevious: previous } = query;
    if (previous === undefined) this.#first = next;
    else previous.queueNext = next;
    if (next === undefined) this.#last = previous;
    else next.queuePrevious = previous;
    query.queueNext = undefined;
    query.queuePrevious = undefined;
    query.isQueued = false;
    this.#size -= 1;
  }

  /** Empties the queue. */
  takeAll(): readonly OpenQuery[] {
    const all: OpenQuery[] = [];
    for (let query = this.#first; query !== undefined; query = this.#first) {
      all.push(query);
      this.remove(query);
    }
    return all;
  }

  #added(query: OpenQuery): void {
    query.isQueued = true;
    query.hasWaited = true;
    this.#size += 1;
  }
}
