/** The bounds of looking at code and keeping it; of all else in limits.ts. */

/** Kept code of one backend: sources of people are below 1 MB, bundles below 10; a replica reads all of it when it starts. */
export const MAX_KEPT_CODE_BYTES = 32_000_000;
/** Probes of one node at a time: one for each core of the smallest machine; the import of a large module keeps a core busy. */
export const MAX_PROBES = 2;
/** Probes that wait for their turn; a deploy asks for one for each module of its app. */
export const MAX_QUEUED_PROBES = 1_000;
/** What a probe answers: the names of exports and methods. */
export const MAX_PROBE_ANSWER_BYTES = 1_000_000;
/** What code may print while it is probed; the rest is dropped. */
export const MAX_PROBE_OUTPUT_BYTES = 65_536;
/** A controller without a link to its agent refuses to look at code after this: dead agents are back sooner. */
export const PROBE_LINK_WAIT_MS = 5_000;
/** A call whose code takes longer to load is answered `probe-pending`; most imports end before, and clients ask again. */
export const PROBE_ANSWER_MS = 2_000;
/** Another Node says in about 100 ms where a file does not compile; on a machine that is too busy for this the sentence goes without the line. */
export const SYNTAX_CHECK_TIMEOUT_MS = 5_000;
/** A client waits so long for the answer to a call whatever its own deadline: longer than PROBE_ANSWER_MS, with a save behind it. */
export const CALL_ANSWER_MS = 4_000;
/** What a probe found is kept this long for a client that was told to ask again. */
export const PROBE_ANSWER_KEEP_MS = 60_000;
/** Kept code that nothing names is removed when this has passed since a probe found it: calls are saved, or given up, long before. */
export const CODE_GRACE_MS = 600_000;
/** How often an agent looks for kept code that nothing needs. */
export const CODE_SWEEP_INTERVAL_MS = 300_000;
/** Turns of the event loop in which imports that nobody awaits may still bring files; each brings a file at least. */
export const MAX_SETTLING_TURNS = 1_000;
/** Files that `run --watch` looks at, of one module: sources of people are hundreds; their paths fit MAX_PROBE_ANSWER_BYTES. */
export const MAX_WATCHED_FILES = 2_000;
/** How often it looks: some milliseconds for all of them, and short beside the start of a replica. */
export const WATCH_INTERVAL_MS = 200;
/** Files that change are waited for until they rest, at most this long: a checkout writes many, an editor may write one in two steps. */
export const WATCH_SETTLE_MS = 2_000;
