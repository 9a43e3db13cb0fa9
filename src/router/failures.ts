/** The failures that a router itself gives to a query: what happened, to which tag, what to do. */
import { ERROR_CODES, type ErrorCode } from "../model/error-codes.ts";
import { STREAM_WINDOW_BYTES } from "../model/limits.ts";
import type { WireFailure } from "../model/wire.ts";
import type { WireEnd } from "./wire-connection.ts";

const failure = (code: ErrorCode, message: string, details: Readonly<Record<string, unknown>>): WireFailure => ({
  status: ERROR_CODES[code].status,
  code,
  message,
  details,
});

export const queueFull = (backend: string, limit: number): WireFailure =>
  failure(
    "queue-full",
    `backend "${backend}": ${limit} queries already wait here for a free replica. Try again later, add replicas, or raise maxQueuedQueries.`,
    { backend, maxQueuedQueries: limit },
  );

export const deadlinePassed = (endpoint: string, timeoutMs: number, replica: string): WireFailure =>
  failure(
    "deadline-exceeded",
    `endpoint "${endpoint}": no complete answer within ${format(timeoutMs)} ms; replica ${replica} was working on it. Raise timeoutMs, or make the handler faster.`,
    { endpoint, replica, timeoutMs },
  );

export const noTimeLeft = (endpoint: string): WireFailure =>
  failure(
    "deadline-exceeded",
    `endpoint "${endpoint}": the deadline had passed before the call was made, so nothing was sent.`,
    { endpoint },
  );

export const noReplica = (endpoint: string, timeoutMs: number, backend: string | undefined): WireFailure =>
  failure(
    "no-replica",
    backend === undefined
      ? `endpoint "${endpoint}": nothing was heard of it within ${format(timeoutMs)} ms: no controller answered, or it does not exist. See \`maitred status\`.`
      : `backend "${backend}": no replica became free for endpoint "${endpoint}" within ${format(timeoutMs)} ms. See \`maitred status\`.`,
    { endpoint, timeoutMs, ...(backend === undefined ? {} : { backend }) },
  );

export const endpointUnknown = (endpoint: string, timeoutMs: number): WireFailure =>
  failure(
    "endpoint-unknown",
    `endpoint "${endpoint}" does not exist; waited ${format(timeoutMs)} ms for it to be created. Check the name.`,
    { endpoint },
  );

export const endpointDeleted = (endpoint: string): WireFailure =>
  failure("endpoint-unknown", `endpoint "${endpoint}" was deleted while this query waited for a replica.`, {
    endpoint,
  });

/** What its loss says of a query. */
export interface LostQuery {
  readonly endpoint: string;
  readonly isRepeatable: boolean;
  /** Its whole body could be sent once more. */
  readonly canReplay: boolean;
  /** How often it was run again. */
  readonly retries: number;
}

const replicaLost = (query: LostQuery, replica: string, why: string): WireFailure =>
  failure(
    "replica-lost",
    `endpoint "${query.endpoint}": replica ${replica} was lost while it ran this query (${why}). Whether it took effect is unknown; ${adviceFor(query)}.`,
    { endpoint: query.endpoint, replica },
  );

const adviceFor = ({ isRepeatable, canReplay, retries }: LostQuery): string => {
  if (!canReplay) {
    return `a streamed body (above ${STREAM_WINDOW_BYTES / 1024} KiB, or in chunks) is not kept once its handler has used some of it, so no such query is run again`;
  }
  if (!isRepeatable) return "mark the endpoint idempotent to have such queries run again";
  const runs = retries === 0 ? "" : `it was run ${retries + 1} times; `;
  return `${runs}\`maitred logs\` says what ends the replicas`;
};

export const wireBroken = (endpoint: string, replica: string, reason: string): WireFailure =>
  failure("wire-protocol", `endpoint "${endpoint}": replica ${replica} sent ${reason}.`, { endpoint, replica });

/** What becomes of a query whose connection has ended. */
export function lossOf(query: LostQuery, replica: string, end: WireEnd): WireFailure {
  switch (end.kind) {
    case "broken":
      return wireBroken(query.endpoint, replica, end.reason);
    case "idle":
      return replicaLost(query, replica, "the connection was closed");
    default:
      return replicaLost(query, replica, end.why);
  }
}

export const headTooLarge = (endpoint: string): WireFailure =>
  failure("headers-too-large", `endpoint "${endpoint}": URL and headers together are larger than allowed.`, {
    endpoint,
  });

export const routerStopped = (endpoint: string): WireFailure =>
  failure("no-instance", `endpoint "${endpoint}": this process has closed its connection to the instance.`, {
    endpoint,
  });

const format = (milliseconds: number): string => String(Math.round(milliseconds));
