/**
 * ports/link-server.ts on `<run>/agent.sock`. The folder is 0700, so every peer is of this user; a peer is still held to the protocol:
 * a hello first and soon, messages whose fields are what they must be, lines of bounded length, and it must read what it is sent.
 */
import { chmodSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { messageOf, ServeError } from "../base/serve-error.ts";
import { readMessage } from "../core/agent/read-message.ts";
import { GOODBYE_MS, LINK_HELLO_MS, MAX_LINK_BACKLOG_BYTES, MAX_LINK_LINE_BYTES } from "../model/limits.ts";
import type { FromAgent } from "../model/link-messages.ts";
import type { LinkServer, LinkServerEvents, ServerLink } from "../ports/link-server.ts";
import { encodeLine, LineReader } from "./json-lines.ts";
import { removeFile } from "./whole-files.ts";

/** Only the holder of the agent's lock may start it: a socket file in the way is then a dead agent's. */
export const createLinkServer = (path: string, { helloMs = LINK_HELLO_MS } = {}): LinkServer =>
  new SocketLinkServer(path, helloMs);

class SocketLinkServer implements LinkServer {
  readonly #path: string;
  readonly #helloMs: number;
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;

  constructor(path: string, helloMs: number) {
    this.#path = path;
    this.#helloMs = helloMs;
  }

  start(events: LinkServerEvents): Promise<void> {
    removeFile(this.#path);
    const server = createServer((socket) => this.#accept(socket, events));
    this.#server = server;
    return new Promise((resolve, reject) => {
      server.once("error", (cause) =>
        reject(new ServeError("state-unwritable", `${this.#path} cannot be opened: ${messageOf(cause)}.`, { cause })),
      );
      server.listen(this.#path, () => {
        chmodSync(this.#path, 0o600);
        resolve();
      });
    });
  }

  stop(): void {
    this.#server?.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #accept(socket: Socket, events: LinkServerEvents): void {
    const lines = new LineReader(MAX_LINK_LINE_BYTES);
    const link = new SocketServerLink(socket);
    let greeted = false;
    let isOver = false;
    const refuse = (what: string): void => {
      isOver = true;
      const message = `the agent closes this connection: the peer sent ${what}.`;
      link.send({ kind: "failed", error: { code: "wire-protocol", message } });
      link.close();
    };
    const breach = (what: string): void => {
      events.onBreach(link, what);
      refuse(what);
    };
    // No breach: user code may have stopped the peer right after it dialled. It dials again.
    const patience = setTimeout(() => refuse(`no hello within ${this.#helloMs} ms`), this.#helloMs);
    this.#sockets.add(socket);
    socket.on("data", (bytes: Buffer) => {
      if (isOver) return;
      const { values, problem } = lines.push(bytes);
      for (const value of values) {
        if (socket.destroyed) return;
        const read = readMessage(value);
        if (read.kind === "breach") return breach(read.what);
        if (!greeted && read.message.kind !== "hello") return breach("a message before its hello");
        if (!greeted) clearTimeout(patience);
        greeted = true;
        events.onMessage(link, read.message);
      }
      if (problem !== undefined && !socket.destroyed) breach(problem);
    });
    socket.on("error", () => {}); // `close` follows and is enough
    socket.on("close", () => {
      clearTimeout(patience);
      this.#sockets.delete(socket);
      if (greeted) events.onClose(link);
    });
  }
}

class SocketServerLink implements ServerLink {
  readonly #socket: Socket;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  send(message: FromAgent): void {
    if (this.#socket.destroyed || !this.#socket.writable) return;
    this.#socket.write(encodeLine(message));
    if (this.#socket.writableLength > MAX_LINK_BACKLOG_BYTES) this.#socket.destroy();
  }

  close(): void {
    const timer = setTimeout(() => this.#socket.destroy(), GOODBYE_MS);
    this.#socket.once("close", () => clearTimeout(timer)).end();
  }
}
