/**
 * What was thrown while a query ran, as the failure that its caller gets. Over HTTP nobody learns more than the error says on purpose:
 * the message of an unknown throw stays in the replica's log, under the request id. Through handles the message passes, so that
 * callers, who are code of the same instance, read what the ancestor's traceback told them. A stack passes never.
 */
import { isHttpError, isServeError, messageOf } from "../base/serve-error.ts";
import { ERROR_CODES, isErrorCode } from "../model/error-codes.ts";
import type { WireFailure } from "../model/wire.ts";

export interface FailedQuery {
  readonly requestId: string;
  readonly backendTag: string;
  /** Who reads the failure. */
  readonly caller: "http" | "handle";
}

/** Failures of code, ours or the user's: their messages may hold anything. */
const PRIVATE_CODES: ReadonlySet<string> = new Set(["handler-failed", "internal"]);

export function failureOf(thrown: unknown, query: FailedQuery): WireFailure {
  if (isHttpError(thrown)) {
    const { status, code, message, details } = thrown;
    return { status, code, message, details };
  }
  if (isServeError(thrown) && !(query.caller === "http" && PRIVATE_CODES.has(thrown.code))) {
    const { code, message, details } = thrown;
    const status = isErrorCode(code) ? ERROR_CODES[code].status : ERROR_CODES["handler-failed"].status;
    return Object.keys(details).length === 0 ? { status, code, message } : { status, code, message, details };
  }
  const { status } = ERROR_CODES["handler-failed"];
  const message =
    query.caller === "http"
      ? `the handler threw; request id ${query.requestId}.`
      : `backend "${query.backendTag}": the handler threw: ${messageOf(thrown)}`;
  return { status, code: "handler-failed", message };
}

/** Whether it is a mistake of the code behind the query, whose author wants to see its stack. */
export function isForLog(thrown: unknown): boolean {
  if (isHttpError(thrown)) return false;
  if (!isServeError(thrown)) return true;
  return !isErrorCode(thrown.code) || ERROR_CODES[thrown.code].status === ERROR_CODES["handler-failed"].status;
}
