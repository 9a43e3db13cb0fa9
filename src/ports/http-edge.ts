/**
 * HTTP/1.1 from outside: what a proxy needs of an HTTP engine, so that another one may be put under it. The engine keeps the protocol:
 * framing, limits of time and size, keep-alive, pipelining; what is malformed does not get past it. Bodies pass untouched.
 */
import type { FlatHeaders } from "../model/wire.ts";

/** One request and the way to answer it. `reply`, `end` or `cut` ends it; after that the rest does nothing. */
export interface Exchange {
  /** Upper case. */
  readonly method: string;
  /** As it stands in the request line. */
  readonly target: string;
  readonly version: "1.0" | "1.1";
  /** `[name, value, …]` as they came. */
  readonly rawHeaders: readonly string[];
  /** For a request that announces a small body: gives it when it is whole. A client that asked for a nod gets it by this. */
  readBody(done: (body: Uint8Array) => void): void;
  /**
   * For a request that announces a large body, or one of unknown length. The first call comes at the end of this turn of the event
   * loop at the latest, with whatever is there: with "end" it is all. One of the two methods, once.
   */
  streamBody(onPart: (bytes: Uint8Array, part: "more" | "end") => void): void;
  /** The nod for a client that asked for it before it sends; nothing otherwise. Only for `streamBody`. */
  welcomeBody(): void;
  /** The client is made to stop sending, once what the systems between hold is full. */
  pauseBody(): void;
  resumeBody(): void;
  /**
   * Head and body at once; `body` undefined = none. The connection ends with it when the request's body was not read to its end.
   * false: the head is no HTTP, and nothing was sent.
   */
  reply(status: number, headers: FlatHeaders, body: Uint8Array | undefined): boolean;
  /** The head of an answer that comes in parts. false: as above. */
  begin(status: number, headers: FlatHeaders): boolean;
  /** false: the client takes no more for now; wait for `onDrain`. `letGo` is called when nobody looks at the bytes any more. */
  write(bytes: Uint8Array, letGo?: () => void): boolean;
  /** The rest of the request's body is dropped within bounds. */
  end(): void;
  /** `done` is called once: when the client's system has all of the answer, or the connection is gone. */
  whenSent(done: () => void): void;
  /** Breaks the connection behind what was written: the client must see that the answer is not whole. Bounded for one that does not read. */
  cut(): void;
}

/** Who answers an exchange. Nothing is called after its end. */
export interface ExchangeEvents {
  /** The client left before the answer was whole. */
  onGone(): void;
  onDrain(): void;
}

/** An answer in one piece. */
export interface EdgeAnswer {
  readonly status: number;
  readonly headers: FlatHeaders;
  readonly body: Uint8Array;
}

export interface EdgeHandler {
  /** A request whose head is there. */
  onRequest(exchange: Exchange): ExchangeEvents;
  /** The engine refuses a connection's bytes: what it should answer before it closes. `sentence` says why. */
  refusal(code: "request-malformed" | "headers-too-large" | "request-timeout", sentence: string): EdgeAnswer;
}

export type ListenAt =
  /** A listening socket that this process was started with. */
  | { readonly kind: "fd"; readonly fd: number }
  /** Shares the port with the other proxies of the node where the system can. */
  | { readonly kind: "port"; readonly host: string; readonly port: number };

/** Of connections, since the edge was made. */
export interface EdgeCounts {
  readonly open: number;
  readonly accepted: number;
  /** Too many were open. */
  readonly refused: number;
}

export interface HttpEdge {
  /** Answers the port. Rejects with a ServeError (`port-in-use` …). */
  listen(at: ListenAt, handler: EdgeHandler): Promise<number>;
  /**
   * Accepts no more and lets the clients go: each answer is the last of its connection, a connection without a request waits for its
   * first, one that stays idle is closed. Resolves when all are gone.
   */
  drain(): Promise<void>;
  /** Cuts what is left. */
  stop(): void;
  /** `Not Found`: for titles. */
  reasonOf(status: number): string;
  counts(): EdgeCounts;
}
