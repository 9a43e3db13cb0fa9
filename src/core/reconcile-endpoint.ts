/**
 * Looks at one endpoint, or at one that is gone: publishes what routers do not know yet, and settles its goal when they all do.
 */
import type { EndpointTag } from "../model/ids.ts";
import { publishEndpoint } from "./closures.ts";
import type { Draft } from "./draft.ts";
import { settleGoal } from "./goals.ts";
import { judgeEndpoint } from "./judge-goals.ts";

export const reconcileEndpoint = (draft: Draft, tag: EndpointTag): void => {
  draft.explain(`endpoint/${tag}`, undefined);
  const state = publishEndpoint(draft, tag);
  const key = `endpoint/${tag}` as const;
  const goals = [...draft.view.pendingGoalsOf(key)];
  // What is on its way out has been applied by nobody; the loop looks again when it is out.
  if (goals.length === 0 || state !== "current") return;

  const verdict = judgeEndpoint(draft, tag, draft.now.instant);
  if (verdict.kind === "pending") {
    if (verdict.again !== undefined) draft.wakeAt(key, verdict.again);
    if (verdict.laggards.length > 0)
      draft.explain(key, `it waits until ${verdict.laggards.join(", ")} has applied it.`);
    return;
  }
  if (verdict.kind === "failed") return;
  if (!draft.hasRoom(goals.length)) {
    draft.postpone(key);
    return;
  }
  const laggards = verdict.laggards.length === 0 ? undefined : verdict.laggards;
  for (const goal of goals) settleGoal(draft, goal, { state: "reached", laggards });
};
