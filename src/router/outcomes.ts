/** What a query's end says of the replica that had it: good, bad, or nothing; and how long it took, when that was the replica's doing. */
import type { OpenQuery } from "./open-query.ts";
import type { ReplicaHealth } from "./replica-health.ts";

const SERVER_ERROR = 500;

/**
 * To be called at the first sign of an answer, and again for a failure behind it. A failure of the server's own kind is bad, whoever made
 * it: when all replicas answer so, it is held against none.
 */
export function judgeAnswer(
  health: ReplicaHealth,
  query: OpenQuery,
  { status, now }: { readonly status: number; readonly now: number },
): void {
  const tookMs = query.hasReply || query.upload !== undefined ? undefined : now - sentAt(query);
  health.outcome(status < SERVER_ERROR ? "good" : "bad", tookMs);
}

/** A client that is slow to send, or that loses its patience early, says nothing about the replica. */
export function judgeLeft(
  health: ReplicaHealth,
  query: OpenQuery,
  { why, now }: { readonly why: "cancelled" | "deadline"; readonly now: number },
): void {
  if (query.upload?.isStarved === true) return;
  const isLate = why === "deadline" || (!query.hasReply && now - sentAt(query) > health.slowBeyondMs);
  if (isLate) health.outcome("bad", undefined);
}

const sentAt = ({ deadline, timeoutMs }: OpenQuery): number => deadline - timeoutMs;
