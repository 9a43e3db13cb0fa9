/**
 * Power of two choices: of two replicas drawn at random the one with fewer queries in flight. Nearly as even as looking at all of
 * them, and routers that know nothing of each other do not all run to the same idle replica.
 * Pure. Replicas that cannot take a query are passed over; suspect ones count only when there is no other.
 */

export interface Candidate {
  /** Queries of this router that are there now. */
  readonly inFlight: number;
  readonly readiness: "ready" | "suspect" | "unready";
}

/** @param random uniform in [0, 1); asked only when there is a choice. */
export function chooseReplica<R extends Candidate>(replicas: readonly R[], random: () => number): R | undefined {
  const count = replicas.length;
  if (count === 0) return undefined;
  if (count === 1) return replicas[0]!.readiness === "unready" ? undefined : replicas[0];
  // One number for both: `pair` counts the ordered pairs of different replicas.
  const pair = Math.floor(random() * count * (count - 1));
  const first = pair % count;
  const second = (first + 1 + Math.floor(pair / count)) % count;
  const one = replicas[first]!;
  const other = replicas[second]!;
  if (one.readiness === "ready" && other.readiness === "ready") return one.inFlight <= other.inFlight ? one : other;
  if (one.readiness === "ready") return one;
  if (other.readiness === "ready") return other;
  return leastBusy(replicas, first, "ready") ?? leastBusy(replicas, first, "suspect");
}

function leastBusy<R extends Candidate>(
  replicas: readonly R[],
  start: number,
  readiness: Candidate["readiness"],
): R | undefined {
  let best: R | undefined;
  for (let step = 0; step < replicas.length; step += 1) {
    const replica = replicas[(start + step) % replicas.length]!;
    if (replica.readiness === readiness && (best === undefined || replica.inFlight < best.inFlight)) best = replica;
  }
  return best;
}
