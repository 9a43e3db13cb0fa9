/**
 * Every bound of the system, with the reason for its value. A queue, loop, cache, retry or message without a line here is a bug.
 * Units are in the names; `Ms` are milliseconds, `Bytes` bytes, everything else a count.
 */

// ── store
/** etcd's default `--max-txn-ops`. */
export const MAX_TXN_OPS = 128;
/** Below etcd's default request limit of 1.5 MiB, so that a value with its key and frame still fits. */
export const MAX_VALUE_BYTES = 1_000_000;
/** Revisions kept for watchers to resume from; one turn writes a few, so this is minutes of the busiest instance. */
export const MAX_LOG_REVISIONS = 5_000;
/** How long SQLite itself may block the event loop on a busy file; beyond it we retry without blocking. */
export const STORE_BUSY_TIMEOUT_MS = 20;
/** Asynchronous retries of a busy transaction: 20 ms blocked + backoff, about 10 s together, longer than any live writer holds the lock. */
export const STORE_BUSY_RETRIES = 200;
/** Behind the nudge: how often a watcher looks whether another process has committed. */
export const STORE_POLL_INTERVAL_MS = 250;
/** Life of a leader's or node's lease; longer than the longest pause we want to survive without fail-over. */
export const LEASE_TTL_MS = 5_000;
/** A third of the TTL: two renewals may be lost. */
export const LEASE_RENEW_INTERVAL_MS = 1_500;

// ── controller
/** Rows of one reconcile step: leaves room in a transaction for the counter, the backend and its goal. */
export const MAX_ROWS_PER_STEP = 100;
/** After a new life begins, handles and proxies re-register within one dial interval plus one poll. */
export const RECONNECT_WINDOW_MS = 1_000;
/** A new life waits this long for silent nodes before it publishes without them. */
export const HEAR_NODES_WINDOW_MS = 5_000;
/** A withdrawn replica is drained when every router has applied its withdrawal, at the latest after this. */
export const WITHDRAW_WINDOW_MS = 1_000;
/** Goals that are settled stay readable this long; longer than any client re-sends an id. */
export const GOAL_KEEP_MS = 3_600_000;
/** Settled goals kept at most; the oldest go first, never one younger than GOAL_RESEND_MS. */
export const MAX_GOALS = 10_000;
/** A client re-sends a call with the same id for at most this long. */
export const GOAL_RESEND_MS = 600_000;
/** A backend whose reconcile throws is left alone this long at first, doubling up to the second value. */
export const QUARANTINE_MIN_MS = 1_000;
export const QUARANTINE_MAX_MS = 60_000;

// ── long poll
/** A poll without news ends after this and is sent again, so that no waiter outlives a lost connection for long. */
export const POLL_TIMEOUT_MS = 30_000;
/** Pause before a failed poll is sent again. */
export const POLL_RETRY_MS = 100;
/** A client that has not polled for this long after its connection ended is forgotten. */
export const POLL_CLIENT_GONE_MS = 1_000;

// ── agent and actors
/** Actors re-dial the agent this often, for life. */
export const DIAL_INTERVAL_MS = 200;
/** How often the agent looks at processes it did not start itself (adopted ones have no exit event). */
export const LIVENESS_INTERVAL_MS = 500;
/** How often the agent pings its controller. */
export const CONTROLLER_PING_INTERVAL_MS = 500;
/** A controller that has not answered for this long is killed and replaced. */
export const CONTROLLER_PING_TIMEOUT_MS = 4_500;
/** Restart backoff of an actor in place: the first restart is at once, then doubling from the first value to the second. */
export const RESTART_BACKOFF_MIN_MS = 250;
export const RESTART_BACKOFF_MAX_MS = 30_000;
/** An actor that was ready this long starts again without backoff. */
export const RESTART_BACKOFF_RESET_MS = 60_000;
/** An actor without a live agent this long probes the agent's lock and, when it is free, starts an agent. */
export const AGENT_GONE_MS = 300;
/** An actor whose `instance` file is gone or replaced for this long drains and exits. */
export const INSTANCE_GONE_MS = 10_000;
/** A non-detached instance whose owner is gone has this long to drain, then SIGKILL. */
export const OWNER_GONE_DRAIN_MS = 3_000;
/** Bounds of one log file and of its generations. */
export const LOG_FILE_BYTES = 10_000_000;
export const LOG_FILE_GENERATIONS = 5;
/** One line of JSON on the agent's socket; the largest message carries a user config. */
export const MAX_LINK_LINE_BYTES = 2_000_000;

// ── wire
/** Frame head and small body together; a larger body goes in parts. */
export const MAX_FRAME_BYTES = 1_100_000;
/** Bytes of a body that may travel before credit: a query refused at the replica can be sent again from memory. */
export const STREAM_WINDOW_BYTES = 65_536;
/** The head of a frame: method, URL, headers. */
export const MAX_FRAME_HEAD_BYTES = 65_535;
/** A connection between router and replica without a query this long is closed. */
export const WIRE_IDLE_MS = 60_000;
/** Time for HELLO in both directions. */
export const WIRE_HELLO_TIMEOUT_MS = 5_000;
/** Open streams of one connection; far above any maxConcurrentQueries that makes sense for one process. */
export const MAX_STREAMS_PER_CONNECTION = 10_000;
/** Refusals one query takes before it waits for a slot. */
export const MAX_REFUSALS_PER_QUERY = 2;

// ── router
/** A query without a deadline of its own or its endpoint's. */
export const DEFAULT_QUERY_TIMEOUT_MS = 60_000;
/** Tick of the deadline wheel: deadlines are met to within one tick. */
export const DEADLINE_TICK_MS = 20;
/** Queries of a router that wait for a replica of one backend when the backend does not say (maxQueuedQueries). */
export const DEFAULT_MAX_QUEUED_QUERIES = 1_000;
/** Retries of a router are at most this share of its queries (plus RETRY_BUDGET_MIN a second). */
export const RETRY_BUDGET_SHARE = 0.2;
export const RETRY_BUDGET_MIN_PER_SECOND = 10;
/** Shadow queries in flight for each router; beyond it they are dropped and counted. */
export const MAX_SHADOWS_IN_FLIGHT = 256;

// ── HTTP edge
export const MAX_HEADER_BYTES = 16_384;
export const MAX_HEADERS = 100;
/** Largest request body that a proxy takes. */
export const MAX_BODY_BYTES = 32_000_000;
/** From the first byte of a request to the end of its head. */
export const HEADERS_TIMEOUT_MS = 10_000;
/** From the first byte of a request to the end of its body. */
export const REQUEST_TIMEOUT_MS = 300_000;
export const KEEP_ALIVE_TIMEOUT_MS = 75_000;
/** Connections of one proxy process. */
export const MAX_CONNECTIONS = 20_000;
/** REST bodies are small configuration. */
export const MAX_REST_BODY_BYTES = 900_000;

// ── client
/** Pause before a call that got no answer is sent again; a controller is back within 1 s. */
export const CONTROL_RETRY_INTERVAL_MS = 50;
/** A client gives a call up when no controller has answered for this long. */
export const CONTROL_GONE_MS = 30_000;
/** One request of a wait for a goal. */
export const GOAL_WAIT_MS = 20_000;

// ── batching
/** A batch that its declaration does not bound: the ancestor's default. */
export const DEFAULT_MAX_BATCH_SIZE = 10;
/** The ancestor's default too: a batch is what arrived together, nobody waits. */
export const DEFAULT_BATCH_WAIT_TIMEOUT_MS = 0;

// ── timers
/** The longest delay that Node's timers take, 2^31 - 1; a longer one would fire at once. */
export const MAX_TIMER_MS = 2_147_483_647;
