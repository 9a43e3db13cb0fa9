/**
 * The published endpoints of one controller life, and the order of their changes: which endpoints changed after a given snapshot is
 * found at the cost of those changes. Changes are remembered up to a bound; who is further behind needs everything.
 */
import type { EndpointTag } from "../model/ids.ts";
import { MAX_POLL_CHANGES } from "../model/limits.ts";
import type { EndpointClosure } from "../model/longpoll.ts";

export interface EndpointChange {
  readonly tag: EndpointTag;
  /** undefined: the endpoint is gone. */
  readonly closure: EndpointClosure | undefined;
}

export class Snapshots {
  readonly #endpoints = new Map<EndpointTag, { readonly closure: EndpointClosure; readonly counter: number }>();
  /** Oldest first; an endpoint that changed twice is there twice. */
  #log: { readonly counter: number; readonly tag: EndpointTag }[] = [];
  readonly #removed = new Map<EndpointTag, number>();
  #forgotten = 0;
  #counter = 0;

  get counter(): number {
    return this.#counter;
  }

  /** Removals up to this one are not remembered any more. */
  get forgotten(): number {
    return this.#forgotten;
  }

  /** A new number without a change: what comes after it is newer than all that was. */
  advance(): number {
    this.#counter += 1;
    return this.#counter;
  }

  /** All of them as one snapshot. */
  change(changes: readonly EndpointChange[]): number {
    const counter = this.advance();
    for (const { tag, closure } of changes) {
      this.#log.push({ counter, tag });
      if (closure === undefined) {
        this.#endpoints.delete(tag);
        this.#removed.set(tag, counter);
      } else {
        this.#endpoints.set(tag, { closure, counter });
        this.#removed.delete(tag);
      }
    }
    if (this.#log.length > 2 * MAX_POLL_CHANGES) this.#forget();
    return counter;
  }

  closure(tag: EndpointTag): EndpointClosure | undefined {
    return this.#endpoints.get(tag)?.closure;
  }

  closures(): EndpointClosure[] {
    return Array.from(this.#endpoints.values(), (entry) => entry.closure);
  }

  /** Counter of the newest change of the endpoint, its removal included; 0: none that is remembered. */
  changedAt(tag: EndpointTag): number {
    return this.#endpoints.get(tag)?.counter ?? this.#removed.get(tag) ?? 0;
  }

  /** Endpoints that changed after the snapshot, each once. Right only for snapshots not older than `forgotten`. */
  changedAfter(counter: number): ReadonlySet<EndpointTag> {
    const tags = new Set<EndpointTag>();
    for (let index = this.#log.length - 1; index >= 0; index -= 1) {
      const entry = this.#log[index];
      if (entry === undefined || entry.counter <= counter) break;
      tags.add(entry.tag);
    }
    return tags;
  }

  #forget(): void {
    this.#forgotten = this.#log[this.#log.length - MAX_POLL_CHANGES - 1]?.counter ?? 0;
    this.#log = this.#log.filter((entry) => entry.counter > this.#forgotten);
    for (const [tag, counter] of this.#removed) if (counter <= this.#forgotten) this.#removed.delete(tag);
  }
}
