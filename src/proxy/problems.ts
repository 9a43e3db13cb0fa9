/**
 * Every answer that is no handler's: problem JSON (RFC 9457) with a stable code, a sentence and the request's id; never a stack.
 * `Retry-After` stands where trying again later is the right thing to do.
 */
import { ERROR_CODES, type ErrorCode, isErrorCode } from "../model/error-codes.ts";
import { RETRY_AFTER_SECONDS } from "../model/limits.ts";
import type { FlatHeaders, WireFailure } from "../model/wire.ts";

export interface ProblemAnswer {
  readonly status: number;
  readonly headers: string[];
  readonly body: Uint8Array;
}

export interface ProblemFacts {
  readonly requestId: string | undefined;
  /** `Not Found`: the title of a problem that has no code of its own. */
  readonly reasonOf: (status: number) => string;
}

/** A problem of the table. */
export const problemOf = (
  code: ErrorCode,
  detail: string,
  facts: ProblemFacts & { readonly headers?: FlatHeaders },
): ProblemAnswer => {
  const answer = problemOfFailure({ status: ERROR_CODES[code].status, code, message: detail }, facts);
  return facts.headers === undefined ? answer : { ...answer, headers: [...answer.headers, ...facts.headers] };
};

export function problemOfFailure(failure: WireFailure, { requestId, reasonOf }: ProblemFacts): ProblemAnswer {
  const { code, message, details } = failure;
  const status = failure.status >= 400 && failure.status <= 599 ? failure.status : 500;
  // An HttpError says it all with its status: RFC 9457 has a type for that.
  const isPlain = code === "http-error" || !isErrorCode(code);
  const problem = {
    type: isPlain ? "about:blank" : `urn:maitred:error:${code}`,
    title: isPlain ? reasonOf(status) : ERROR_CODES[code].meaning,
    status,
    detail: message,
    code,
    ...(requestId === undefined ? {} : { requestId }),
    ...(details === undefined || code === "http-error" ? {} : { details }),
  };
  const headers = ["content-type", "application/problem+json"];
  if (requestId !== undefined) headers.push("x-request-id", requestId);
  if (status === 503) headers.push("retry-after", String(RETRY_AFTER_SECONDS));
  return { status, headers, body: Buffer.from(JSON.stringify(problem, asJson)) };
}

/** The details of a user's error are any values that cross the wire; of those JSON refuses one kind. */
const asJson = (_key: string, value: unknown): unknown => (typeof value === "bigint" ? String(value) : value);
