/**
 * How much of a large answer may be on its way to its reader: a window that is small until the reader has taken some. It is then wide
 * while a replica has few queries of this router, so that the processes do not wait for each other's credit, and narrower for each of
 * many, so that slow readers do not cost more together than FLOW_BUDGET_BYTES, or FLOW_WINDOW_BYTES each.
 */
import { FLOW_BUDGET_BYTES, FLOW_WINDOW_BYTES, WIDE_WINDOW_BYTES } from "../model/limits.ts";

/** The part of a query that this is about. */
export interface FlowingQuery {
  readonly isShadow: boolean;
  /** Bytes of the answer that may be on their way. */
  window: number;
  /** Bytes of it that were used up and not yet told to the replica. */
  unreported: number;
}

/**
 * The reader has used so many bytes.
 * @param sharers queries that the replica has of this router.
 * @returns what the replica may send more; 0: nothing for now.
 */
export function takeConsumed(query: FlowingQuery, bytes: number, sharers: number): number {
  query.unreported += bytes;
  // Not each part: half a window keeps the replica sending and halves nothing.
  if (query.unreported < query.window / 2) return 0;
  // 1 MiB for each of up to four, 512 KiB for each of eight, 256 KiB for each of sixteen and more.
  const share = Math.min(WIDE_WINDOW_BYTES, Math.max(FLOW_WINDOW_BYTES, Math.floor(FLOW_BUDGET_BYTES / sharers)));
  const wanted = query.isShadow ? FLOW_WINDOW_BYTES : share;
  // A window that is too wide now shrinks by what was used of it.
  const credit = Math.max(0, query.unreported + wanted - query.window);
  query.window += credit - query.unreported;
  query.unreported = 0;
  return credit;
}
