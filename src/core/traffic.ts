/**
 * The rules of traffic: weights sum to 1 within WEIGHT_TOLERANCE, none is negative; a shadow's share is 0 to 1. Names are checked by
 * who knows which backends exist. Answers complete lists of problems, each the rest of a sentence that starts with the endpoint.
 */
import { WEIGHT_TOLERANCE } from "../model/endpoint.ts";

export const weightProblems = (traffic: Readonly<Record<string, number>>): readonly string[] => {
  const entries = Object.entries(traffic);
  if (entries.length === 0) return ["traffic names no backend. Give at least one backend a weight."];
  const bad = entries.filter(([, weight]) => !(Number.isFinite(weight) && weight >= 0));
  if (bad.length > 0) {
    return bad.map(([tag, weight]) => `the weight of backend "${tag}" is ${weight}. Weights are numbers from 0 to 1.`);
  }
  const sum = entries.reduce((total, [, weight]) => total + weight, 0);
  // 0.333 + 0.333 + 0.334 and 0.1 ten times pass; the tiny factor forgives the rounding of the sum itself.
  if (Math.abs(sum - 1) <= WEIGHT_TOLERANCE * (1 + 1e-9)) return [];
  const shown = entries.map(([tag, weight]) => `${tag} ${weight}`).join(", ");
  return [`weights sum to ${Number(sum.toFixed(6))}, not 1 (${shown}). Make them sum to 1.`];
};

export const shadowProblems = (shadows: Readonly<Record<string, number>>): readonly string[] =>
  Object.entries(shadows)
    .filter(([, share]) => !(Number.isFinite(share) && share >= 0 && share <= 1))
    .map(([tag, share]) => `the shadow share of backend "${tag}" is ${share}. Shares are numbers from 0 to 1.`);

/** Shadows of share 0 are no shadows: they would keep their backend in use. */
export const withoutZero = (shadows: Readonly<Record<string, number>>): Readonly<Record<string, number>> =>
  Object.fromEntries(Object.entries(shadows).filter(([, share]) => share > 0));
