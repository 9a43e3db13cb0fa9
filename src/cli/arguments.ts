/** Small languages of the command line: shares, module references, key=value pairs, durations. All throw `usage`. */
import { ServeError } from "../base/serve-error.ts";
import type { Json } from "../model/json.ts";

const usage = (message: string): ServeError => new ServeError("usage", message);

/** `["iris:v1=90%", "iris:v2=0.1"]` → `{ "iris:v1": 0.9, "iris:v2": 0.1 }`. */
export const parseShares = (words: readonly string[]): Record<string, number> => {
  const shares = new Map<string, number>();
  for (const word of words) {
    const { key, value } = splitPair(word, "a share like iris:v1=90% or iris:v1=0.9");
    if (shares.has(key)) throw usage(`"${key}" is named twice: ${words.join(" ")}. Give each backend one share.`);
    shares.set(key, parseShare(value));
  }
  return Object.fromEntries(shares);
};

/** `90%` → 0.9; `0.9` → 0.9. */
const parseShare = (text: string): number => {
  const percent = text.endsWith("%");
  const digits = percent ? text.slice(0, -1) : text;
  const number = Number(digits);
  if (digits.trim() === "" || !Number.isFinite(number)) throw usage(`"${text}" is not a share. Write 90% or 0.9.`);
  return percent ? number / 100 : number;
};

/** `./iris.ts#Iris` → module and export. */
export const parseModule = (text: string): { readonly module: string; readonly export?: string } => {
  const at = text.lastIndexOf("#");
  return at === -1 ? { module: text } : { module: text.slice(0, at), export: text.slice(at + 1) };
};

/** A JSON value given as an option. */
const parseJson = (text: string, option: string): Json => {
  try {
    return JSON.parse(text) as Json;
  } catch {
    throw usage(`${option} must be JSON, got ${text}. Quote it for the shell, e.g. ${option} '["v1.onnx"]'.`);
  }
};

/** Constructor arguments given as an option. */
export const parseArgs = (text: string): readonly Json[] => {
  const value = parseJson(text, "--args");
  if (Array.isArray(value)) return value;
  throw usage(`--args must be a JSON array, one item for each constructor argument, got ${text}. Write '[${text}]'.`);
};

/** `numReplicas=3`, `userConfig={"a":1}`, `env.KEY=text` → a partial configuration. Values that are not JSON are text; of a field named twice the last counts. */
export const parseSettings = (words: readonly string[]): Record<string, Json> => {
  // A field may have any name, `__proto__` too: REST says which it does not know.
  const settings = new Map<string, Json>();
  for (const word of words) {
    const { key, value } = splitPair(word, "a setting like numReplicas=3");
    const [field = key, ...rest] = key.split(".");
    if (rest.length === 0) settings.set(field, jsonOrText(value));
    else
      settings.set(field, {
        ...(settings.get(field) as Record<string, Json> | undefined),
        [rest.join(".")]: field === "env" ? value : jsonOrText(value),
      });
  }
  return Object.fromEntries(settings);
};

const jsonOrText = (text: string): Json => {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return text;
  }
};

const splitPair = (word: string, wanted: string): { readonly key: string; readonly value: string } => {
  const at = word.indexOf("=");
  if (at < 1) throw usage(`"${word}" is not ${wanted}.`);
  return { key: word.slice(0, at), value: word.slice(at + 1) };
};

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `30s` → 30000; a bare number is seconds. */
export const parseDuration = (text: string): number => {
  const [, digits, unit = "s"] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)?$/.exec(text) ?? [];
  if (digits === undefined) throw usage(`"${text}" is not a duration. Write 500ms, 30s, 5m or 2h.`);
  return Number(digits) * UNITS[unit]!;
};

export const parsePort = (text: string): number => {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > 65_535)
    throw usage(`"${text}" is not a port. Ports are 0 to 65535; 0 takes a free one.`);
  return port;
};

export const parseCount = (text: string): number => {
  if (!/^\d+$/.test(text)) throw usage(`"${text}" is not a whole number.`);
  return Number(text);
};
