/**
 * Handles inside a replica's code: a router of their own, opened by their first call. A file apart from replica.ts, because most
 * replicas hold no handles and need not wait for what this loads (HTTP, the random generator) when they start.
 */
import { createSystemRandom } from "../adapters/system-random.ts";
import type { Meters } from "../core/metrics/meters.ts";
import type { AgentLink } from "../ports/agent-link.ts";
import type { Clock } from "../ports/clock.ts";
import type { Log } from "../ports/log.ts";
import { type ProcessRouter, startProcessRouter } from "./process-router.ts";

export interface ReplicaHandlesOptions {
  readonly instanceId: string;
  /** Actor name of the replica. */
  readonly peer: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly link: AgentLink;
  readonly meters: Meters;
}

export const openReplicaHandles = ({
  instanceId,
  peer,
  clock,
  log,
  link,
  meters,
}: ReplicaHandlesOptions): ProcessRouter =>
  startProcessRouter(
    { clock, log, random: createSystemRandom(), leader: () => link.leader(), meters },
    { instanceId, peer, kind: "replica", follow: "used" },
  );
