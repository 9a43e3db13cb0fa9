/**
 * What found code offers, before any of it runs. What is not there may still come: a class makes members in its constructor, and a
 * `batch()` may stand in any function. Whether it could is told by words: what no source names cannot come.
 */
import { declaresBatches } from "../api/api.ts";
import type { ProbedOffers } from "../model/probe.ts";
import { type FoundTarget, isClass } from "./find-target.ts";
import { targetOf } from "./target-of.ts";

/** @param mentions whether any file that was loaded holds this word. */
export const inspectTarget = ({ value }: FoundTarget, mentions: (word: string) => boolean): ProbedOffers => {
  const { offers, life } = targetOf(isClass(value) ? (value.prototype as object) : value);
  const names = (word: string) => mentions(word) || sourceOf(value).includes(word);
  return {
    door: offers.door,
    methods: offers.methods,
    batches: declaresBatches() ? "yes" : names("batch") ? "maybe" : "no",
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
