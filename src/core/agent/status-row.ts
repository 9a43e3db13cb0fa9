/** The row that an agent writes of an actor, from what it knows. Pure. */
import type { ActorStatus } from "../../model/actor.ts";
import type { NodeName } from "../../model/ids.ts";
import { type ActorView, assignmentOf, replicaConfigOf, startedRevisionOf, stateOf } from "./actor-view.ts";

export interface Writer {
  readonly node: NodeName;
  /** Incarnation of the registration under which the row is written. */
  readonly nodeIncarnation: number;
}

/** Undefined when nothing is known of what it is: there is neither a record nor a file. */
export const statusOf = (view: ActorView, { node, nodeIncarnation }: Writer): ActorStatus | undefined => {
  const kind = (assignmentOf(view) ?? view.file?.assignment)?.spec.kind;
  if (kind === undefined) return undefined;
  const { life, report } = view;
  return {
    actor: view.actor,
    node,
    kind,
    state: stateOf(view),
    pid: life.kind === "up" ? life.process.pid : undefined,
    incarnation: view.file?.incarnation ?? 0,
    nodeIncarnation,
    address: report?.address,
    configRevision: report?.configRevision ?? 0,
    error: view.error,
    failedStarts: view.failedStarts,
    startedRevision: startedRevisionOf(view),
    offers: report?.offers,
    loadedDigest: report?.loadedDigest,
    ...healthOf(view),
    startedAt: view.file?.startedAt ?? 0,
  };
};

const healthOf = (view: ActorView): Pick<ActorStatus, "health" | "healthReason"> => {
  if (view.life.kind === "up" && view.life.isStalled) {
    const limitMs = replicaConfigOf(view)?.loopStallLimitMs;
    const healthReason = `it has not answered for loopStallLimitMs (${limitMs} ms): its event loop stands still, or the process is stopped`;
    return { health: "stalled", healthReason };
  }
  return { health: view.report?.health ?? "healthy", healthReason: view.report?.healthReason };
};
