/**
 * The HTTP server under REST: everything that happens to a request before it has a route. It sets the limits, asks the guard about each
 * head first, and answers what is no HTTP request with problem JSON. A client that is refused while it sends gets a moment to come to
 * the end: closed at once, it would lose the answer.
 */
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { ServeError } from "../base/serve-error.ts";
import {
  EDGE_CHECK_INTERVAL_MS,
  HEADERS_TIMEOUT_MS,
  KEEP_ALIVE_TIMEOUT_MS,
  MAX_CONNECTIONS,
  MAX_HEADER_BYTES,
  READ_AWAY_MS,
  REQUEST_TIMEOUT_MS,
} from "../model/limits.ts";
import type { Complaints } from "./complaints.ts";
import type { Guard } from "./guard.ts";
import { PROBLEM_TYPE, problemOf } from "./problems.ts";

/** Its types alone are imported: an ES import makes Node load undici for the export WebSocket, 50 ms of a controller's start. */
const nodeHttp = (): typeof import("node:http") => process.getBuiltinModule("node:http");

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

export interface DoorwayOptions {
  readonly guard: Guard;
  readonly complaints: Complaints;
}

export const createDoorway = ({ guard, complaints }: DoorwayOptions, handler: Handler): Server => {
  const server = nodeHttp().createServer({
    maxHeaderSize: MAX_HEADER_BYTES,
    headersTimeout: HEADERS_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    connectionsCheckingInterval: EDGE_CHECK_INTERVAL_MS,
    // Answered by the guard, as a problem.
    requireHostHeader: false,
  });
  server.maxConnections = MAX_CONNECTIONS;
  const answering = new WeakMap<Socket, ServerResponse>();
  const admit = (request: IncomingMessage, response: ServerResponse): boolean => {
    answering.set(request.socket, response);
    const refusal = guard(request);
    if (refusal === undefined) return true;
    complaints.refused(refusal);
    const { status, body } = rawProblem(refusal);
    response.writeHead(status, { "content-type": PROBLEM_TYPE, "content-length": body.length }).end(body);
    readAway(request);
    return false;
  };
  const refuseRaw = (socket: Socket, refusal: ServeError): void => {
    complaints.refused(refusal);
    answerRaw(socket, refusal);
  };
  server.on("request", (request, response) => {
    if (admit(request, response)) handler(request, response);
  });
  server.on("checkContinue", (request, response) => {
    if (!admit(request, response)) return;
    response.writeContinue();
    handler(request, response);
  });
  // Whatever it is that the client expects: it gets its answer.
  server.on("checkExpectation", (request, response) => server.emit("request", request, response));
  server.on("connect", (request, socket) => {
    const tunnel = new ServeError("method-not-allowed", "this is no proxy: CONNECT is not answered.");
    refuseRaw(socket as Socket, guard(request) ?? tunnel);
  });
  server.on("clientError", (error: NodeJS.ErrnoException, socket) => {
    const begun = answering.get(socket as Socket);
    const isAnswering = begun?.headersSent === true && !begun.writableFinished;
    const isSilent = error.code === "ERR_HTTP_REQUEST_TIMEOUT" && (socket as Socket).bytesRead === 0;
    if (!socket.writable || isAnswering || isSilent || error.code === "ECONNRESET") socket.destroy();
    else refuseRaw(socket as Socket, refusalOf(error));
  });
  return server;
};

/** Drops what is left of a request, for a bounded time. */
export const readAway = (incoming: IncomingMessage): void => {
  const timer = setTimeout(() => incoming.destroy(), READ_AWAY_MS);
  incoming.once("close", () => clearTimeout(timer));
  incoming.resume();
};

/** Answers on a connection that has no request, and ends it. */
const answerRaw = (socket: Socket, error: ServeError): void => {
  const { status, body } = rawProblem(error);
  const head = [
    `HTTP/1.1 ${status} ${nodeHttp().STATUS_CODES[status] ?? "Error"}`,
    "connection: close",
    `content-type: ${PROBLEM_TYPE}`,
    `content-length: ${body.length}`,
  ];
  socket.end(Buffer.concat([Buffer.from(`${head.join("\r\n")}\r\n\r\n`), body]));
  const timer = setTimeout(() => socket.destroy(), READ_AWAY_MS);
  socket.once("close", () => clearTimeout(timer));
  socket.on("error", () => {}); // `close` follows
  socket.on("data", () => {}); // dropped
  socket.once("end", () => socket.destroy());
  socket.resume();
};

const rawProblem = (error: ServeError): { readonly status: number; readonly body: Buffer } => {
  const problem = problemOf(error);
  return { status: problem.status, body: Buffer.from(JSON.stringify(problem)) };
};

const refusalOf = (error: NodeJS.ErrnoException & { readonly reason?: unknown }): ServeError => {
  switch (error.code) {
    case "HPE_HEADER_OVERFLOW":
      return new ServeError(
        "headers-too-large",
        `the request's head is larger than ${MAX_HEADER_BYTES} bytes, or has too many header fields.`,
      );
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return new ServeError("request-timeout", "the request did not arrive in time.");
    default: {
      // The parser's own words: "Content-Length can't be present with Transfer-Encoding".
      const why = typeof error.reason === "string" && error.reason !== "" ? `: ${error.reason}` : "";
      return new ServeError("request-malformed", `the request is not well-formed HTTP${why}.`);
    }
  }
};
