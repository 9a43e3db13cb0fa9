/**
 * One request and its answer on node:http. Whatever happens it is settled once: by an answer, a cut, or the client's leaving. An answer
 * to a request whose body was not read is the last of its connection, and the rest of that body is dropped for a bounded time, so that
 * the client gets to read why.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { FlatHeaders } from "../model/wire.ts";
import type { Exchange, ExchangeEvents } from "../ports/http-edge.ts";
import { BodyFlow } from "./body-flow.ts";
import type { EdgeLimits } from "./edge-limits.ts";
import type { ReadAhead } from "./read-ahead.ts";

/** Up to this size head and body leave as one string, which is cheaper than two buffers. */
const ONE_STRING_BYTES = 16_384;

/** Large parts that come one behind the other are written together, up to this size: each write wakes the client, which costs more than its bytes. */
const TOGETHER_BYTES = 524_288;

const latin1Slice = Buffer.prototype.latin1Slice as unknown as (this: Uint8Array, start: number, end: number) => string;
const latin1Of = (bytes: Uint8Array): string => latin1Slice.call(bytes, 0, bytes.length);

/** What the exchanges of an edge share. */
export interface ExchangeEdge {
  readonly isDraining: boolean;
  readonly limits: EdgeLimits;
  readonly readAhead: ReadAhead;
}

/** The connection as its exchanges see it. */
export interface ExchangeConnection {
  readonly socket: Socket;
  readonly edge: ExchangeEdge;
  /** Nearly always one; an array, because a Set makes garbage with each change. */
  readonly open: NodeExchange[];
  /** Told when it is closed: who waits for an answer to be sent. */
  readonly unsent: Set<() => void>;
  idleSince: number;
  /** What still comes gets no answer. */
  isRefused: boolean;
}

export interface NodeMessages {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly sends: "at once" | "after a nod";
}

export class NodeExchange implements Exchange {
  /** Set when the handler has returned. */
  events: ExchangeEvents | undefined;
  readonly #connection: ExchangeConnection;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  #awaitsNod: boolean;
  #awaitsDrain = false;
  /** Small parts for a client that takes none now: each by itself costs the engine hundreds of bytes. */
  #waiting = "";
  /** Bytes of large parts that wait for those behind them. */
  #gathered = 0;
  /** To look whether there were more. */
  #turn: NodeJS.Immediate | undefined;
  #isOver = false;
  /** Nothing else tells where the answer ends. */
  #endsWithConnection = false;
  #flow: BodyFlow | undefined;

  constructor(connection: ExchangeConnection, { request, response, sends }: NodeMessages) {
    this.#connection = connection;
    this.#request = request;
    this.#response = response;
    this.#awaitsNod = sends === "after a nod";
  }

  get method(): string {
    return this.#request.method!;
  }
  get target(): string {
    return this.#request.url!;
  }
  get version(): "1.0" | "1.1" {
    return this.#request.httpVersionMinor === 0 ? "1.0" : "1.1";
  }
  get rawHeaders(): readonly string[] {
    return this.#request.rawHeaders;
  }
  /** Something of the answer has left. */
  get hasBegun(): boolean {
    return this.#response.headersSent;
  }

  readBody(done: (body: Uint8Array) => void): void {
    this.welcomeBody();
    const request = this.#request;
    let parts: Buffer[] | undefined;
    let first: Buffer | undefined;
    request.on("data", (part: Buffer) => {
      if (first === undefined) first = part;
      else {
        parts ??= [first];
        parts.push(part);
      }
    });
    request.on("end", () => {
      if (!this.#isOver) done(parts === undefined ? (first ?? new Uint8Array(0)) : Buffer.concat(parts));
    });
  }

  streamBody(onPart: (bytes: Uint8Array, part: "more" | "end") => void): void {
    this.#flow = new BodyFlow(this.#request, this.#connection.edge.readAhead, onPart);
  }

  welcomeBody(): void {
    if (!this.#awaitsNod || this.#isOver || this.#response.headersSent) return;
    this.#awaitsNod = false;
    this.#response.writeContinue();
  }

  pauseBody(): void {
    this.#flow?.pause();
  }

  resumeBody(): void {
    if (!this.#isOver) this.#flow?.resume();
  }

  reply(status: number, headers: FlatHeaders, body: Uint8Array | undefined): boolean {
    if (this.#isOver) return true;
    const response = this.#response;
    const isUnread = this.#hasUnreadBody();
    this.#flow?.drop();
    if (isUnread || this.#connection.edge.isDraining) response.shouldKeepAlive = false;
    if (!this.#writeHead(status, headers)) return false;
    if (isUnread) this.#endAndLinger(body);
    else if (body === undefined) response.end();
    else if (body.length <= ONE_STRING_BYTES) response.end(latin1Of(body), "latin1");
    else response.end(body);
    this.#over();
    return true;
  }

  begin(status: number, headers: FlatHeaders): boolean {
    if (this.#isOver) return true;
    if (this.#connection.edge.isDraining) this.#response.shouldKeepAlive = false;
    this.#endsWithConnection = this.version === "1.0" && !headers.includes("content-length");
    return this.#writeHead(status, headers);
  }

  write(bytes: Uint8Array, letGo?: () => void): boolean {
    if (this.#isOver) {
      letGo?.();
      return true;
    }
    const isSmall = bytes.length <= ONE_STRING_BYTES;
    if (isSmall && this.#awaitsDrain) {
      this.#waiting += latin1Of(bytes);
      letGo?.();
      return false;
    }
    this.#writeWaiting();
    const response = this.#response;
    // What has to wait is copied: it lies in all that a read brought, for other clients too, and would keep that alive.
    const isCopied = isSmall && response.writableLength > 0;
    if (!isSmall) this.#gather(bytes.length);
    const goesOn = isCopied ? response.write(latin1Of(bytes), "latin1", letGo) : response.write(bytes, letGo);
    if (!goesOn) this.#awaitDrain();
    if (this.#gathered >= TOGETHER_BYTES) this.#sendGathered();
    // Where the system has taken all of it at once, `onDrain` was before this returns.
    return goesOn || !this.#awaitsDrain;
  }

  end(): void {
    if (this.#isOver) return;
    const isUnread = this.#hasUnreadBody();
    this.#flow?.drop();
    this.#writeWaiting();
    this.#sendGathered();
    this.#response.end();
    if (isUnread) this.#dropRest();
    this.#over();
  }

  whenSent(done: () => void): void {
    const { socket, unsent } = this.#connection;
    if (socket.closed) {
      done();
      return;
    }
    // A response behind others on its connection hears of no close.
    unsent.add(done);
    this.#response.once("close", () => {
      if (unsent.delete(done)) done();
    });
  }

  cut(): void {
    if (this.#isOver) return;
    const isUnread = this.#hasUnreadBody();
    this.#flow?.drop();
    this.#over();
    const connection = this.#connection;
    const { socket, edge } = connection;
    // It ends already: destroyed, or broken off by an answer before or behind this one.
    if (!socket.writable) return;
    // What was written in this turn is still corked, and more may wait for the client: it is sent first, and then no end of the answer.
    this.#writeWaiting();
    this.#sendGathered();
    if (this.#response.writableCorked > 0) this.#response.uncork();
    // Where nothing else ends the answer, an orderly close would pass for its end.
    const mustReset = this.#endsWithConnection;
    if (isUnread && !mustReset) {
      // To close before the body is read would reset the connection, and the client lose what it has not read.
      socket.end();
      this.#dropRest();
      this.#request.once("end", () => socket.destroy());
    } else {
      connection.isRefused = true;
      const timer = setTimeout(() => (mustReset ? socket.resetAndDestroy() : socket.destroy()), edge.limits.lingerMs);
      socket.once("close", () => clearTimeout(timer));
      if (mustReset) socket.write("", () => socket.resetAndDestroy());
      else socket.destroySoon();
    }
  }

  /** The connection is closed, or of no more use. */
  gone(): void {
    if (this.#isOver) return;
    this.#waiting = "";
    this.#over();
    this.events?.onGone();
  }

  #writeHead(status: number, headers: FlatHeaders): boolean {
    try {
      this.#response.writeHead(status, headers as string[]);
      return true;
    } catch {
      // A name or value that HTTP does not allow; the caller knows whose it is. Node keeps the phrase of the status that it refused.
      this.#response.statusMessage = "";
      return false;
    }
  }

  /** Whether there are bytes of the request that nobody will read. */
  #hasUnreadBody(): boolean {
    const request = this.#request;
    if (request.complete || request.readableEnded) return false;
    const { "content-length": length, "transfer-encoding": coding } = request.headers;
    return coding !== undefined || (length !== undefined && length !== "0");
  }

  /** The answer is whole by its length; the connection ends when the client has had time to read it. */
  #endAndLinger(body: Uint8Array | undefined): void {
    const response = this.#response;
    if (body === undefined) response.flushHeaders();
    else response.write(body);
    this.#request.once("end", () => response.end());
    this.#dropRest();
  }

  /** One listener for all that is written above the mark: there are many small parts in a window. */
  #awaitDrain(): void {
    if (this.#awaitsDrain) return;
    this.#awaitsDrain = true;
    this.#response.once("drain", () => {
      this.#awaitsDrain = false;
      if (this.#isOver) return;
      if (this.#writeWaiting()) this.events?.onDrain();
      else this.#awaitDrain();
    });
  }

  /** Nothing waits longer than the wire has more: a turn of the event loop without a further part sends it. */
  #gather(bytes: number): void {
    if (this.#gathered === 0) this.#response.cork();
    this.#gathered += bytes;
    this.#turn ??= setImmediate(turned, this, 0);
  }

  /** @param gathered a turn of the event loop ago. */
  turned(gathered: number): void {
    this.#turn = undefined;
    if (this.#gathered === gathered) this.#sendGathered();
    if (this.#gathered > 0) this.#turn = setImmediate(turned, this, this.#gathered);
  }

  #sendGathered(): void {
    if (this.#gathered === 0) return;
    this.#gathered = 0;
    this.#response.uncork();
  }

  /** false: the client takes no more for now. */
  #writeWaiting(): boolean {
    if (this.#waiting === "") return true;
    const waiting = this.#waiting;
    this.#waiting = "";
    return this.#response.write(waiting, "latin1");
  }

  /**
   * The client has an answer whose end it can see. When it sends on for too long, the connection ends. Reads by the request: listening
   * to the socket itself, as `linger` does, would leave a connection that was paused asleep.
   */
  #dropRest(): void {
    const connection = this.#connection;
    const { socket } = connection;
    // Malformed now, it would get a second answer.
    connection.isRefused = true;
    const { lingerBytes, lingerMs } = connection.edge.limits;
    const until = socket.bytesRead + lingerBytes;
    const timer = setTimeout(() => socket.destroy(), lingerMs);
    this.#request.on("data", () => {
      if (socket.bytesRead > until) socket.destroy();
    });
    this.#request.once("end", () => {
      connection.isRefused = false;
      clearTimeout(timer);
    });
    socket.once("close", () => clearTimeout(timer));
    this.#request.resume();
  }

  #over(): void {
    this.#isOver = true;
    this.#flow?.leave();
    const { open } = this.#connection;
    if (open.at(-1) === this) open.pop();
    else open.splice(open.indexOf(this), 1);
    if (this.#connection.edge.isDraining) this.#connection.idleSince = performance.now();
  }
}

const turned = (exchange: NodeExchange, gathered: number): void => exchange.turned(gathered);

/**
 * Drops what a client still sends, for a bounded time and number of bytes, then closes. Closing at once would reset the connection, and
 * the client's system would throw away the answer that it has not read.
 */
export function linger(socket: Socket, { lingerBytes, lingerMs }: EdgeLimits): void {
  const until = socket.bytesRead + lingerBytes;
  const timer = setTimeout(() => socket.destroy(), lingerMs);
  socket.once("close", () => clearTimeout(timer));
  socket.on("error", () => {}); // `close` follows
  socket.on("data", () => {
    if (socket.bytesRead > until) socket.destroy();
  });
  socket.once("end", () => socket.destroy());
  socket.resume();
}
