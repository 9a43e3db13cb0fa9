/**
 * Results as bytes: a MessagePack value for handles, JSON for HTTP. What cannot be sent is the handler's mistake, not its caller's.
 * As with what a handler throws (failures.ts), callers of handles read the reason, clients of HTTP only what kind of reason it is: the
 * text of a `toJSON` that threw is the `cause`, which goes to the replica's log.
 */
import { isServeError, messageOf, ServeError } from "../base/serve-error.ts";
import { encodeValue } from "../core/wire/values.ts";

/**
 * For handles.
 * @throws ServeError `result-invalid`, or `handler-failed` when code of the value threw: that text stays private where a query that began
 *   over HTTP fails by it.
 */
export function encodeResult(value: unknown): Uint8Array {
  try {
    return encodeValue(value);
  } catch (error) {
    if (isServeError(error)) throw invalid(error.message, error);
    throw new ServeError("handler-failed", `${CANNOT_BE_SENT} a toJSON or a getter of it threw: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/**
 * For HTTP.
 * @throws ServeError `result-invalid`
 */
export function jsonText(value: unknown): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch (error) {
    throw invalid(`${kindOfFailure(error)}. ${CURE}`, error);
  }
  if (text === undefined) throw invalid(`JSON has no word for ${nameOf(value)}. ${CURE}`, undefined);
  return text;
}

const CANNOT_BE_SENT = "the handler's result cannot be sent:";
const CURE = "Return JSON values, a string, bytes or a Response.";

/** What V8 says of its own is known; whatever else comes out of `JSON.stringify` is from code of the value. */
function kindOfFailure(error: unknown): string {
  const text = messageOf(error);
  if (error instanceof TypeError && text.startsWith("Converting circular structure")) return "it refers to itself";
  if (error instanceof TypeError && text.startsWith("Do not know how to serialize a BigInt")) {
    return "it holds a BigInt, which JSON has no word for";
  }
  if (error instanceof RangeError && /^(Maximum call stack|Invalid string length)/.test(text))
    return "it is nested too deep or too large for JSON";
  return "a toJSON or a getter of it threw; the replica's log has the reason under the request id";
}

const nameOf = (value: unknown): string => {
  if (value === undefined) return "undefined";
  return typeof value === "object" ? "what its toJSON returned" : `a ${typeof value}`;
};

const invalid = (why: string, cause: unknown): ServeError =>
  new ServeError("result-invalid", `${CANNOT_BE_SENT} ${why}`, { cause });
