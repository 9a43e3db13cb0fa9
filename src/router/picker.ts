/**
 * Picks backends for the queries of one endpoint: immutable, made anew from each closure. Pure: chance and hashes come in.
 *
 * Without a shard key the query's random number falls into one of the backends' shares, laid end to end.
 *
 * With a shard key each backend draws a number u of its own from (key, backend); the largest u^(1/weight) wins. That is
 * weighted rendezvous hashing: backend i gets exactly its share of the keys, and a key moves only to a backend whose weight has grown
 * in relation to the one it leaves. Shares laid end to end would move more: from 1/3, 1/3, 1/3 to 1/2, 1/4, 1/4 a sixth of the
 * keys has to move; rendezvous moves that sixth, end to end a quarter. (No rule that looks only at the current weights moves the
 * minimum at every change; a rule that remembers earlier weights would give two routers two answers.)
 */

import type { BackendTag } from "../model/ids.ts";
import type { EndpointClosure } from "../model/longpoll.ts";
import { type Hash, hashText, unitOf } from "./shard-hash.ts";

interface Share {
  readonly backend: BackendTag;
  readonly weight: number;
  /** Sum of the weights up to and with this one. */
  readonly upTo: number;
  readonly hash: Hash;
}

export class Picker {
  readonly closure: EndpointClosure;
  readonly #shares: readonly Share[];
  readonly #shadows: readonly Share[];

  constructor(closure: EndpointClosure) {
    this.closure = closure;
    this.#shares = sharesOf(closure.traffic, "");
    // Another name than as primary: whether a key is shadowed must not depend on where it goes.
    this.#shadows = sharesOf(closure.shadows, "shadow/");
  }

  get hasShadows(): boolean {
    return this.#shadows.length > 0;
  }

  /** @param random uniform in [0, 1); asked only when there is a choice. undefined: the endpoint has no backend with a share. */
  pick(shardKey: string | undefined, random: () => number): BackendTag | undefined {
    const shares = this.#shares;
    if (shares.length <= 1) return shares[0]?.backend;
    return shardKey === undefined ? this.#pickAt(random()) : this.#pickFor(hashText(shardKey));
  }

  /** The backends that get a copy. Each decides by itself; a shard key decides for good. */
  pickShadows(shardKey: string | undefined, random: () => number): readonly BackendTag[] {
    const key = shardKey === undefined ? undefined : hashText(shardKey);
    return this.#shadows
      .filter(({ weight, hash }) => (key === undefined ? random() : unitOf(key, hash)) < weight)
      .map(({ backend }) => backend);
  }

  #pickAt(number: number): BackendTag | undefined {
    const shares = this.#shares;
    for (const share of shares) {
      if (number < share.upTo) return share.backend;
    }
    // Weights may sum to a hair less than 1.
    return shares.at(-1)?.backend;
  }

  #pickFor(key: Hash): BackendTag | undefined {
    let best: Share | undefined;
    let bestScore = Number.POSITIVE_INFINITY;
    for (const share of this.#shares) {
      // The largest u^(1/w) is the smallest -ln(u)/w.
      const score = -Math.log(unitOf(key, share.hash)) / share.weight;
      if (score < bestScore) {
        best = share;
        bestScore = score;
      }
    }
    return best?.backend;
  }
}

/** Sorted by name: two routers with the same policy lay the shares in the same order. */
function sharesOf(weights: Readonly<Record<BackendTag, number>>, namePrefix: string): readonly Share[] {
  let upTo = 0;
  return Object.entries(weights)
    .filter(([, weight]) => weight > 0)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([tag, weight]) => {
      upTo += weight;
      return { backend: tag as BackendTag, weight, upTo, hash: hashText(`${namePrefix}${tag}`) };
    });
}
