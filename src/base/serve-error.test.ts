import { describe, expect, test } from "vitest";
import {
  fromErrorBody,
  HttpError,
  isHttpError,
  isServeError,
  messageOf,
  ServeError,
  toErrorBody,
} from "./serve-error.ts";

/** The module once more, as a second installed copy of the package would load it. */
const otherCopy = async (): Promise<typeof import("./serve-error.ts")> => {
  const specifier = "./serve-error.ts?copy=2";
  return import(/* @vite-ignore */ specifier);
};

describe("ServeError", () => {
  test("keeps code, message, details and cause, and is not retryable unless it says so", () => {
    const cause = new Error("disk full");
    const error = new ServeError("store-unavailable", "the store does not answer", { details: { path: "/x" }, cause });
    expect(error).toMatchObject({ code: "store-unavailable", message: "the store does not answer", retryable: false });
    expect(error.details).toEqual({ path: "/x" });
    expect(error.cause).toBe(cause);
    expect(new ServeError("queue-full", "", { retryable: true }).retryable).toBe(true);
  });

  test("is an Error that prints its name", () => {
    const error = new ServeError("internal", "no");
    expect(error).toBeInstanceOf(Error);
    expect(String(error)).toBe("ServeError: no");
    expect(Object.keys(error).sort()).toEqual(["code", "details", "retryable"]);
  });

  test("cannot be changed through its details, nor through the object they came from", () => {
    const details: Record<string, unknown> = { tag: "a" };
    const error = new ServeError("internal", "no", { details });
    details["tag"] = "b";
    expect(error.details).toEqual({ tag: "a" });
    expect(Object.isFrozen(error.details)).toBe(true);
  });

  test("of another copy of the package is recognised, by function and by instanceof", async () => {
    const other = await otherCopy();
    expect(other.ServeError).not.toBe(ServeError);
    const theirs: unknown = new other.HttpError(404);
    expect(isServeError(theirs)).toBe(true);
    expect(isHttpError(theirs)).toBe(true);
    expect(theirs instanceof ServeError).toBe(true);
    expect(theirs instanceof HttpError).toBe(true);
    expect(new other.ServeError("x", "") instanceof HttpError).toBe(false);
  });

  test("is told from what only looks like it", () => {
    for (const value of [undefined, null, "x", new Error("x"), { code: "x", message: "", details: {} }]) {
      expect(isServeError(value)).toBe(false);
      expect(value instanceof ServeError).toBe(false);
    }
  });

  test("leaves instanceof of a user's subclass alone", () => {
    class Unpaid extends ServeError {}
    expect(new Unpaid("unpaid", "pay first")).toBeInstanceOf(Unpaid);
    expect(new Unpaid("unpaid", "pay first")).toBeInstanceOf(ServeError);
    expect(new ServeError("unpaid", "pay first")).not.toBeInstanceOf(Unpaid);
  });
});

describe("HttpError", () => {
  test("carries a status and a detail under one code", () => {
    const error = new HttpError(409, "already booked");
    expect(error).toMatchObject({
      code: "http-error",
      status: 409,
      detail: "already booked",
      message: "already booked",
    });
    expect(String(error)).toBe("HttpError: already booked");
    expect(new HttpError(404)).toMatchObject({ detail: "", message: "HTTP 404" });
  });

  test.each([200, 302, 399, 600, 404.5, Number.NaN, "404" as unknown as number])("refuses the status %s", (status) => {
    expect(() => new HttpError(status)).toThrow(/status must be a whole number from 400 to 599/);
  });
});

describe("an error across a process border", () => {
  test("comes back with everything but its stack and cause", () => {
    const error = new ServeError("queue-full", "too many", { retryable: true, details: { waiting: 3 }, cause: "x" });
    const body = JSON.parse(JSON.stringify(toErrorBody(error)));
    expect(Object.keys(body).sort()).toEqual(["code", "details", "message", "retryable"]);
    const back = fromErrorBody(body);
    expect(toErrorBody(back)).toEqual(toErrorBody(error));
    expect(back.cause).toBeUndefined();
  });

  test("is an HttpError again when it was one", () => {
    const back = fromErrorBody(toErrorBody(new HttpError(422, "too short")));
    expect(isHttpError(back)).toBe(true);
    expect(back).toMatchObject({ status: 422, detail: "too short" });
  });

  test("that claims to be an HttpError with an impossible status is a plain one", () => {
    const back = fromErrorBody({ code: "http-error", message: "odd", details: { status: 20 } });
    expect(isHttpError(back)).toBe(false);
    expect(back).toMatchObject({ code: "http-error", message: "odd", retryable: false });
  });

  test("gets the code `internal` when it is none of ours", () => {
    expect(toErrorBody(new TypeError("x is not a function"))).toEqual({
      code: "internal",
      message: "x is not a function",
      retryable: false,
      details: {},
    });
  });
});

test("anything thrown has a sentence", () => {
  expect(messageOf("no")).toBe("no");
  expect(messageOf(undefined)).toBe("undefined");
  expect(messageOf(new RangeError())).toBe("RangeError");
  expect(messageOf(Object.create(null))).toBe("a value that cannot be printed was thrown");
  const unwilling = Object.defineProperty(new Error("x"), "message", {
    get: () => {
      throw new Error("no");
    },
  });
  expect(messageOf(unwilling)).toBe("a value that cannot be printed was thrown");
});
