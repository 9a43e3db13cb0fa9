/**
 * Log fields as bounded JSON without secrets. Texts, lists and depth are cut, an error becomes its code and message, and whatever
 * is named like a secret is replaced; numbers and flags stay (`tokens: 512` is a count). The values of `env` are never shown. What user code throws is logged
 * too, and may be made so that asking it anything throws: logging does not.
 */
import { isServeError, messageOf, textOf } from "../base/serve-error.ts";
import { MAX_LOG_DEPTH, MAX_LOG_ITEMS, MAX_LOG_TEXT_LENGTH } from "../model/limits.ts";
import type { LogFields } from "../ports/log.ts";

const REDACTED = "[redacted]";
const SECRET_NAME = /token|secret|passw(or)?d|passphrase|authorization|cookie|credential|(api|private|access)[-_]?key/i;
const BEARER = /\b(bearer|basic)\s+[\w.~+/=-]+/gi;
/** Names that the line itself uses. */
const OWN_NAMES: ReadonlySet<string> = new Set(["level", "time", "event"]);

export function toLogFields(fields: LogFields): LogFields {
  const entries = Object.entries(fields).map(([name, value]) => [
    OWN_NAMES.has(name) ? `${name}_` : name,
    clean(name, value, MAX_LOG_DEPTH),
  ]);
  return Object.fromEntries(entries);
}

function clean(name: string, value: unknown, depth: number): unknown {
  try {
    return cleanValue(name, value, depth);
  } catch {
    return "[cannot be printed]";
  }
}

function cleanValue(name: string, value: unknown, depth: number): unknown {
  if (typeof value === "number" || typeof value === "boolean" || value === null || value === undefined) return value;
  if (SECRET_NAME.test(name)) return REDACTED;
  if (typeof value === "string") return cleanText(value);
  if (typeof value !== "object") return cleanText(String(value));
  if (depth === 0) return "[deeper]";
  if (value instanceof Error) return cleanError(value, depth);
  if (value instanceof Date) return value.toJSON();
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  return Array.isArray(value) ? cleanList(name, value, depth) : cleanObject(name, value, depth);
}

function cleanText(text: string): string {
  const plain = text.replace(BEARER, `$1 ${REDACTED}`);
  if (plain.length <= MAX_LOG_TEXT_LENGTH) return plain;
  return `${plain.slice(0, MAX_LOG_TEXT_LENGTH)}… (${plain.length} characters)`;
}

/** Of our own errors code and sentence say it all; of any other error the stack is what finds the bug. */
function cleanError(error: Error, depth: number): unknown {
  const { cause } = error;
  const known = isServeError(error)
    ? { code: error.code }
    : { name: textOf(error, "name"), stack: cleanText(textOf(error, "stack") ?? "") };
  return {
    ...known,
    message: cleanText(messageOf(error)),
    ...(cause === undefined ? {} : { cause: clean("cause", cause, depth - 1) }),
  };
}

function cleanList(name: string, list: readonly unknown[], depth: number): readonly unknown[] {
  const items = list.slice(0, MAX_LOG_ITEMS).map((item) => clean(name, item, depth - 1));
  return list.length <= MAX_LOG_ITEMS ? items : [...items, `… (${list.length} items)`];
}

function cleanObject(name: string, object: object, depth: number): unknown {
  const entries = Object.entries(object);
  const shown = entries
    .slice(0, MAX_LOG_ITEMS)
    .map(([key, value]) => [key, name === "env" ? REDACTED : clean(key, value, depth - 1)]);
  if (entries.length > MAX_LOG_ITEMS) shown.push(["…", `${entries.length} fields`]);
  return Object.fromEntries(shown);
}
