/** Results as bytes: a MessagePack value for handles, JSON for HTTP. What cannot be sent is the handler's mistake, not its caller's. */
import { isServeError, messageOf, ServeError } from "../base/serve-error.ts";
import { encodeValue } from "../core/wire/values.ts";

/** @throws ServeError `result-invalid` */
export function encodeResult(value: unknown): Uint8Array {
  try {
    return encodeValue(value);
  } catch (error) {
    throw invalid(isServeError(error) ? error.message : messageOf(error), error);
  }
}

/** @throws ServeError `result-invalid` */
export function jsonText(value: unknown): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch (error) {
    throw invalid(`JSON.stringify: ${messageOf(error)}`, error);
  }
  if (text === undefined) throw invalid(`it is a ${typeof value}, which JSON has no word for`, undefined);
  return text;
}

const invalid = (why: string, cause: unknown): ServeError =>
  new ServeError("result-invalid", `the handler's result cannot be sent: ${why}`, { cause });
