/**
 * Checks that stay on in production. A failed one is a bug in maitred, never a mistake of its user: those get their own codes.
 */
import { ServeError } from "./serve-error.ts";

/** @param sentence what must hold, as a statement: "a picker never names a replica that it has not got". */
export function assert(condition: unknown, sentence: string): asserts condition {
  if (!condition) throw new ServeError("internal", `this should hold and does not: ${sentence}`);
}

/** Ends a `switch` over a union: the compiler refuses it while a member is not handled. */
export function assertNever(value: never): never {
  throw new ServeError("internal", `a value that no type allows: ${describe(value)}`);
}

function describe(value: unknown): string {
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return String(value);
  }
}
