/**
 * Problem JSON (RFC 9457) for REST: one sentence a problem, all problems of a body together, with paths and a cure where one is known.
 * Promises that no stack and no internal message leaves the process.
 */
import type { z } from "zod";
import { suggestion } from "../base/did-you-mean.ts";
import { isServeError, ServeError } from "../base/serve-error.ts";
import { ERROR_CODES, type ErrorCode, isErrorCode } from "../model/error-codes.ts";
import { MAX_EXCERPT_CHARS, MAX_SHOWN_ISSUES } from "../model/limits.ts";
import { inRestWords } from "./rest-words.ts";

export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  /** In the words of REST: `PUT /v1/backends/{tag}`. */
  readonly detail: string;
  /** The same in the words of the client library, whose errors have it. Absent when there is no difference. */
  readonly message?: string;
  readonly code: string;
  readonly retryable: boolean;
  readonly details?: Readonly<Record<string, unknown>>;
}

export const PROBLEM_TYPE = "application/problem+json";

/** What somebody sent, for a sentence: its beginning, when it is long. */
export const excerpt = (text: string): string =>
  text.length <= MAX_EXCERPT_CHARS ? text : `${text.slice(0, MAX_EXCERPT_CHARS)}…`;

/** `subject` starts the sentence of errors that do not name their thing themselves. */
export const problemOf = (error: unknown, subject?: string): Problem => {
  if (!isServeError(error)) {
    return problem("internal", "maitred hit a bug while it answered; the controller's log has the details.", {});
  }
  const message = SUBJECTLESS in error && subject !== undefined ? `${subject}: ${error.message}` : error.message;
  return problem(error.code, message, error.details);
};

const SUBJECTLESS = Symbol("subjectless");

const problem = (code: string, message: string, details: Readonly<Record<string, unknown>>): Problem => {
  const info = isErrorCode(code) ? ERROR_CODES[code] : ERROR_CODES.internal;
  const detail = inRestWords({ code, message });
  return {
    type: `urn:maitred:error:${code}`,
    title: info.meaning,
    status: info.status,
    detail,
    ...(detail === message ? {} : { message }),
    code,
    retryable: info.retryable,
    ...(Object.keys(details).length === 0 ? {} : { details }),
  };
};

/** All problems of one body as one error: `numReplicas must be …; maxSurge must …`. */
export const schemaError = (error: z.core.$ZodError, schema: z.core.$ZodType): ServeError => {
  const found = error.issues.slice(0, MAX_SHOWN_ISSUES).flatMap((issue) => sentencesOf(issue, schema));
  const issues = found.slice(0, MAX_SHOWN_ISSUES);
  if (countOf(error.issues) > issues.length) issues.push(`and ${countOf(error.issues) - issues.length} more problems`);
  return Object.assign(
    new ServeError(codeOf(error.issues), `${issues.join("; ").replace(/([^?])$/, "$1.")}`, { details: { issues } }),
    {
      [SUBJECTLESS]: true,
    },
  );
};

const countOf = (issues: readonly z.core.$ZodIssue[]): number =>
  issues.reduce((sum, issue) => sum + (issue.code === "unrecognized_keys" ? issue.keys.length : 1), 0);

/** The code that all issues name themselves, or the one for configurations. */
const codeOf = (issues: readonly z.core.$ZodIssue[]): ErrorCode => {
  const rules = issues.flatMap(rulesOf);
  const codes = rules.map((rule): unknown => (rule.code === "custom" ? rule.params?.["code"] : undefined));
  const [first] = codes;
  const isCommon = typeof first === "string" && isErrorCode(first) && codes.every((code) => code === first);
  return isCommon ? first : "config-invalid";
};

/** Of a key in a record those that it breaks. */
const rulesOf = (issue: z.core.$ZodIssue): readonly z.core.$ZodIssue[] =>
  issue.code === "invalid_key" ? issue.issues : [issue];

const sentencesOf = (issue: z.core.$ZodIssue, schema: z.core.$ZodType): readonly string[] => {
  // `config` is where REST keeps them; to the user they are the fields of the backend.
  const path = issue.path
    .map((step) => excerpt(String(step)))
    .join(".")
    .replace(/^config\./, "");
  switch (issue.code) {
    case "unrecognized_keys": {
      const known = keysAt(schema, issue.path);
      const at = path === "" || path === "config" ? "" : `${path}.`;
      return issue.keys.slice(0, MAX_SHOWN_ISSUES).map((key, index, { length }) => {
        const near = suggestion(excerpt(key), known);
        // One list serves all unknown keys of a place.
        const list = index === length - 1 && known.length > 0 ? ` Keys are: ${known.join(", ")}` : "";
        return `unknown key "${at}${excerpt(key)}"${near === "" && list === "" ? "" : "."}${near}${list}`;
      });
    }
    case "invalid_key":
      return [`${path} is a name that ${rulesOf(issue)[0]?.message}`];
    case "invalid_type":
      return [
        `${path || "the body"} must be ${articled(issue.expected)}, got ${shown(issue.input)}${cure(issue.expected, issue.input)}`,
      ];
    case "invalid_value":
      return [
        `${path} must be one of ${issue.values.map((value) => JSON.stringify(value)).join(", ")}, got ${shown(issue.input)}`,
      ];
    default:
      return [
        `${path === "" ? "" : `${path} `}${issue.message}${issue.input === undefined || path === "" ? "" : `, got ${shown(issue.input)}`}`,
      ];
  }
};

const articled = (type: string): string =>
  type === "int"
    ? "a whole number"
    : type === "record"
      ? "an object"
      : /^[aeiou]/.test(type)
        ? `an ${type}`
        : `a ${type}`;

const shown = (value: unknown): string => {
  if (value === undefined || value === null) return value === null ? "null" : "nothing";
  return `${excerpt(shownValue(value))} (${Array.isArray(value) ? "array" : typeof value})`;
};

/** NaN has no JSON; of large values only the beginning is wanted. */
const shownValue = (value: unknown): string =>
  typeof value === "number" ? String(value) : (JSON.stringify(value) ?? String(value));

const cure = (expected: string, input: unknown): string =>
  (expected === "number" || expected === "int") &&
  typeof input === "string" &&
  input.trim() !== "" &&
  Number.isFinite(Number(input))
    ? ": remove the quotes"
    : "";

/** Known keys of the object at `path` in a schema; follows objects, records and wrappers only. */
const keysAt = (schema: z.core.$ZodType, path: readonly PropertyKey[]): readonly string[] => {
  let current: unknown = schema;
  for (const step of path) {
    const node = unwrap(current);
    current = node?.shape?.[String(step)] ?? node?.def?.valueType;
  }
  return Object.keys(unwrap(current)?.shape ?? {});
};

interface SchemaNode {
  readonly shape?: Readonly<Record<string, unknown>>;
  readonly def?: { readonly innerType?: unknown; readonly valueType?: unknown };
}

const unwrap = (schema: unknown): SchemaNode | undefined => {
  let node = schema as SchemaNode | undefined;
  while (node !== undefined && node.shape === undefined && node.def?.innerType !== undefined)
    node = node.def.innerType as SchemaNode;
  return node;
};
