/**
 * The one root of all errors that leave maitred, and the error that user code throws to choose an HTTP status.
 * Errors are recognised by a brand on `Symbol.for`, so an error made by another copy of the package in the same process is
 * still one of ours; `instanceof ServeError` and `instanceof HttpError` ask the same brand.
 * `toErrorBody` and `fromErrorBody` carry an error over a process border; a stack never crosses.
 */

const SERVE_ERROR = Symbol.for("maitred/ServeError");
const HTTP_ERROR = Symbol.for("maitred/HttpError");

/** The code of every `HttpError`. */
const HTTP_ERROR_CODE = "http-error";

export interface ServeErrorOptions {
  /** The same call may be sent again as it is. Default false. */
  readonly retryable?: boolean | undefined;
  /** Facts for programs: tags, numbers, ids. Must be JSON to cross a process border. Default none. */
  readonly details?: Readonly<Record<string, unknown>> | undefined;
  readonly cause?: unknown;
}

/**
 * What every call of maitred throws. `code` is stable (all codes: docs/errors.md); `message` is one or two sentences for people:
 * what happened, to which tag, what to do.
 */
export class ServeError extends Error {
  readonly code: string;
  readonly retryable: boolean;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: string, message: string, options: ServeErrorOptions = {}) {
    super(message, "cause" in options ? { cause: options.cause } : undefined);
    this.code = code;
    this.retryable = options.retryable === true;
    this.details = Object.freeze({ ...options.details });
  }

  // On the prototype, not as fields: they are facts about the class, and would show up in every printed error.
  static {
    Object.defineProperty(ServeError.prototype, "name", { value: "ServeError", configurable: true, writable: true });
    Object.defineProperty(ServeError.prototype, SERVE_ERROR, { value: true });
    askBrand(ServeError, SERVE_ERROR);
  }
}

/**
 * Thrown by user code: the query is answered with this status as problem JSON, `detail` in it.
 * @param status 400 to 599; anything else throws `result-invalid`.
 * @param detail shown to whoever sent the request. Default none.
 */
export class HttpError extends ServeError {
  readonly status: number;
  readonly detail: string;

  constructor(status: number, detail = "", options: { cause?: unknown } = {}) {
    if (!isErrorStatus(status)) {
      throw new ServeError(
        "result-invalid",
        `HttpError: status must be a whole number from 400 to 599, got ${String(status)}. Return a Response to answer with another status.`,
      );
    }
    super(HTTP_ERROR_CODE, detail === "" ? `HTTP ${status}` : detail, { ...options, details: { status, detail } });
    this.status = status;
    this.detail = detail;
  }

  static {
    Object.defineProperty(HttpError.prototype, "name", { value: "HttpError", configurable: true, writable: true });
    Object.defineProperty(HttpError.prototype, HTTP_ERROR, { value: true });
    askBrand(HttpError, HTTP_ERROR);
  }
}

export const isServeError = (value: unknown): value is ServeError => hasBrand(value, SERVE_ERROR);

export const isHttpError = (value: unknown): value is HttpError => hasBrand(value, HTTP_ERROR);

/** An error as it crosses a process border. */
export interface SerializedError {
  readonly code: string;
  readonly message: string;
  readonly retryable: boolean;
  readonly details: Readonly<Record<string, unknown>>;
}

/** Whatever was thrown, as data without a stack. What is not a `ServeError` is a bug and gets the code `internal`. */
export function toErrorBody(error: unknown): SerializedError {
  if (isServeError(error)) {
    return { code: error.code, message: error.message, retryable: error.retryable, details: error.details };
  }
  return { code: "internal", message: messageOf(error), retryable: false, details: {} };
}

/** The inverse of `toErrorBody`; an `HttpError` comes back as one. */
export function fromErrorBody(body: Pick<SerializedError, "code" | "message"> & Partial<SerializedError>): ServeError {
  const { code, message, retryable, details } = body;
  const status = details?.["status"];
  if (code === HTTP_ERROR_CODE && isErrorStatus(status)) {
    const detail = details?.["detail"];
    return new HttpError(status, typeof detail === "string" ? detail : "");
  }
  return new ServeError(code, message, { retryable, details });
}

/** The sentence of anything that was thrown; `throw "no"` is allowed in JavaScript. */
export function messageOf(thrown: unknown): string {
  try {
    if (!(thrown instanceof Error)) return String(thrown);
    if (thrown.message !== "") return String(thrown.message);
    // "Connection refused" of every address of a name comes so: no message of its own, one each inside.
    const inner: unknown = "errors" in thrown ? thrown.errors : undefined;
    if (!Array.isArray(inner) || inner.length === 0) return String(thrown.name);
    return inner.slice(0, MAX_INNER_MESSAGES).map(ownMessageOf).join("; ");
  } catch {
    return "a value that cannot be printed was thrown";
  }
}

/** More would not make the sentence clearer. */
const MAX_INNER_MESSAGES = 3;

/** Not of what is inside it: that may be itself. */
const ownMessageOf = (error: unknown): string => String(error instanceof Error ? error.message : error);

/** A text that a thrown value carries under `key`. Undefined also when asking for it throws, as a getter or a proxy may. */
export function textOf(thrown: unknown, key: "code" | "name" | "stack"): string | undefined {
  try {
    const value = typeof thrown === "object" && thrown !== null ? (thrown as Record<string, unknown>)[key] : undefined;
    return typeof value === "string" ? value : undefined;
  } catch {
    return undefined;
  }
}

const isErrorStatus = (status: unknown): status is number =>
  typeof status === "number" && Number.isInteger(status) && status >= 400 && status <= 599;

const hasBrand = (value: unknown, brand: symbol): boolean => {
  try {
    return typeof value === "object" && value !== null && (value as Record<symbol, unknown>)[brand] === true;
  } catch {
    // A proxy that answers nothing.
    return false;
  }
};

/** Makes `instanceof` ask the brand, for the class itself only: a user's subclass keeps the ordinary meaning. */
function askBrand(owner: object, brand: symbol): void {
  Object.defineProperty(owner, Symbol.hasInstance, {
    value(this: object, value: unknown): boolean {
      if (this === owner) return hasBrand(value, brand);
      return Function.prototype[Symbol.hasInstance].call(this, value);
    },
  });
}
