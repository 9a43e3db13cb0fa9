/** The bounds of the HTTP edge, as model/limits.ts has those of everything else; imported from there. */

export const MAX_HEADER_BYTES = 16_384;
export const MAX_HEADERS = 100;
/** Largest request body that a replica puts together for json(), text(), bytes(), formData() or a method; as a stream it may be larger. */
export const MAX_BODY_BYTES = 32_000_000;
/** From the first byte of a request to the end of its head. */
export const HEADERS_TIMEOUT_MS = 10_000;
/** From the first byte of a request to the end of its body. */
export const REQUEST_TIMEOUT_MS = 300_000;
export const KEEP_ALIVE_TIMEOUT_MS = 75_000;
/** After this much silence the kernel asks whether the client is still there: one that vanished without a word is found out while it waits. */
export const TCP_PROBE_AFTER_MS = 30_000;
/** Proxy processes of one node: more than one for each core only take memory, and a mistyped number must not start thousands. */
export const MAX_PROXIES_PER_NODE = 64;
/** Connections of one proxy process. */
export const MAX_CONNECTIONS = 20_000;
/** How often the edge looks for connections that are over their time. */
export const EDGE_CHECK_INTERVAL_MS = 1_000;
/**
 * A client that was refused while it sends may read the answer this long; its bytes are dropped meanwhile. As long may the written part
 * of an answer that broke off take to leave.
 */
export const LINGER_MS = 2_000;
/** Bytes dropped so; a client that sends on regardless is cut. */
export const LINGER_BYTES = 128_000_000;
/**
 * An upload whose handler takes nothing for this long is read ahead: only behind what a client has sent can be seen that it has left.
 * The bounds are for one upload (what the systems between hold, a few MB on each side) and for all of a proxy's.
 */
export const READ_AHEAD_AFTER_MS = 500;
export const READ_AHEAD_BYTES = 8_000_000;
export const READ_AHEAD_TOTAL_BYTES = 64_000_000;
/** A draining proxy closes a kept-alive connection that has been idle this long: most clients would have used it again by then. */
export const DRAIN_IDLE_MS = 1_000;
/** Of a request's tracestate; longer ones are dropped. W3C: at least 512 characters should be passed on, of at most 32 members. */
export const MAX_TRACESTATE_CHARS = 2_048;
export const MAX_TRACESTATE_MEMBERS = 32;
/** Header names that a proxy remembers in lower case: all that real clients send, and not all that strangers invent. */
export const MAX_KNOWN_HEADER_NAMES = 1_000;
/** `Retry-After` of a 503: queues and restarts are over within seconds. */
export const RETRY_AFTER_SECONDS = 1;
/** A starting proxy waits this long for its routes before it accepts connections and answers 503. */
export const ROUTES_WAIT_MS = 1_000;
/** A proxy writes its snapshots to disk at most this often. */
export const SNAPSHOT_SAVE_INTERVAL_MS = 500;
/** How long REST goes on reading a body that it has refused, so that its client reads why. */
export const READ_AWAY_MS = 2_000;
/** One request that waits for a goal; below what proxies and clients usually take for a lost connection. */
export const MAX_GOAL_WAIT_MS = 60_000;
/** What an error sentence shows of a value that somebody sent: enough to find it again. */
export const MAX_EXCERPT_CHARS = 100;
/** Problems of one body that are told one by one: who mends these sees the next. */
export const MAX_SHOWN_ISSUES = 20;
/** Stopped instances that one sentence names; `ls` of the folder shows the rest. */
export const MAX_SHOWN_STOPPED = 10;
/** REST bodies are small configuration. */
export const MAX_REST_BODY_BYTES = 900_000;
/** An app in one body: what is too large to be saved is still read, so that the answer names its size. */
export const MAX_DEPLOY_BODY_BYTES = 4_000_000;
