/** Bounds of the store, on every implementation of it, each with the reason for its value. Units are in the names. */

/** etcd's default `--max-txn-ops`. */
export const MAX_TXN_OPS = 128;
/** Below etcd's default request limit of 1.5 MiB, so that a value with its key and frame still fits. */
export const MAX_VALUE_BYTES = 1_000_000;
/** Keys and values of one transaction together: what still fits etcd's default request limit of 1.5 MiB with every op's frame. */
export const MAX_TXN_BYTES = 1_500_000;
/** Revisions kept for watchers to resume from; one turn writes a few, so this is minutes of the busiest instance. */
export const MAX_LOG_REVISIONS = 5_000;
/** Bytes of kept revisions: large values push old revisions out before MAX_LOG_REVISIONS does. */
export const MAX_LOG_BYTES = 64_000_000;
/** How long SQLite itself may block the event loop on a busy file; beyond it we retry without blocking. */
export const STORE_BUSY_TIMEOUT_MS = 20;
/** Asynchronous retries of a busy transaction: 20 ms blocked + backoff, about 10 s together, longer than any live writer holds the lock. */
export const STORE_BUSY_RETRIES = 200;
/** Pause after a busy attempt, doubling from the first value to the second: one live writer is waited for briefly, a stopped one cheaply. */
export const STORE_BUSY_BACKOFF_MIN_MS = 2;
export const STORE_BUSY_BACKOFF_MAX_MS = 30;
/** Transactions that wait behind a busy file; a controller or agent has a handful under way. */
export const MAX_STORE_QUEUE = 10_000;
/** Once the file is free again, how long waiting transactions may run before other work of the process gets its turn. */
export const STORE_TURN_MS = 10;
/** Opening may block its process, which serves nobody yet, while another one creates or recovers the file. */
export const STORE_OPEN_TIMEOUT_MS = 2_000;
/** SQLite cuts its write-ahead log back to this after a checkpoint. */
export const STORE_WAL_BYTES = 16_000_000;
/** Revisions that a resuming watcher reads in one turn of the event loop. */
export const WATCH_BATCH_REVISIONS = 200;
/** Behind the nudge: how often a watcher looks whether another process has committed. */
export const STORE_POLL_INTERVAL_MS = 250;
/** Life of a leader's or node's lease; longer than the longest pause we want to survive without fail-over. */
export const LEASE_TTL_MS = 5_000;
/** A third of the TTL: two renewals may be lost. */
export const LEASE_RENEW_INTERVAL_MS = 1_500;
