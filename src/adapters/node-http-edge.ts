/**
 * ports/http-edge.ts on node:http. One object a connection and one a request; headers stay raw. Every limit of the edge is set here.
 * Drains in its own way: `server.close()` cuts connections that have not had their first request, which is a lost request for
 * whoever just connected.
 */
import type { IncomingMessage, Server, ServerOptions, ServerResponse } from "node:http";
import { type AddressInfo, Server as NetServer, type Socket } from "node:net";
import { messageOf, ServeError } from "../base/serve-error.ts";
import type { EdgeCounts, EdgeHandler, HttpEdge, ListenAt } from "../ports/http-edge.ts";
import { EDGE_LIMITS, type EdgeLimits } from "./edge-limits.ts";
import { nodeHttp } from "./node-http.ts";
import { type ExchangeEdge, linger, NodeExchange } from "./node-http-exchange.ts";
import { ReadAhead } from "./read-ahead.ts";

const serverOptions = (limits: EdgeLimits): ServerOptions => ({
  maxHeaderSize: limits.maxHeaderBytes,
  headersTimeout: limits.headersTimeoutMs,
  requestTimeout: limits.requestTimeoutMs,
  keepAliveTimeout: limits.keepAliveTimeoutMs,
  keepAlive: true,
  keepAliveInitialDelay: limits.tcpProbeAfterMs,
  connectionsCheckingInterval: limits.checkIntervalMs,
  // Answered by the proxy, as a problem.
  requireHostHeader: false,
  noDelay: true,
});

export interface NodeHttpEdgeOptions {
  /** Whether other processes may listen on the same port. Default `shared`, where the system can. */
  readonly port?: "shared" | "own" | undefined;
  /** Default: those of model/limits.ts. */
  readonly limits?: Partial<EdgeLimits> | undefined;
}

export const createNodeHttpEdge = (options: NodeHttpEdgeOptions = {}): HttpEdge => new NodeHttpEdge(options);

/** A client's connection. */
class EdgeConnection {
  readonly socket: Socket;
  readonly edge: ExchangeEdge;
  /** Requests that are not answered. HTTP/1.1 clients may send the next before the answer. */
  readonly open: NodeExchange[] = [];
  requests = 0;
  readonly unsent = new Set<() => void>();
  idleSince = 0;
  /** It has its answer, and what still comes is dropped: because its bytes are no HTTP, or because they are of an answered request. */
  isRefused = false;

  constructor(socket: Socket, edge: ExchangeEdge) {
    this.socket = socket;
    this.edge = edge;
  }
}

class NodeHttpEdge implements HttpEdge, ExchangeEdge {
  readonly limits: EdgeLimits;
  readonly readAhead: ReadAhead;
  readonly #server: Server;
  readonly #reasons = nodeHttp().STATUS_CODES;
  readonly #connections = new Map<Socket, EdgeConnection>();
  #handler: EdgeHandler | undefined;
  #isListening = false;
  isDraining = false;
  #drainTimer: NodeJS.Timeout | undefined;
  #onEmpty: (() => void) | undefined;
  readonly #sharesPort: boolean;
  #accepted = 0;
  #refused = 0;

  constructor({ port = "shared", limits = {} }: NodeHttpEdgeOptions) {
    this.limits = { ...EDGE_LIMITS, ...limits };
    this.readAhead = new ReadAhead(this.limits);
    this.#sharesPort = port === "shared" && process.platform === "linux";
    const server = nodeHttp().createServer(serverOptions(this.limits));
    // One more than allowed: some versions of Node drop what is above without a word, and the proxy refuses what it can see.
    server.maxHeadersCount = this.limits.maxHeaders + 1;
    server.maxConnections = this.limits.maxConnections;
    server.on("connection", (socket) => this.#connected(socket));
    server.on("drop", () => {
      this.#refused += 1;
    });
    server.on("request", (request, response) => this.#request(request, response, "at once"));
    server.on("checkContinue", (request, response) => this.#request(request, response, "after a nod"));
    server.on("checkExpectation", (request, response) => this.#request(request, response, "at once"));
    // Otherwise the engine would close it without a word.
    server.on("connect", (_request, socket) => this.#refuse(tunnelRefused(), socket as Socket));
    server.on("clientError", (error: NodeJS.ErrnoException, socket) => this.#refuse(error, socket as Socket));
    this.#server = server;
  }

  async listen(at: ListenAt, handler: EdgeHandler): Promise<number> {
    this.#handler = handler;
    const server = this.#server;
    const options =
      at.kind === "fd" ? { fd: at.fd } : { host: at.host, port: at.port, exclusive: true, reusePort: this.#sharesPort };
    await new Promise<void>((resolve, reject) => {
      server.once("error", (cause) => reject(notListening(at, cause)));
      server.listen(options, resolve);
    });
    server.removeAllListeners("error");
    // Out of descriptors while accepting: that connection is lost, the listener lives on.
    server.on("error", () => {});
    this.#isListening = true;
    return (server.address() as AddressInfo).port;
  }

  drain(): Promise<void> {
    this.isDraining = true;
    this.#stopListening();
    if (this.#connections.size === 0) return Promise.resolve();
    const began = performance.now();
    for (const connection of this.#connections.values()) connection.idleSince = Math.max(connection.idleSince, began);
    this.#drainTimer = setInterval(() => this.#closeIdle(), this.limits.drainIdleMs / 4);
    return new Promise((resolve) => {
      this.#onEmpty = resolve;
    });
  }

  stop(): void {
    this.#stopListening();
    clearInterval(this.#drainTimer);
    this.readAhead.stop();
    for (const socket of this.#connections.keys()) socket.destroy();
    this.#server.closeAllConnections();
    // Ends the engine's own timer; the listener is closed already.
    this.#server.close();
  }

  reasonOf(status: number): string {
    return this.#reasons[status] ?? "Error";
  }

  counts(): EdgeCounts {
    return { open: this.#connections.size, accepted: this.#accepted, refused: this.#refused };
  }

  #stopListening(): void {
    if (!this.#isListening) return;
    this.#isListening = false;
    // That of net: http's own would also close what seems idle to it.
    NetServer.prototype.close.call(this.#server);
  }

  #connected(socket: Socket): void {
    const connection = new EdgeConnection(socket, this);
    this.#accepted += 1;
    this.#connections.set(socket, connection);
    socket.once("close", () => {
      this.#connections.delete(socket);
      for (const exchange of [...connection.open]) exchange.gone();
      for (const done of connection.unsent) done();
      connection.unsent.clear();
      if (this.#connections.size === 0) this.#empty();
    });
  }

  #request(request: IncomingMessage, response: ServerResponse, sends: "at once" | "after a nod"): void {
    const connection = this.#connections.get(request.socket);
    // Closed in the same turn in which its request was read, or about to be: nothing more can be answered.
    if (connection === undefined || this.#handler === undefined || !request.socket.writable) return;
    connection.requests += 1;
    const exchange = new NodeExchange(connection, { request, response, sends });
    connection.open.push(exchange);
    if (request.httpVersionMajor !== 1) {
      // `GET /` without a version is HTTP/0.9, which the parser still knows.
      const { status, headers, body } = this.#handler.refusal(
        "request-malformed",
        "the request names no version of HTTP/1.",
      );
      response.shouldKeepAlive = false;
      exchange.reply(status, [...headers, "content-length", String(body.length)], body);
      return;
    }
    exchange.events = this.#handler.onRequest(exchange);
  }

  /** Bytes that are no request, or that do not come: answered, unless an answer to an earlier request is on its way. */
  #refuse(error: NodeJS.ErrnoException, socket: Socket): void {
    const connection = this.#connections.get(socket);
    if (connection?.isRefused === true) return;
    if (connection !== undefined && error.code === "HPE_CLOSED_CONNECTION") {
      // It said that its request was the last: that one is answered, and what comes behind it is not looked at.
      connection.isRefused = true;
      return;
    }
    const isAnswering = (connection?.open ?? []).some((exchange) => exchange.hasBegun);
    const isSilent = error.code === "ERR_HTTP_REQUEST_TIMEOUT" && socket.bytesRead === 0;
    if (this.#handler === undefined || !socket.writable || isAnswering || isSilent || error.code === "ECONNRESET") {
      socket.destroy();
      return;
    }
    if (connection !== undefined) connection.isRefused = true;
    for (const exchange of [...(connection?.open ?? [])]) exchange.gone();
    const { status, headers, body } = this.#handler.refusal(...refusalOf(error, this.limits));
    const lines = [
      `HTTP/1.1 ${status} ${this.reasonOf(status)}`,
      "connection: close",
      `content-length: ${body.length}`,
    ];
    for (let index = 0; index < headers.length; index += 2) lines.push(`${headers[index]}: ${headers[index + 1]}`);
    socket.write(Buffer.concat([Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1"), body]));
    linger(socket, this.limits);
  }

  #closeIdle(): void {
    const now = performance.now();
    for (const { socket, requests, open, idleSince } of this.#connections.values()) {
      if (requests > 0 && open.length === 0 && now - idleSince >= this.limits.drainIdleMs) socket.end();
    }
  }

  #empty(): void {
    this.#onEmpty?.();
    this.#onEmpty = undefined;
  }
}

const tunnelRefused = (): Error => Object.assign(new Error("CONNECT"), { reason: "it asks for a tunnel" });

function refusalOf(error: NodeJS.ErrnoException, limits: EdgeLimits): Parameters<EdgeHandler["refusal"]> {
  switch (error.code) {
    case "HPE_HEADER_OVERFLOW": {
      // Node says so of both, and not of which.
      const { maxHeaderBytes, maxHeaders } = limits;
      const sentence = `the request's head is larger than ${maxHeaderBytes} bytes, or has more than ${maxHeaders} header fields.`;
      return ["headers-too-large", sentence];
    }
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return ["request-timeout", "the request did not arrive in time."];
    default: {
      // The parser's own words: "Content-Length can't be present with Transfer-Encoding".
      const reason = (error as { readonly reason?: unknown }).reason;
      return [
        "request-malformed",
        `the request is not well-formed HTTP${typeof reason === "string" ? `: ${reason}` : ""}.`,
      ];
    }
  }
}

function notListening(at: ListenAt, cause: NodeJS.ErrnoException): ServeError {
  const where = at.kind === "fd" ? `the inherited socket ${at.fd}` : `port ${at.port} of ${at.host}`;
  const code = cause.code === "EADDRINUSE" ? "port-in-use" : "config-invalid";
  const why = cause.code === "EADDRINUSE" ? "it is already in use" : messageOf(cause);
  return new ServeError(code, `cannot listen on ${where}: ${why}. Choose another host or port.`, { cause });
}
