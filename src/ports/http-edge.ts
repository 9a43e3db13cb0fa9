/**
 * HTTP/1.1 from outside: what a proxy needs of an HTTP engine, so that another one may be put under it. The engine keeps the protocol:
 * framing, limits of time and size, keep-alive, pipelining, and what is malformed never gets here. Bodies and headers pass untouched.
 */
import type { FlatHeaders } from "../model/wire.ts";

/** Why a body did not arrive whole. */
export type BodyProblem = "too-large" | "gone";

/** One request and the way to answer it. Exactly one of `reply`, `begin … end` or `cut` ends it; after that the rest does nothing. */
export interface Exchange {
  /** Upper case. */
  readonly method: string;
  /** As it stands in the request line. */
  readonly target: string;
  /** `[name, value, …]` as they came. */
  readonly rawHeaders: readonly string[];
  /** False: there is none to read. */
  readonly hasBody: boolean;
  /** Of the declared body; undefined = it comes in chunks, or there is none. */
  readonly bodyBytes: number | undefined;
  /** Whether it was asked to wait for a nod (`expect: 100-continue`) does not matter here: reading is the nod. */
  readBody(maxBytes: number, done: (body: Uint8Array | BodyProblem) => void): void;
  /** Head and body at once. `body` undefined: none, and no length. A body that nobody read ends the connection with the answer. */
  reply(status: number, headers: FlatHeaders, body: Uint8Array | undefined): void;
  begin(status: number, headers: FlatHeaders): void;
  /** false: the client takes no more for now; wait for `onDrain`. */
  write(bytes: Uint8Array): boolean;
  end(): void;
  /** Breaks the connection: the client must see that the answer is not whole. */
  cut(): void;
}

/** Who answers exchanges. Nothing is called after an exchange was ended, nor inside the calls that it makes. */
export interface ExchangeEvents {
  /** The client left before the answer was whole. */
  onGone(): void;
  onDrain(): void;
}

export interface EdgeHandler {
  /** A request whose head is there. */
  onRequest(exchange: Exchange): ExchangeEvents;
  /** What is not HTTP, too large or too slow: the body of the answer that the engine gives before it closes the connection. */
  problem(code: "request-malformed" | "headers-too-large" | "request-timeout"): EdgeProblem;
}

export interface EdgeProblem {
  readonly status: number;
  readonly headers: FlatHeaders;
  readonly body: Uint8Array;
}

export type ListenAt =
  /** A listening socket that this process was started with. */
  | { readonly kind: "fd"; readonly fd: number }
  /** Shares the port with the other proxies of the node where the system can. */
  | { readonly kind: "port"; readonly host: string; readonly port: number };

export interface HttpEdge {
  /** Answers the port. Rejects with a ServeError (`port-in-use` …). */
  listen(at: ListenAt, handler: EdgeHandler): Promise<number>;
  /**
   * Accepts no more and lets the clients go: each answer is the last of its connection, a connection without a request waits for its
   * first, an idle one is closed. Resolves when all are gone.
   */
  drain(): Promise<void>;
  /** Cuts what is left. */
  stop(): void;
  /** `Not Found`; for titles of answers. */
  reasonOf(status: number): string;
}
