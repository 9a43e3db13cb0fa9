/**
 * Keeps settled goals for a bounded time and number: an hour, or less when there are very many, but never less than clients re-send
 * their ids. A goal outlives the ids that share its outcome.
 */
import { GOAL_KEEP_MS, GOAL_RESEND_MS, MAX_GOALS, MAX_ROWS_PER_STEP } from "../model/limits.ts";
import type { Draft } from "./draft.ts";

export const forgetGoals = (draft: Draft): void => {
  const { view, now } = draft;
  const settled = view.settledGoals();
  let surplus = settled.size - MAX_GOALS;
  let rows = 0;
  for (const id of settled) {
    const record = view.goal(id);
    if (record === undefined) continue;
    const keepMs = surplus > 0 ? GOAL_RESEND_MS : GOAL_KEEP_MS;
    const ageMs = now.timestamp - (record.settledAt ?? now.timestamp);
    if (ageMs < keepMs) {
      draft.wakeAt("goals", now.instant + keepMs - ageMs);
      return;
    }
    if (view.pendingAliasesOf(id).size > 0) continue;
    if (rows >= MAX_ROWS_PER_STEP || !draft.hasRoom(1)) {
      draft.postpone("goals");
      return;
    }
    draft.delete("goal", id);
    rows += 1;
    surplus -= 1;
  }
};
