/** Calls that must fail. */
import { expect } from "vitest";
import { ServeError } from "../../src/index.ts";

/** The ServeError of this code that the call fails with. */
export const expectError = async (call: Promise<unknown>, code: string): Promise<ServeError> => {
  const error = await call.then(
    (value) => new Error(`the call succeeded with ${JSON.stringify(value)}`),
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof ServeError)) throw error;
  expect({ code: error.code, message: error.message }).toEqual({ code, message: error.message });
  return error;
};

const REPEATS = 50;

/** Repeats a call (one goal id each time) that no controller has answered in its time. */
export const repeatUnlessAnswered = async <T>(call: () => Promise<T>): Promise<T> => {
  for (let left = REPEATS; ; left -= 1) {
    try {
      return await call();
    } catch (error) {
      if (left === 0 || !(error instanceof ServeError) || error.code !== "controller-unavailable") throw error;
    }
  }
};
