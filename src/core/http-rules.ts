/**
 * The rules of an instance's HTTP options, as somebody who starts it gives them: any subset, from a program without types too.
 * Answers every problem, each a sentence that names the option and what was got.
 */
import { suggestion } from "../base/did-you-mean.ts";
import { MAX_PROXIES_PER_NODE } from "../model/limits.ts";
import { DEFAULT_HTTP_CONFIG, HTTP_LOCATIONS, type HttpConfig } from "../model/records.ts";

/** What a value of each option must be, and how to say so. */
const RULES: Readonly<Record<keyof HttpConfig, readonly [string, (value: unknown) => boolean]>> = {
  host: ["a host name or address", (value) => typeof value === "string" && value !== ""],
  port: ["a whole number from 0 to 65535", (value) => isWithin(value, 65_535)],
  location: [`one of ${HTTP_LOCATIONS.join(", ")}`, (value) => HTTP_LOCATIONS.some((location) => location === value)],
  proxiesPerNode: [
    `a whole number from 0 to ${MAX_PROXIES_PER_NODE}`,
    (value) => isWithin(value, MAX_PROXIES_PER_NODE),
  ],
};

export const httpProblems = (http: object): readonly string[] =>
  Object.entries(http).flatMap(([name, value]) => {
    if (!isOption(name)) return [`http.${name} is not an option.${suggestion(name, Object.keys(DEFAULT_HTTP_CONFIG))}`];
    const [what, holds] = RULES[name];
    return holds(value) ? [] : [`http.${name} must be ${what}, got ${JSON.stringify(value)}.`];
  });

const isOption = (name: string): name is keyof HttpConfig => Object.hasOwn(RULES, name);

const isWithin = (value: unknown, most: number): boolean =>
  typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= most;
