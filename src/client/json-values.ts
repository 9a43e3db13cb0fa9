/**
 * Values of a program as JSON, which is how they are saved. What JSON would drop or turn into something else in silence (NaN, a Map, a
 * function) is refused with its path; a member that is undefined is as good as absent.
 */
import { ServeError } from "../base/serve-error.ts";
import type { Json } from "../model/json.ts";
import { MAX_VALUE_DEPTH } from "../model/limits.ts";

/** `path` starts the sentence: `backend "iris": userConfig`; `cure` ends it. */
export const jsonOf = (value: unknown, { path, cure }: Omit<Place, "depth">): Json =>
  convert(value, { path, cure, depth: 0 });

/** The body of a call: each of its members is checked; what is no object at all is for REST to refuse. */
export const jsonBody = (body: unknown, subject: string): unknown =>
  isPlain(body)
    ? Object.fromEntries(
        Object.entries(body)
          .filter(([, member]) => member !== undefined)
          .map(([name, member]) => [
            name,
            jsonOf(member, { path: `${subject}: ${name}`, cure: "what is saved is JSON; pass JSON values" }),
          ]),
      )
    : body;

interface Place {
  readonly path: string;
  readonly cure: string;
  readonly depth: number;
}

const convert = (value: unknown, { path, cure, depth }: Place): Json => {
  if (value === null || typeof value === "string" || typeof value === "boolean") return value;
  if (typeof value === "number" && Number.isFinite(value)) return value;
  if (depth > MAX_VALUE_DEPTH) throw refused(path, `nested more than ${MAX_VALUE_DEPTH} levels deep`, cure);
  const inner = (step: string): Place => ({ path: `${path}${step}`, cure, depth: depth + 1 });
  if (Array.isArray(value)) return value.map((item, index) => convert(item, inner(`[${index}]`)));
  if (isPlain(value)) {
    const members = Object.entries(value).filter(([, item]) => item !== undefined);
    return Object.fromEntries(members.map(([key, item]) => [key, convert(item, inner(`.${key}`))]));
  }
  throw refused(path, described(value), cure);
};

const isPlain = (value: unknown): value is object => {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
};

/** Where a value is too deep its path is too long to read. */
const refused = (path: string, what: string, cure: string): ServeError =>
  new ServeError("config-invalid", `${path.slice(0, MAX_PATH_CHARS)} is ${what}: ${cure}.`);

const MAX_PATH_CHARS = 120;

const described = (value: unknown): string => {
  if (value === undefined) return "undefined";
  if (typeof value === "number") return String(value);
  return typeof value === "object" ? `a ${value?.constructor?.name ?? "object"}` : `a ${typeof value}`;
};
