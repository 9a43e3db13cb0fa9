/**
 * The order in which an agent ends its actors by itself: first the proxies finish what they have taken, then the replicas that they
 * needed for it. Pure: an order turns what is wanted of an actor into a drain, or leaves it alone.
 */
import type { Assignment } from "../../model/actor.ts";
import { type ActorView, assignmentOf, type Wanted } from "./actor-view.ts";

export interface EndingOrder {
  readonly drains: "proxies" | "all";
  /** No actor gets longer, whatever its own configuration says. */
  readonly mostMs: number;
}

/** Undefined = this actor's turn has not come. */
export const wantedAtEnd = (view: ActorView, { drains, mostMs }: EndingOrder): Wanted | undefined => {
  const assignment = assignmentOf(view);
  if (assignment === undefined) return undefined;
  const { spec, intent } = assignment;
  if (drains === "proxies" && spec.kind !== "proxy") return undefined;
  if (intent.kind === "kill") return undefined;
  const own =
    intent.kind === "drain"
      ? intent.timeoutMs
      : spec.kind === "replica"
        ? spec.config.gracefulShutdownTimeoutMs
        : mostMs;
  return { kind: "assigned", assignment: drain(assignment, Math.min(own, mostMs)) };
};

/** Whether such an order speaks of this actor. */
export const isOfKind = (view: ActorView, kinds: EndingOrder["drains"]): boolean =>
  kinds === "all" || view.file?.assignment.spec.kind === "proxy";

const drain = (assignment: Assignment, timeoutMs: number): Assignment => ({
  ...assignment,
  intent: { kind: "drain", timeoutMs },
});
