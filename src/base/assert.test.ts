import { expect, test } from "vitest";
import { assert, assertNever } from "./assert.ts";

test("an assertion that holds does nothing; one that fails throws its sentence as a bug", () => {
  assert(true, "never seen");
  expect(() => assert(0, "a lease has an owner")).toThrow(
    expect.objectContaining({ code: "internal", message: expect.stringContaining("a lease has an owner") }),
  );
});

test("a value outside its union is named, also when it is not JSON", () => {
  expect(() => assertNever({ kind: "odd" } as never)).toThrow(/\{"kind":"odd"\}/);
  expect(() => assertNever(undefined as never)).toThrow(/undefined/);
  expect(() => assertNever(1n as never)).toThrow(/1/);
});
