/**
 * The node's listening sockets, one for each host and port that proxies answer on. Port 0 is resolved once and written down, so that
 * the proxies of the next agent answer where those of this one did.
 */
import { fromErrorBody, isServeError, toErrorBody } from "../base/serve-error.ts";
import type { ErrorBody } from "../model/error-codes.ts";
import type { ActorLedger } from "../ports/actor-ledger.ts";
import type { ListenSocket, ListenSockets } from "../ports/listen-sockets.ts";
import type { Log } from "../ports/log.ts";

export interface ListenAt {
  readonly host: string;
  /** 0 = one that the system chooses. */
  readonly port: number;
}

export type Listener =
  | { readonly kind: "opening"; readonly done: Promise<void> }
  | { readonly kind: "open"; readonly socket: ListenSocket }
  /** Reported once; asked again, it is tried again. */
  | { readonly kind: "failed"; readonly error: ErrorBody };

export interface ListenerParts {
  readonly sockets: ListenSockets;
  readonly ledger: ActorLedger;
  readonly log: Log;
  /** Proxies of this instance that live from an earlier agent answer there. */
  readonly isHeldByOurs: (at: ListenAt) => boolean;
}

export class ListenerTable {
  readonly #parts: ListenerParts;
  readonly #listeners = new Map<string, Listener>();

  constructor(parts: ListenerParts) {
    this.#parts = parts;
  }

  /** The socket, or what is in its way. */
  of(at: ListenAt): Listener {
    const key = this.#keyOf(at);
    const known = this.#listeners.get(key);
    if (known?.kind === "failed") this.#listeners.delete(key);
    if (known !== undefined) return known;
    const opening: Listener = { kind: "opening", done: this.#open(key, at) };
    this.#listeners.set(key, opening);
    return opening;
  }

  /** Resolves when it is open, rejects with why it cannot be. */
  async ensure(at: ListenAt): Promise<void> {
    const first = this.of(at);
    if (first.kind === "opening") await first.done;
    const then = this.of(at);
    if (then.kind === "failed") throw fromErrorBody(then.error);
  }

  close(): void {
    const open = [...this.#listeners.values()].filter((listener) => listener.kind === "open");
    for (const socket of new Set(open.map((listener) => listener.socket))) socket.close();
    this.#listeners.clear();
  }

  async #open(key: string, at: ListenAt): Promise<void> {
    const { ledger, log } = this.#parts;
    try {
      const socket = await this.#openChosen(at);
      if (at.port === 0 && ledger.chosenPort(at.host) !== socket.port) ledger.saveChosenPort(at.host, socket.port);
      log.info("listening", { host: at.host, port: socket.port, inherited: socket.fd !== undefined });
      // An actor's file names the port itself: both names are one socket.
      for (const name of [key, nameOf({ ...at, port: socket.port })])
        this.#listeners.set(name, { kind: "open", socket });
    } catch (error) {
      if (!isServeError(error)) throw error;
      this.#listeners.set(key, { kind: "failed", error: toErrorBody(error) });
    }
  }

  /** A port that was chosen once may be somebody else's by now: then another is chosen. */
  async #openChosen(at: ListenAt): Promise<ListenSocket> {
    const { sockets, ledger } = this.#parts;
    const chosen = at.port === 0 ? ledger.chosenPort(at.host) : at.port;
    if (chosen === undefined) return sockets.open({ ...at, heldBy: "nobody" });
    const heldBy = this.#parts.isHeldByOurs({ host: at.host, port: chosen }) ? "ours" : "nobody";
    try {
      return await sockets.open({ host: at.host, port: chosen, heldBy });
    } catch (error) {
      if (at.port === 0 && isServeError(error) && error.code === "port-in-use") {
        return sockets.open({ ...at, heldBy: "nobody" });
      }
      throw error;
    }
  }

  #keyOf(at: ListenAt): string {
    const port = at.port === 0 ? (this.#parts.ledger.chosenPort(at.host) ?? 0) : at.port;
    return nameOf({ ...at, port });
  }
}

const nameOf = ({ host, port }: ListenAt): string => `${host} ${port}`;
