/**
 * Every bound of the system, with the reason for its value; those of the store stand in store-limits.ts, those of code in
 * code-limits.ts. A queue, loop, cache, retry or message without a line here is a bug.
 * Units are in the names; `Ms` are milliseconds, `Bytes` bytes, everything else a count.
 */
import { MAX_TXN_OPS, MAX_VALUE_BYTES } from "./store-limits.ts";

// ── controller
/** Replicas of one backend: each is a process, and one zero too many must not take the machine. */
export const MAX_REPLICAS = 10_000;
/** A route; longer ones do not fit the request line of most clients. */
export const MAX_ROUTE_CHARS = 1_000;
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
/** Calls that wait for their turn; a turn takes all that fit, so this many mean that the store stands still. */
export const MAX_QUEUED_CALLS = 1_000;
/** Changes of one turn: with the fence and the room for one more call below MAX_TXN_OPS. */
export const MAX_CHANGES_PER_SAVE = 120;
/** Keys and values of one turn's transaction; what a call itself may need on top still fits MAX_TXN_BYTES. */
export const MAX_SAVE_BYTES = 1_300_000;
/** Values that one deploy writes: MAX_TXN_OPS, less the fence. It has its transaction for itself when it needs that. */
export const MAX_DEPLOY_CHANGES = MAX_TXN_OPS - 1;
/** Keys and values of one deploy; the fence and each key's second mention fit MAX_TXN_BYTES beside them. */
export const MAX_DEPLOY_BYTES = 1_450_000;
/** A backend record is repeated, with its defaults filled in, in each of its replicas' rows: that much smaller it must be. */
export const MAX_BACKEND_BYTES = MAX_VALUE_BYTES - 4_000;
/** Code and configuration of a backend that are kept a second time while a change of them has not run yet: a quarter of a deploy may be so large. */
export const MAX_PROVEN_BYTES = 16_000;
/** Things that one turn looks at: some milliseconds, so that polls and reads are answered while a new life looks at everything. */
export const MAX_KEYS_PER_TURN = 500;
/** A goal keeps its call in full up to this; of a longer one it keeps a digest. */
export const MAX_GOAL_CALL_CHARS = 2_000;
/** A goal keeps that much of the error that failed it; the whole of it stands in the replica's log. */
export const MAX_ERROR_CHARS = 4_000;
/** Settled goals that `status` shows, the newest; each can still be asked for by its id. */
export const MAX_STATUS_GOALS = 100;
/** Last reasons that `explain` answers from; the oldest are forgotten first. */
export const MAX_REASONS = 20_000;
/** Names that one suggestion is sought among. */
export const MAX_SUGGESTED_NAMES = 5_000;
/** Replicas and turns that one `plan` looks at: some 100 ms, in which the controller does nothing else. */
export const MAX_PLAN_LOOKS = 50_000;
/** A proxy that drains is killed after this, as a replica is by default. */
export const PROXY_DRAIN_TIMEOUT_MS = 20_000;
/** `shutdown` throws everything away: running queries get this long at most. */
export const SHUTDOWN_DRAIN_MS = 5_000;
/** How long a goal waits for routers in users' programs before it names them as laggards and settles. */
export const PROGRAM_LAGGARD_MS = 1_000;
/** Pause of a candidate whose store did not answer, and its second look at the leader's key behind the watch. */
export const CAMPAIGN_RETRY_MS = 500;
/** A controller whose instance is erased answers those who wait for that a little longer, then ends by itself. */
export const ERASED_LINGER_MS = 3_000;
/** A backend whose reconcile throws is left alone this long at first, doubling up to the second value. */
export const QUARANTINE_MIN_MS = 1_000;
export const QUARANTINE_MAX_MS = 60_000;

/**
 * Pause between two replacements of sick replicas of one backend: the first is at once, then doubling from the first value to the second,
 * which is as often as a cluster can start processes for ever without harm. After the third without a replacement it begins anew.
 */
export const REPLACE_BACKOFF_MIN_MS = 1_000;
export const REPLACE_BACKOFF_MAX_MS = 60_000;
export const REPLACE_BACKOFF_RESET_MS = 180_000;

/**
 * A node whose registration has lapsed is given up after so long: its agent is restarted within seconds, a machine starts within this or
 * not soon. In a new controller life the time begins anew.
 */
export const NODE_DEAD_AFTER_MS = 30_000;
/** From one node's death to the next one's: its replicas have started elsewhere by then, and nodes that come back together are not given up together. */
export const NODE_DEATH_PACE_MS = 10_000;

// ── long poll
/** How often routers say the load of a backend that is scaled by it: several times within any sensible upDelayMs. */
export const LOAD_REPORT_INTERVAL_MS = 1_000;
/** A poll without news ends after this and is sent again, so that no waiter outlives a lost connection for long. */
export const POLL_TIMEOUT_MS = 30_000;
/** Pause before a failed poll is sent again. */
export const POLL_RETRY_MS = 100;
/** An answer that is this much later than the wait it was given will not come: the connection is half open. */
export const POLL_ANSWER_MARGIN_MS = 5_000;
/** All closures of 100,000 endpoints at about 400 bytes, with as much again to spare. */
export const MAX_POLL_ANSWER_BYTES = 100_000_000;
/** A client that has not polled for this long after its connection ended is forgotten. */
export const POLL_CLIENT_GONE_MS = 1_000;
/** A client that was answered and has not asked again for this long is forgotten, whatever its connection does. */
export const POLL_CLIENT_SILENT_MS = 65_000;
/** Clients of one host: proxies, replicas with handles and programs of a large instance. */
export const MAX_POLL_CLIENTS = 10_000;
/** Changes that the host remembers; who is further behind gets everything that it follows. */
export const MAX_POLL_CHANGES = 20_000;

// ── agent and actors
/** Actors re-dial the agent this often, for life. */
export const DIAL_INTERVAL_MS = 200;
/** How often the agent looks at processes it did not start itself (adopted ones have no exit event). */
export const LIVENESS_INTERVAL_MS = 500;
/** How often the agent pings its controller. */
export const CONTROLLER_PING_INTERVAL_MS = 500;
/** A controller that has not answered for this long is killed and replaced. */
export const CONTROLLER_PING_TIMEOUT_MS = 4_500;
/** Pause before a start that could not be written down is tried again: whoever frees disk space need not wait long. */
export const BLOCKED_START_RETRY_MS = 1_000;
/** A replica that says nothing is asked for a sign of life after a quarter of its loopStallLimitMs, within these: an idle one costs little. */
export const STALL_PING_MIN_MS = 250;
export const STALL_PING_MAX_MS = 5_000;
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
/** The agent's socket: bytes that may wait for a peer that does not read; beyond it the peer is cut off and dials again. */
export const MAX_LINK_BACKLOG_BYTES = 8_000_000;
/** How often an actor looks at its `instance` file: ten looks within INSTANCE_GONE_MS. */
export const INSTANCE_LOOK_INTERVAL_MS = 1_000;
/** A new agent waits this long for the store's word before it starts processes from its local files alone. Adoption never waits. */
export const LOCAL_TRUTH_GRACE_MS = 1_000;
/** Processes started in one turn of the agent's event loop: 10 ms each, and pings must go out between. */
export const MAX_SPAWNS_PER_TURN = 8;
/** After the end of a link the process is looked at this often, doubling up to LIVENESS_INTERVAL_MS: EOF comes just before death. */
export const DEATH_LOOK_MIN_MS = 5;
/** The agent was stopped, not slow, when its clock jumped this far between two ticks; no deadline runs meanwhile. */
export const AGENT_STALL_MS = 2_000;
/** A controller that has never said hello is killed and replaced after this: Node starts within it on a machine that swaps. */
export const CONTROLLER_START_TIMEOUT_MS = 15_000;
/** Restart backoff of a controller: the first is at once. One that led before it died soon leads again; one that never led waits longer. */
export const CONTROLLER_BACKOFF_MIN_MS = 50;
export const CONTROLLER_BACKOFF_LED_MAX_MS = 500;
export const CONTROLLER_BACKOFF_MAX_MS = 5_000;
/** A user's start fails when its first controllers end this often before one leads. */
export const MAX_FIRST_CONTROLLER_DEATHS = 3;
/** An agent that ends its node by itself gives each proxy this long to finish open requests; long downloads are cut then. */
export const PROXY_DRAIN_MOST_MS = 20_000;
/** The same for a replica, whatever its own gracefulShutdownTimeoutMs. */
export const REPLICA_DRAIN_MOST_MS = 300_000;
/** SIGTERM to SIGKILL of a controller whose instance ends. */
export const CONTROLLER_STOP_MS = 2_000;
/** After its last actor an erased instance waits this long for its controller to settle the goal and delete the keys. */
export const ERASE_SETTLE_MS = 2_000;
/** SIGKILL to the end of the process; a process that hangs in the kernel longer is left to it. */
export const KILL_WAIT_MS = 2_000;
/** Pause before the agent opens a store again that did not answer, doubling from the first value to the second. */
export const STORE_RETRY_MIN_MS = 100;
export const STORE_RETRY_MAX_MS = 5_000;
/** Status rows of one transaction; leaves room in MAX_TXN_OPS. */
export const MAX_STATUS_ROWS_PER_TXN = 100;
/** How often the agent cuts log files, a busy replica writes a few MB meanwhile, and removes the sockets of the dead. */
export const TIDY_INTERVAL_MS = 5_000;
/** Log files of processes that are gone; the oldest go first. */
export const MAX_GONE_LOG_FILES = 200;
/** The run folder lies in /tmp: touched this often, no cleaner of old files takes it. */
export const RUN_TOUCH_INTERVAL_MS = 3_600_000;
/** `sun_path` of Linux less its closing zero; macOS takes 103, and its temporary folders are as short. */
export const MAX_SOCKET_PATH_BYTES = 107;
/** `agent.lock` may be held for a moment by somebody who only probes it. */
export const LOCK_WAIT_MS = 500;

// ── start and rescue of agents
/** From the spawn of an agent to an answering controller; a cold start takes 0.5 s, a machine that swaps far longer. */
export const START_INSTANCE_TIMEOUT_MS = 30_000;
/** Agents that one start tries: an ending one is waited for, a racing one may win. */
export const MAX_START_ATTEMPTS_OF_INSTANCE = 5;
/** How often a start looks for the instance's files. */
export const START_LOOK_INTERVAL_MS = 10;
/** Rescuers spread over this much time, so that one finds the lock already taken by the other's agent. */
export const RESCUE_JITTER_MS = 100;
/** How often a rescuer without a link probes the lock. */
export const RESCUE_LOOK_INTERVAL_MS = 250;
/** Backoff of rescues, kept on disk: the first is at once, then doubling from the first value to the second. */
export const RESCUE_BACKOFF_MIN_MS = 500;
export const RESCUE_BACKOFF_MAX_MS = 30_000;
/** After a rescue its agent gets this long to take the lock before the rescuer looks again. */
export const RESCUE_PATIENCE_MS = 1_000;
/** An agent that has lived this long forgets the rescues before it: what made its predecessors die soon is over. */
export const RESCUE_FORGIVE_MS = 5_000;

// ── wire
/** Frame head and small body together; a larger body goes in parts. */
export const MAX_FRAME_BYTES = 1_100_000;
/** Bytes of a body that may travel before credit: a query refused at the replica can be sent again from memory. */
export const STREAM_WINDOW_BYTES = 65_536;
/**
 * The same once its reader has begun to take it, and nothing can be sent again. With less the processes wait for each other's credit
 * instead of working; with more a slow reader costs more.
 */
export const FLOW_WINDOW_BYTES = 262_144;
/** Of an answer, at most, while few are on their way through a router: the system writes and reads it in larger pieces. */
export const WIDE_WINDOW_BYTES = 4_194_304;
/** What the answers of a router may have beyond FLOW_WINDOW_BYTES each, together. */
export const FLOW_BUDGET_BYTES = 16_777_216;
/** Waiting parts of a body below this are copied together: an object for a few bytes costs more than they do, copying a page very little. */
export const SMALL_PART_BYTES = 4_096;
/** A larger one is copied too when the memory it lies in is more than so many times its size: no more than that is held. */
export const PART_MEMORY_SHARE = 4;
/** What a router's connection reads into while much comes: all that a unix socket holds. */
export const READ_BYTES = 262_144;
/** A read into that of at least so much lends it; with a smaller one it would hold more than four times the bytes. Also the memory for small reads. */
export const LENT_READ_BYTES = 65_536;
/** Room that is left for a small read: far above a turn's worth of small answers. */
export const LEAST_READ_BYTES = 16_384;
/** Memory to read into that waits to be used again: 4 MB. More is in use while many clients are slow, and left to the garbage collector. */
export const MAX_IDLE_READ_MEMORIES = 16;
/** The head of a frame: method, URL, headers. */
export const MAX_FRAME_HEAD_BYTES = 65_535;
/** A connection between router and replica without a query this long is closed. */
export const WIRE_IDLE_MS = 60_000;
/** A replica lets a router go that has been silent this long and waits for nothing; routers close sooner, so it is gone or stuck. */
export const WIRE_PEER_IDLE_MS = 180_000;
/** Time for HELLO in both directions. */
export const WIRE_HELLO_TIMEOUT_MS = 5_000;
/** From a connection to the agent's socket to its hello. Long, since user code may stop a process right after it has dialled. */
export const LINK_HELLO_MS = 30_000;
/** A peer that was told why its connection ends (wire, agent's socket) has this long to read it and close; far more than a read takes. */
export const GOODBYE_MS = 1_000;
/** Log lines of one socket about peers that break its protocol, in BREACH_WINDOW_MS: enough to see what they do; 14,400 lines a day. */
export const MOST_BREACH_LINES = 10;
export const BREACH_WINDOW_MS = 60_000;
/** Open streams of one connection; far above any maxConcurrentQueries that makes sense for one process. */
export const MAX_STREAMS_PER_CONNECTION = 10_000;
/** Answers that wait in a replica for a router that does not read: beyond it the router is not read either. Sixteen windows. */
export const MAX_WIRE_BACKLOG_BYTES = 1_048_576;
/** Levels of an argument or result that crosses a process border; JSON of people is below 20, and a cycle is found in microseconds. */
export const MAX_VALUE_DEPTH = 200;
/** Refusals one query takes before it waits for a slot. */
export const MAX_REFUSALS_PER_QUERY = 2;
/** A free slot is kept this long for the router it was offered to: many round trips between processes of one machine. */
export const SLOT_HOLD_MS = 20;
/** Replies of one turn of the event loop leave together, but none waits longer than this for the handlers behind it. */
export const MAX_REPLY_HOLD_MS = 1;

// ── proxy
/**
 * V8 looks for garbage in a proxy's old space only from here on (MB). A proxy keeps 8 MB, so V8 would set its first limit that low, and
 * count the buffers of large bodies against it: a full collection every 20 ms took 20 to 40 % of its CPU, with this 7 %.
 */
export const PROXY_INITIAL_OLD_SPACE_MB = 128;

// ── replica
/** A replica that could not start waits this long for its agent to listen to the reason: a few dials. */
export const FAILED_START_REPORT_MS = 1_000;
/** One item of a stream through a handle travels in one frame; below MAX_FRAME_BYTES, so that its heads fit too. */
export const MAX_ITEM_BYTES = 1_000_000;
/** Open queries of a replica whose code has thrown outside any query: most have nothing to do with it and end within this. */
export const CRASH_DRAIN_MS = 2_000;
/** What a drain leaves of its time for the end (of a replica: the user's close()), so that the process ends by itself and not by SIGKILL. */
export const CLOSE_RESERVE_MS = 500;

// ── apps in one process (maitred/testing)
/** What one end of a connection in memory holds for a reader that pauses: what a socket's buffer does. */
export const MEMORY_SOCKET_BYTES = 65_536;
/**
 * Shorter timers of a local app keep the process alive: those are the ticks of open queries. Longer ones look for silence, and a program
 * whose tests are done need not wait for them.
 */
export const LOCAL_TIMER_HOLD_MS = 1_000;

// ── HTTP edge
export * from "./edge-limits.ts";
// ── router
export * from "./router-limits.ts";

// ── client
/** Pause before a call that got no answer is sent again; a controller is back within 1 s. */
export const CONTROL_RETRY_INTERVAL_MS = 50;
/** A client gives a call up when no controller has answered for this long. */
export const CONTROL_GONE_MS = 30_000;
/** A client gives a call up when the store has taken no writes for this long: an outage is for people, a crash is over in 1 s. */
export const CONTROL_STORE_GONE_MS = 3_000;
/** A start waits for its first proxy this long; a proxy is there within 1 s, or its port is not to be had. */
export const SERVING_TIMEOUT_MS = 10_000;
/** One request of a wait for a goal. */
export const GOAL_WAIT_MS = 20_000;
/** Past the end of a caller's wait its last answer, already on its way, is still read: far above a local round trip. */
export const GOAL_ANSWER_GRACE_MS = 500;

// ── batching
/** A batch that its declaration does not bound: the ancestor's default. */
export const DEFAULT_MAX_BATCH_SIZE = 10;
/** The ancestor's default too: a batch is what arrived together, nobody waits. */
export const DEFAULT_BATCH_WAIT_TIMEOUT_MS = 0;

// ── metrics
/** Names (endpoints, backends, methods …) that one metric tells apart, in a process and on a node; the rest count together as `_other`. */
export const MAX_METRIC_NAMES = 1_000;
/** Series of one metric that an agent keeps of processes that are gone; those that no process has added to for longest are forgotten. */
export const MAX_KEPT_SERIES = 500;
/** A scrape waits this long for the node's processes: above a turn of an overloaded event loop, far below a scraper's patience of 10 s. */
export const METRICS_WAIT_MS = 1_000;
/** Scrapers' connections of a node; a Prometheus pair with a person beside it are three. */
export const MAX_METRICS_CONNECTIONS = 32;
/** A scraper that has not sent its request or not read its answer for this long is cut off. */
export const METRICS_IDLE_MS = 10_000;
/** What a process without a link has counted is added to what is kept after this: many dials. */
export const METRICS_LOST_MS = 10_000;
/** Bytes of the head of a scrape: a token and what scrapers say of themselves. */
export const MAX_METRICS_HEAD_BYTES = 8_192;

// ── timers
/** The longest delay that Node's timers take, 2^31 - 1; a longer one would fire at once. */
export const MAX_TIMER_MS = 2_147_483_647;
/**
 * A signal so soon behind the first that a command got is its echo: a parent in the terminal's process group (npm) passes on what the
 * terminal has sent to the whole group. On a busy machine it takes its time; whoever wants the command gone at once presses again.
 */
export const SIGNAL_ECHO_MS = 300;
/** How often `run` looks at replicas that are not there yet; a failed start is told of so soon. */
export const START_LOOK_MS = 1_000;
/** A start that takes longer is told of: most take less than a second, and a person waits so long before they wonder. */
export const START_NOTICE_FIRST_MS = 5_000;
/** Between two lines of one start: of a whole minute a handful. */
export const START_NOTICE_INTERVAL_MS = 15_000;
/** Names of replicas in the line that tells how far a start is: only one line of a terminal can be taken back. */
export const MAX_PROGRESS_NAMES = 3;
/** How often `logs --follow` looks for new lines. */
export const LOG_FOLLOW_INTERVAL_MS = 200;
/** Newest bytes of each log file that `logs` reads at once. */
export const LOG_READ_BYTES = 4_000_000;
/** Loading an app file: longer than any import that is not stuck. */
export const PROBE_TIMEOUT_MS = 30_000;
/** A program's own app file, loaded already: longer than loading it anew where a test runner loads its own copies. */
export const APP_RELOAD_MS = 5_000;
/** How often a client that waits for an instance to end looks. */
export const GONE_INTERVAL_MS = 50;

// ── logs
/** What a log line takes of a field, so that no field of a request fills a disk: characters of a text, items of a list, levels. */
export const MAX_LOG_TEXT_LENGTH = 4_096;
export const MAX_LOG_ITEMS = 50;
export const MAX_LOG_DEPTH = 6;
/** A full pipe is waited for this long, 1 ms at a time, before lines are dropped and counted: a log must not stop its process. */
export const LOG_WRITE_WAIT_MS = 20;
