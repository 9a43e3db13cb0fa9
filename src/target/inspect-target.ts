/**
 * What found code offers, before any of it runs. What is not there may still come: a class makes members in its constructor, and a
 * `batch()` may stand in that, in `start()` or in `reconfigure()`. Whether it could is told by words: what no source names cannot come.
 * The start of a replica, which knows for sure, refuses what does not come.
 */
import { declaresBatches } from "../api/api.ts";
import type { ProbedOffers } from "../model/probe.ts";
import { type FoundTarget, isClass } from "./find-target.ts";
import { targetOf } from "./target-of.ts";

/** @param mentions whether any file that was loaded holds this word. */
export const inspectTarget = ({ value }: FoundTarget, mentions: (word: string) => boolean): ProbedOffers => {
  const { offers, life } = targetOf(isClass(value) ? (value.prototype as object) : value);
  const names = (word: string) => mentions(word) || sourceOf(value).includes(word);
  // A function, and an object without a life, are all they will ever be.
  const comesToLife = isClass(value) || life.start !== undefined || life.reconfigure !== undefined;
  return {
    door: offers.door,
    methods: offers.methods,
    batches: declaresBatches() ? "yes" : comesToLife && names("batch") ? "maybe" : "no",
    // Of an object it must be there from the start.
    reconfigures: life.reconfigure !== undefined ? "yes" : isClass(value) && names("reconfigure") ? "maybe" : "no",
  };
};

/** Of a class and those that it extends, wherever they come from. */
const sourceOf = (value: object): string => {
  const sources: string[] = [];
  for (let level: unknown = value; isClass(level); level = Object.getPrototypeOf(level)) {
    sources.push(Function.prototype.toString.call(level));
  }
  return sources.join("\n");
};
