/** The bounds of an HTTP edge; the product's are in model/limits.ts. Given from outside, so that a test need not wait for them. */
import {
  DRAIN_IDLE_MS,
  EDGE_CHECK_INTERVAL_MS,
  HEADERS_TIMEOUT_MS,
  KEEP_ALIVE_TIMEOUT_MS,
  LINGER_BYTES,
  LINGER_MS,
  MAX_CONNECTIONS,
  MAX_HEADER_BYTES,
  MAX_HEADERS,
  READ_AHEAD_AFTER_MS,
  READ_AHEAD_BYTES,
  READ_AHEAD_TOTAL_BYTES,
  REQUEST_TIMEOUT_MS,
  TCP_PROBE_AFTER_MS,
} from "../model/limits.ts";

export interface EdgeLimits {
  readonly maxHeaderBytes: number;
  readonly maxHeaders: number;
  readonly headersTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly keepAliveTimeoutMs: number;
  readonly tcpProbeAfterMs: number;
  readonly checkIntervalMs: number;
  readonly maxConnections: number;
  readonly lingerMs: number;
  readonly lingerBytes: number;
  readonly drainIdleMs: number;
  readonly readAheadAfterMs: number;
  readonly readAheadBytes: number;
  readonly readAheadTotalBytes: number;
}

export const EDGE_LIMITS: EdgeLimits = {
  maxHeaderBytes: MAX_HEADER_BYTES,
  maxHeaders: MAX_HEADERS,
  headersTimeoutMs: HEADERS_TIMEOUT_MS,
  requestTimeoutMs: REQUEST_TIMEOUT_MS,
  keepAliveTimeoutMs: KEEP_ALIVE_TIMEOUT_MS,
  tcpProbeAfterMs: TCP_PROBE_AFTER_MS,
  checkIntervalMs: EDGE_CHECK_INTERVAL_MS,
  maxConnections: MAX_CONNECTIONS,
  lingerMs: LINGER_MS,
  lingerBytes: LINGER_BYTES,
  drainIdleMs: DRAIN_IDLE_MS,
  readAheadAfterMs: READ_AHEAD_AFTER_MS,
  readAheadBytes: READ_AHEAD_BYTES,
  readAheadTotalBytes: READ_AHEAD_TOTAL_BYTES,
};
