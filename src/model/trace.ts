/**
 * W3C Trace Context: https://www.w3.org/TR/trace-context/. Where a query belongs in somebody's trace: accepted at the edge, carried by the
 * wire, handed on by handles. Nothing malformed gets past the two functions that take it from headers.
 */
import { MAX_TRACESTATE_CHARS, MAX_TRACESTATE_MEMBERS } from "./limits.ts";
import type { FlatHeaders } from "./wire.ts";

export const TRACEPARENT_HEADER = "traceparent";
const TRACESTATE_HEADER = "tracestate";

export interface TraceContext {
  readonly traceparent: string;
  /** What tracing systems have added, as it came. */
  readonly tracestate: string | undefined;
}

/** Version, trace id, parent id, flags; a later version may have more behind a dash. */
const TRACEPARENT = /^(?!ff)([0-9a-f]{2})-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?$/;

export const isTraceparent = (value: string): boolean => {
  const found = TRACEPARENT.exec(value);
  return found !== null && (found[1] !== "00" || found[2] === undefined);
};

export interface TraceIds {
  readonly traceId: string;
  readonly spanId: string;
  readonly flags: number;
}

/** @param traceparent one that is well-formed. */
export const idsOf = (traceparent: string): TraceIds => ({
  traceId: traceparent.slice(3, 35),
  spanId: traceparent.slice(36, 52),
  flags: Number.parseInt(traceparent.slice(53, 55), 16),
});

export const traceparentOf = ({ traceId, spanId, flags }: TraceIds): string =>
  `00-${traceId}-${spanId}-${flags.toString(16).padStart(2, "0")}`;

/**
 * The headers' word on the trace. Undefined: they have none, more than one, or a malformed one, and what else they say of it is not looked
 * at. A tracestate that is too long or has too many members is left out; what its members say is theirs.
 */
export const traceOf = (headers: FlatHeaders): TraceContext | undefined => {
  let traceparent: string | undefined;
  const states: string[] = [];
  for (let index = 0; index < headers.length; index += 2) {
    const value = headers[index + 1]!;
    if (headers[index] === TRACEPARENT_HEADER) {
      if (traceparent !== undefined || !isTraceparent(value)) return undefined;
      traceparent = value;
    } else if (headers[index] === TRACESTATE_HEADER) states.push(value);
  }
  if (traceparent === undefined) return undefined;
  const tracestate = states.filter((state) => state.trim() !== "").join(",");
  return { traceparent, tracestate: isTracestate(tracestate) ? tracestate : undefined };
};

const isTracestate = (value: string): boolean =>
  value !== "" && value.length <= MAX_TRACESTATE_CHARS && value.split(",").length <= MAX_TRACESTATE_MEMBERS;

/** The headers without what they say of a trace; then, if there is one, that of `trace`. */
export const withTrace = (headers: FlatHeaders, trace: TraceContext | undefined): FlatHeaders => {
  const kept: string[] = [];
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index]!;
    if (name !== TRACEPARENT_HEADER && name !== TRACESTATE_HEADER) kept.push(name, headers[index + 1]!);
  }
  if (trace !== undefined) kept.push(TRACEPARENT_HEADER, trace.traceparent);
  if (trace?.tracestate !== undefined) kept.push(TRACESTATE_HEADER, trace.tracestate);
  return kept;
};
