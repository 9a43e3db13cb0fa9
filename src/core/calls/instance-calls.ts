/**
 * `stop` and `shutdown`: they only set the phase, durably, before anything ends; the reconcilers do the rest, and whatever life finds
 * the phase goes on with it. `erasing` is the tombstone: nothing leads back from it.
 */
import type { Call } from "../../model/calls.ts";
import type { Draft } from "../draft.ts";
import { openAlias, openGoal, openReached } from "../goals.ts";
import { ACCEPTED, type CallOutcome, refuse } from "./outcome.ts";

type CallOf<K extends Call["kind"]> = Extract<Call, { readonly kind: K }>;

export const stopInstance = (draft: Draft, call: CallOf<"stop">): CallOutcome => {
  const instance = draft.view.instance();
  const subject = { kind: "instance", until: "stopped" } as const;
  switch (instance?.phase) {
    case "running":
      openGoal(draft, call, subject);
      draft.put("instance", "", { ...instance, phase: "stopping" });
      return ACCEPTED;
    case "stopping":
      return joinPending(draft, call);
    case "stopped":
      openReached(draft, call, subject);
      return ACCEPTED;
    default:
      return refuse("instance-stopping", "the instance is being erased: there is nothing left to stop.");
  }
};

export const shutdownInstance = (draft: Draft, call: CallOf<"shutdown">): CallOutcome => {
  const instance = draft.view.instance();
  if (instance?.phase === "erasing") return joinPending(draft, call);
  openGoal(draft, call, { kind: "instance", until: "erased" });
  if (instance !== undefined) draft.put("instance", "", { ...instance, phase: "erasing" });
  return ACCEPTED;
};

/** The same end is under way: this id shares its outcome. */
const joinPending = (draft: Draft, call: CallOf<"stop" | "shutdown">): CallOutcome => {
  const [pending] = draft.view.pendingGoalsOf("instance");
  const current = pending === undefined ? undefined : draft.view.goal(pending);
  if (current === undefined) {
    openGoal(draft, call, { kind: "instance", until: call.kind === "stop" ? "stopped" : "erased" });
  } else openAlias(draft, call, current);
  return ACCEPTED;
};
