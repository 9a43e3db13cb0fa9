/** The rules of `metrics: { host, port }`, as somebody who starts an instance gives it. Answers every problem, each a sentence. */
import { suggestion } from "../../base/did-you-mean.ts";

const RULES: Readonly<Record<string, readonly [string, (value: unknown) => boolean]>> = {
  host: ["a host name or address", (value) => typeof value === "string" && value !== ""],
  port: [
    "a whole number from 0 to 65535",
    (value) => typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= 65_535,
  ],
};

export const metricsProblems = (metrics: object): readonly string[] =>
  Object.entries(metrics).flatMap(([name, value]) => {
    const rule = Object.hasOwn(RULES, name) ? RULES[name] : undefined;
    if (rule === undefined) return [`metrics.${name} is not an option.${suggestion(name, Object.keys(RULES))}`];
    return rule[1](value) ? [] : [`metrics.${name} must be ${rule[0]}, got ${JSON.stringify(value)}.`];
  });
