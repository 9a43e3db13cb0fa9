/** The bounds of routers, as model/limits.ts has those of everything else; imported from there. */

/** A query without a deadline of its own or its endpoint's. */
export const DEFAULT_QUERY_TIMEOUT_MS = 60_000;
/** Tick of the deadline wheel: deadlines are met to within one tick. */
export const DEADLINE_TICK_MS = 20;
/** Queries of a router that wait for a replica of one backend when the backend does not say (maxQueuedQueries). */
export const DEFAULT_MAX_QUEUED_QUERIES = 1_000;
/** Retries of a router are at most this share of its queries (plus RETRY_BUDGET_MIN a second). */
export const RETRY_BUDGET_SHARE = 0.2;
export const RETRY_BUDGET_MIN_PER_SECOND = 10;
/**
 * Times that one query is run again after the replica that had it was lost. One loss is bad luck; a query that has lost two is more
 * likely what ended them (it takes all the memory, say), and would go on to end the backend's others.
 */
export const MAX_RETRIES_PER_QUERY = 1;
/** A replica that cannot be reached, or is out of place, is left alone this long at first, doubling up to the second value. */
export const EJECT_MIN_MS = 100;
export const EJECT_MAX_MS = 5_000;
/** Replicas of one backend that may be ejected at a time by comparison: the others would have to bear more than twice their load. */
export const EJECT_MAX_SHARE = 0.5;
/** Weight of the newest outcome in a replica's share of bad ones: the last ten or so count. */
export const OUTCOME_GAIN = 0.1;
/**
 * How far the share of bad outcomes must lie above that of the siblings: six bad ones in a row from a good record. Replicas that all fail
 * half of the time differ by less (four standard deviations).
 */
export const EJECT_MARGIN = 0.45;
/**
 * Share of bad outcomes of the siblings from which on an ejection was none of comparison: whatever the ejected one's own share is, it lies
 * above theirs by less than half the margin. From a good record it is 15 bad ones in a row.
 */
export const ALL_BAD_SHARE = 1 - EJECT_MARGIN / 2;
/** Outcomes before a replica is compared. */
export const MIN_OUTCOMES = 5;
/** Good outcomes, one query at a time, before an ejected replica gets its share again; and bad ones before it is ejected again: one may happen to anybody. */
export const PROBES_TO_RECOVER = 3;
export const PROBES_TO_EJECT = 2;
/** Outcomes, nearly all good, after which earlier ejections do not make the next pause longer. */
export const EJECT_FORGIVE_AFTER = 100;
/** An answer is too slow beyond this many times what is typical for the siblings, and beyond the second value, below which nobody cares. */
export const SLOW_FACTOR = 5;
export const SLOW_MIN_MS = 50;
/** Step of the running median of a replica's times: a tenfold change is learnt in 25 answers, and noise moves it by a tenth. */
export const SLOW_LEARN_FACTOR = 1.1;
/** Timed answers before a replica's time is taken as a measure for others. */
export const MIN_TIMED = 16;
/** How often a router looks at replicas that have queries of it. */
export const HEALTH_TICK_MS = 250;
/** Looks without a sign of life, pings between them, before a replica is silent: more than a second. */
export const SILENT_TICKS = 4;
/** Stream ids of one connection, then a new one begins: a day at 10,000 queries a second, and still what engines call a small integer. */
export const MAX_STREAM_ID = 0x3fff_ffff;
/** Copies in flight of each router to one shadow backend; beyond it they are dropped and counted. */
export const MAX_SHADOWS_IN_FLIGHT = 256;
/** Bytes of shadows' answers that a router reads away in each window: 32 MB a second, a few hundredths of a core. */
export const SHADOW_BYTES_PER_WINDOW = 3_200_000;
export const SHADOW_WINDOW_MS = 100;
