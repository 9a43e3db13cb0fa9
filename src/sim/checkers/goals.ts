/**
 * A reached goal was true: at some moment since it was opened its subject was as wanted. For an endpoint: every proxy that is to run has
 * applied the policy, or was gone.
 */
import type { GoalRecord } from "../../model/records.ts";
import type { RouterSeat } from "../actors/router-seat.ts";
import { keyOf, recordOf } from "../store/sim-store.ts";
import type { World } from "../world.ts";
import { type Facts, isSameJson } from "./facts.ts";

const NAME = "goals";

interface Watched {
  wasTrue: boolean;
  /** Routers, by name, that have applied it or were gone. */
  readonly done: Set<string>;
}

export const checkGoals = (world: World, facts: Facts): void => {
  const pending = new Map<string, Watched>();
  /** Backends that had replicas before the present commit: one transaction may end a deletion and begin a creation. */
  let occupied = new Set<string>();

  const isTrue = ({ subject }: GoalRecord): boolean => {
    if (subject.kind === "backend") {
      return subject.until === "gone"
        ? facts.replicasOf(subject.tag).length === 0 || !occupied.has(subject.tag)
        : facts.isAsWanted(subject.tag, (replica) => facts.heardStatus(replica));
    }
    if (subject.kind === "instance") return facts.assignments().length === 0;
    return false;
  };

  const hasApplied = ({ router }: RouterSeat, { subject }: GoalRecord): boolean => {
    if (subject.kind !== "endpoint") return false;
    const { endpoints, learnt } = router.endpoints();
    const closure = endpoints.find((it) => it.tag === subject.tag);
    const record = facts.endpoint(subject.tag);
    if (record === undefined) return learnt && closure === undefined;
    return isSameJson([closure?.traffic, closure?.shadows], [record.traffic, record.shadows]);
  };

  const lookAtRouters = (seats: Iterable<RouterSeat>) => {
    for (const [id, watched] of pending) {
      const goal = facts.goal(id);
      if (goal?.subject.kind !== "endpoint") continue;
      for (const seat of seats) if (hasApplied(seat, goal)) watched.done.add(seat.name);
    }
  };

  const lookAtStore = () => {
    for (const [id, watched] of pending) {
      const goal = facts.goal(id);
      if (goal === undefined) continue;
      watched.wasTrue ||= isTrue(goal);
      if (goal.subject.kind !== "endpoint") continue;
      for (const proxy of facts.assignments()) {
        if (facts.status(proxy)?.state === "exited") watched.done.add(proxy.actor);
      }
    }
  };

  const judge = (goal: GoalRecord, watched: Watched | undefined) => {
    if (goal.aliasOf !== undefined) return;
    if (goal.subject.kind === "app") {
      const lacking = goal.subject.parts.filter((part) => (facts.goal(part)?.state ?? "reached") !== "reached");
      if (lacking.length > 0) world.violate(NAME, `${goal.id} is reached, and ${lacking.join(", ")} is not`);
      return;
    }
    if (goal.subject.kind !== "endpoint") {
      if (watched?.wasTrue !== true && !isTrue(goal)) world.violate(NAME, `${goal.id} is reached and never was true`);
      return;
    }
    if (watched === undefined) return;
    for (const { actor, spec, intent } of facts.assignments()) {
      if (spec.kind !== "proxy" || intent.kind !== "run" || watched.done.has(actor)) continue;
      world.violate(NAME, `${goal.id} (${goal.subject.until}) is reached, and ${actor} has never applied it`);
    }
  };

  world.on("applied", ({ seat }) => lookAtRouters([seat]));
  world.on("commit", ({ changes, before }) => {
    const opened: string[] = [];
    const reached: GoalRecord[] = [];
    for (const [index, change] of changes.entries()) {
      if (!keyOf(change).startsWith(world.keys.goals) || change.kind !== "put") continue;
      const goal = recordOf<GoalRecord>(change.entry);
      if (goal.state === "reached") reached.push(goal);
      else if (goal.state !== "pending") pending.delete(goal.id);
      else if (before[index] === undefined) opened.push(goal.id);
    }
    for (const id of opened) pending.set(id, { wasTrue: false, done: new Set() });
    lookAtStore();
    if (opened.length > 0) lookAtRouters(world.routers);
    for (const goal of reached) {
      judge(goal, pending.get(goal.id));
      pending.delete(goal.id);
    }
    occupied = new Set(facts.assignments().flatMap(({ spec }) => (spec.kind === "replica" ? [spec.backend] : [])));
  });
};
