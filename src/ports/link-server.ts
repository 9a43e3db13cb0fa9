/**
 * The agent's side of `agent.sock` (model/link-messages.ts). A link speaks only after its hello; whoever breaks the protocol is told so
 * and cut off.
 * Callbacks never run inside a call.
 */
import type { FromAgent, ToAgent } from "../model/link-messages.ts";

export interface ServerLink {
  /** Dropped when the link is closed; a peer that does not read is cut off at MAX_LINK_BACKLOG_BYTES. */
  send(message: FromAgent): void;
  /** Sends what is queued, then closes; a peer that does not close in turn is cut off after GOODBYE_MS. */
  close(): void;
}

export interface LinkServerEvents {
  onMessage(link: ServerLink, message: ToAgent): void;
  /** It sent what is no message, perhaps before any hello: `what` completes "the peer sent …". The link is being closed. */
  onBreach(link: ServerLink, what: string): void;
  /** Exactly once for a link that has sent a message. */
  onClose(link: ServerLink): void;
}

export interface LinkServer {
  /** Resolves when peers can dial. */
  start(events: LinkServerEvents): Promise<void>;
  stop(): void;
}
