/** What applying a call answers: the goal that now stands for it, or why it was refused and nothing was changed. */
import type { ErrorBody, ErrorCode } from "../../model/error-codes.ts";

export type CallOutcome = { readonly kind: "goal" } | { readonly kind: "refused"; readonly error: ErrorBody };

export const ACCEPTED: CallOutcome = { kind: "goal" };

export const refuse = (code: ErrorCode, message: string, details?: Readonly<Record<string, unknown>>): CallOutcome => ({
  kind: "refused",
  error: { code, message, ...(details === undefined ? {} : { details }) },
});

/** All problems of one thing in one refusal, each a sentence about it. */
export const refuseAll = (code: ErrorCode, subject: string, problems: readonly string[]): CallOutcome =>
  refuse(code, `${subject}: ${problems.join(" ")}`, { problems });

/** `"a"`, `"a" and "b"`, `"a", "b" and 3 others`. */
export const listed = (names: readonly string[]): string => {
  const quoted = names.map((name) => JSON.stringify(name));
  if (quoted.length <= 3)
    return quoted.length < 2 ? quoted.join("") : `${quoted.slice(0, -1).join(", ")} and ${quoted.at(-1)}`;
  return `${quoted.slice(0, 2).join(", ")} and ${quoted.length - 2} others`;
};
