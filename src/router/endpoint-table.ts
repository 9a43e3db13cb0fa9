/**
 * What a router knows of endpoints and backends: one immutable picker an endpoint, one pool a backend, both replaced or updated when
 * news is applied, as a whole or not at all. A pool lives as long as an endpoint names its backend.
 */
import { assert } from "../base/assert.ts";
import type { BackendTag, EndpointTag } from "../model/ids.ts";
import type { BackendClosure, EndpointClosure } from "../model/longpoll.ts";
import type { BackendPool } from "./backend-pool.ts";
import { Picker } from "./picker.ts";
import { isEndpointClosure } from "./snapshots.ts";

export interface EndpointNews {
  /** `endpoints` is all there is. */
  readonly complete: boolean;
  readonly endpoints: readonly EndpointClosure[];
  readonly removed: readonly EndpointTag[];
}

export class EndpointTable {
  readonly #newPool: (tag: BackendTag) => BackendPool;
  /** Never changed: the hot path and the proxy's route table hold it. */
  #pickers: ReadonlyMap<string, Picker> = new Map();
  readonly #pools = new Map<string, { readonly pool: BackendPool; uses: number }>();

  constructor(newPool: (tag: BackendTag) => BackendPool) {
    this.#newPool = newPool;
  }

  picker(endpoint: string): Picker | undefined {
    return this.#pickers.get(endpoint);
  }

  pool(backend: string): BackendPool | undefined {
    return this.#pools.get(backend)?.pool;
  }

  get pools(): readonly BackendPool[] {
    return [...this.#pools.values()].map(({ pool }) => pool);
  }

  closures(): readonly EndpointClosure[] {
    return [...this.#pickers.values()].map(({ closure }) => closure);
  }

  /** @throws ServeError `internal` when a closure is not complete; nothing is applied then. */
  apply(news: EndpointNews): void {
    for (const closure of news.endpoints) {
      assert(isEndpointClosure(closure), `the closure of endpoint ${closure.tag} is whole`);
    }
    const pickers = new Map(news.complete ? [] : this.#pickers);
    for (const tag of news.removed) pickers.delete(tag);
    for (const closure of news.endpoints) pickers.set(closure.tag, new Picker(closure));

    const before = this.#pickers;
    const changes = changed(before, pickers);
    // Uses are counted up before they are counted down: a backend that goes from one endpoint to another keeps its pool.
    for (const { now } of changes) this.#use(now);
    const newest = new Map<string, BackendClosure>();
    for (const { backends } of news.endpoints) {
      for (const [tag, closure] of Object.entries(backends)) newest.set(tag, closure);
    }
    this.#pickers = pickers;
    for (const [tag, closure] of newest) this.#pools.get(tag)?.pool.update(closure);
    for (const { was } of changes) this.#release(was);
  }

  #use(closure: EndpointClosure | undefined): void {
    for (const tag of Object.keys(closure?.backends ?? {})) {
      const known = this.#pools.get(tag);
      if (known === undefined) this.#pools.set(tag, { pool: this.#newPool(tag as BackendTag), uses: 1 });
      else known.uses += 1;
    }
  }

  #release(closure: EndpointClosure | undefined): void {
    for (const tag of Object.keys(closure?.backends ?? {})) {
      const known = this.#pools.get(tag);
      if (known === undefined) continue;
      known.uses -= 1;
      if (known.uses > 0) continue;
      this.#pools.delete(tag);
      known.pool.close();
    }
  }
}

interface Change {
  readonly was: EndpointClosure | undefined;
  readonly now: EndpointClosure | undefined;
}

function changed(before: ReadonlyMap<string, Picker>, after: ReadonlyMap<string, Picker>): readonly Change[] {
  const changes: Change[] = [];
  for (const [tag, picker] of after) {
    const was = before.get(tag);
    if (was !== picker) changes.push({ was: was?.closure, now: picker.closure });
  }
  for (const [tag, picker] of before) {
    if (!after.has(tag)) changes.push({ was: picker.closure, now: undefined });
  }
  return changes;
}
