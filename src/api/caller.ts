/**
 * What stands between a handle and the process that can send its calls. A handle turns property names into one of three calls;
 * a `Caller` (made by the replica or the client from its router, one an endpoint) sends them.
 */
import type { CallOptions, Send } from "./handle-types.ts";

/** What a call gives: await it, or iterate it when the result is a stream. Made by `OpenCall`. */
export type CallResult = Promise<unknown> & AsyncIterable<unknown> & { cancel(reason?: unknown): void };

/** Sends calls to one endpoint. The three functions never throw: what goes wrong is in the result. */
export interface Caller {
  callMethod(method: string, args: readonly unknown[], options: CallOptions): CallResult;
  /** `body` undefined: a request without one. */
  callDoor(body: unknown, send: Send, options: CallOptions): CallResult;
  fetch(request: Request, options: CallOptions): Promise<Response>;
}

/** Gives the caller of an endpoint; the same one for the same endpoint while it lives. */
export type CallerFactory = (endpoint: string) => Caller;
