/**
 * Applies one call to a draft: the goal that stands for it, or the reason why not (then the draft is as it was). The goal id comes first:
 * an id that is known is that goal, whatever happened since, so that a call may be sent any number of times.
 */
import { assertNever } from "../base/assert.ts";
import type { Call } from "../model/calls.ts";
import { createBackend, deleteBackend, restartBackend, updateBackendConfig } from "./calls/backend-calls.ts";
import { deploy } from "./calls/deploy.ts";
import { createEndpoint, deleteEndpoint, setTraffic, shadowTraffic } from "./calls/endpoint-calls.ts";
import { shutdownInstance, stopInstance } from "./calls/instance-calls.ts";
import { ACCEPTED, type CallOutcome, refuse } from "./calls/outcome.ts";
import { isSameValue } from "./canonical.ts";
import type { Draft } from "./draft.ts";
import { callIdentity } from "./goals.ts";

export const applyCall = (draft: Draft, call: Call): CallOutcome => {
  const known = draft.view.goal(call.goalId);
  if (known !== undefined) {
    if (isSameValue(known.call, callIdentity(call))) return ACCEPTED;
    return refuse(
      "goal-id-reused",
      `goal id "${call.goalId}" belongs to another call (${nameOfCall(known.call)}). Draw a new id for each new call.`,
      { goalId: call.goalId },
    );
  }
  const phase = draft.view.instance()?.phase ?? "running";
  if (phase !== "running" && call.kind !== "stop" && call.kind !== "shutdown") {
    return refuse("instance-stopping", `the instance is ${phase}: ${call.kind} is not possible. ${CURE[phase]}`, {
      phase,
    });
  }
  const mark = draft.mark();
  const outcome = dispatch(draft, call);
  if (outcome.kind === "refused") draft.rollback(mark);
  return outcome;
};

const CURE = {
  stopping: "Wait until it has stopped, then start it again.",
  stopped: "Start it first.",
  erasing: "Create a new instance.",
} as const;

const dispatch = (draft: Draft, call: Call): CallOutcome => {
  switch (call.kind) {
    case "createBackend":
      return createBackend(draft, call);
    case "updateBackendConfig":
      return updateBackendConfig(draft, call);
    case "restartBackend":
      return restartBackend(draft, call);
    case "deleteBackend":
      return deleteBackend(draft, call);
    case "createEndpoint":
      return createEndpoint(draft, call);
    case "deleteEndpoint":
      return deleteEndpoint(draft, call);
    case "setTraffic":
      return setTraffic(draft, call);
    case "shadowTraffic":
      return shadowTraffic(draft, call);
    case "deploy":
      return deploy(draft, call);
    case "stop":
      return stopInstance(draft, call);
    case "shutdown":
      return shutdownInstance(draft, call);
    default:
      return assertNever(call);
  }
};

const nameOfCall = (identity: unknown): string => {
  const { kind, tag, app } = identity as { readonly kind?: string; readonly tag?: string; readonly app?: string };
  const name = tag ?? app ?? "";
  return name === "" ? String(kind) : `${kind} of "${name}"`;
};
