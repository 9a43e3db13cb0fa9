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
