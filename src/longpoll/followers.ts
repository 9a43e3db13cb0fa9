/**
 * The clients of one long-poll host: who follows what, what each has applied, and what load each reports. Indexed so that one change
 * costs only the clients that it concerns.
 */
import { MultiMap } from "../base/multi-map.ts";
import type { BackendTag, EndpointTag } from "../model/ids.ts";
import type { PollAnswer, PollRequest } from "../model/longpoll.ts";
import type { Timer } from "../ports/clock.ts";

export interface Follower {
  readonly id: string;
  readonly kind: PollRequest["kind"];
  readonly name: string;
  follows: "all" | ReadonlySet<EndpointTag>;
  /** Newest snapshot of this life that it has applied; undefined: none. */
  applied: number | undefined;
  /** Whoever has not applied this snapshot needs all that it follows. */
  completeFrom: number;
  /** Endpoints that it follows later than the rest: newer than this they must be sent, changed or not. */
  since: Map<EndpointTag, number>;
  /** The first and the newest snapshot with something for it that it has not applied. */
  unapplied: { readonly first: number; readonly newest: number } | undefined;
  loads: Readonly<Record<BackendTag, number>>;
  /** Ends the poll that waits. */
  answer: ((answer: PollAnswer) => void) | undefined;
  /** Forgets it unless it polls again. */
  leaving: Timer | undefined;
}

export class Followers {
  readonly #byId = new Map<string, Follower>();
  readonly #byName = new Map<string, Follower>();
  readonly #ofAll = new Set<Follower>();
  readonly #ofEndpoint = new MultiMap<EndpointTag, Follower>();
  readonly #unsettled = new Set<Follower>();
  readonly #loads = new Map<BackendTag, number>();

  get size(): number {
    return this.#byId.size;
  }

  get(id: string): Follower | undefined {
    return this.#byId.get(id);
  }

  /** The proxy or replica of this name. */
  named(name: string): Follower | undefined {
    return this.#byName.get(name);
  }

  all(): Iterable<Follower> {
    return this.#byId.values();
  }

  *of(endpoint: EndpointTag): IterableIterator<Follower> {
    yield* this.#ofAll;
    yield* this.#ofEndpoint.get(endpoint);
  }

  unsettled(): Iterable<Follower> {
    return this.#unsettled;
  }

  add(follower: Follower): void {
    this.#byId.set(follower.id, follower);
    if (follower.kind !== "program") this.#byName.set(follower.name, follower);
    this.#index(follower, "add");
    if (follower.unapplied !== undefined) this.#unsettled.add(follower);
  }

  remove(follower: Follower): void {
    this.#byId.delete(follower.id);
    if (this.#byName.get(follower.name) === follower) this.#byName.delete(follower.name);
    this.#index(follower, "delete");
    this.#unsettled.delete(follower);
    this.setLoads(follower, {});
  }

  setFollows(follower: Follower, follows: Follower["follows"]): void {
    this.#index(follower, "delete");
    follower.follows = follows;
    this.#index(follower, "add");
  }

  setUnapplied(follower: Follower, unapplied: Follower["unapplied"]): void {
    follower.unapplied = unapplied;
    if (unapplied === undefined) this.#unsettled.delete(follower);
    else this.#unsettled.add(follower);
  }

  /** Answers of which backends it tells another load than before. */
  setLoads(follower: Follower, loads: Follower["loads"]): readonly BackendTag[] {
    const before = follower.loads;
    this.#addLoads(before, -1);
    follower.loads = loads;
    this.#addLoads(loads, 1);
    const backends = [...Object.keys(before), ...Object.keys(loads)] as readonly string[] as readonly BackendTag[];
    return [...new Set(backends)].filter((tag) => (before[tag] ?? 0) !== (loads[tag] ?? 0));
  }

  /** Queries in flight and queued for the backend, over all routers' last reports. */
  load(backend: BackendTag): number {
    return this.#loads.get(backend) ?? 0;
  }

  #addLoads(loads: Follower["loads"], sign: 1 | -1): void {
    for (const [tag, load] of Object.entries(loads) as [BackendTag, number][]) {
      const sum = (this.#loads.get(tag) ?? 0) + sign * load;
      if (sum > 0) this.#loads.set(tag, sum);
      else this.#loads.delete(tag);
    }
  }

  #index(follower: Follower, step: "add" | "delete"): void {
    if (follower.follows === "all") this.#ofAll[step](follower);
    else for (const tag of follower.follows) this.#ofEndpoint[step](tag, follower);
  }
}
