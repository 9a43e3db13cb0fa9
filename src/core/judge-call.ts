/** What would become of a call if it were applied now. Nothing of it stays. */
import type { Call } from "../model/calls.ts";
import { applyCall } from "./apply-call.ts";
import type { CallOutcome } from "./calls/outcome.ts";
import type { World } from "./decide.ts";
import { Draft, type Now } from "./draft.ts";

/** `known`: the goal of its id is there, so that it has been applied. */
export const judgeCall = (world: World, call: Call, now: Now): CallOutcome | { readonly kind: "known" } => {
  const draft = new Draft(world, now);
  try {
    const outcome = applyCall(draft, call);
    return outcome.kind === "goal" && world.view.goal(call.goalId) !== undefined && draft.isEmpty()
      ? { kind: "known" }
      : outcome;
  } finally {
    draft.rollback(0);
  }
};
