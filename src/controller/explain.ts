/**
 * The last reasons for a thing: what the controller decided about it, and for an actor also what its agent said of it. A goal is explained
 * by what it is about.
 */
import { type SubjectKey, subjectKey } from "../core/indexes.ts";
import type { View } from "../core/view.ts";
import type { ActorName, GoalId } from "../model/ids.ts";
import type { Reasons } from "./memory.ts";

export interface Explained {
  readonly target: string;
  readonly reason: string;
  readonly timestamp: string;
}

/** @param target a tag, actor name or goal id; nothing known of it gives an empty list. */
export const explain = (
  known: { readonly view: View; readonly reasons: Reasons },
  target: string,
): readonly Explained[] => {
  const keys = new Set([`backend/${target}`, `endpoint/${target}`, target, ...relatedTo(known.view, target)]);
  const decided = [...keys].flatMap((key) => {
    const last = known.reasons.last(key);
    return last === undefined ? [] : [explained(key, last.reason, last.timestamp)];
  });
  const status = known.view.status(target as ActorName);
  const said = [status?.healthReason, status?.error?.message].filter((reason) => reason !== undefined);
  return [...said.map((reason) => explained(target, reason, status?.startedAt ?? 0)), ...decided];
};

const relatedTo = (view: View, target: string): readonly (SubjectKey | string)[] => {
  const spec = view.assignment(target as ActorName)?.spec;
  const goal = view.goal(target as GoalId);
  return [
    ...(spec === undefined ? [] : [spec.kind === "replica" ? `backend/${spec.backend}` : "proxies"]),
    ...(goal === undefined ? [] : [subjectKey(goal.subject)]),
  ];
};

const explained = (target: string, reason: string, timestamp: number): Explained => ({
  target,
  reason,
  timestamp: new Date(timestamp).toISOString(),
});
