/**
 * ports/transport.ts on node:net: unix paths and TCP. A listener takes over the socket file of a process that is gone, and refuses
 * with `port-in-use` when somebody answers there.
 */
import { unlink } from "node:fs/promises";
import { connect, createServer, type ListenOptions, type Socket as NetSocket, type Server } from "node:net";
import { ServeError } from "../base/serve-error.ts";
import type { Address } from "../model/actor.ts";
import type { Listening, Socket, SocketEvents, Transport } from "../ports/transport.ts";
import { createEndOfTurn } from "./end-of-turn.ts";
import { lends, ReadPool, readsInto } from "./read-memory.ts";

export const createSocketTransport = (): Transport => {
  const pool = new ReadPool();
  return {
    endOfTurn: createEndOfTurn(),
    connect(address, events) {
      const options = { ...pathOrPort(address), noDelay: true };
      const socket = connect(lends(events) ? { ...options, onread: readsInto(pool, events) } : options);
      socket.on("connect", () => events.onOpen?.());
      return attach(socket, events);
    },
    listen,
  };
};

function attach(socket: NetSocket, events: SocketEvents): Socket {
  let failure: Error | undefined;
  socket.on("data", (bytes: Buffer) => events.onData(bytes));
  socket.on("drain", () => events.onDrain());
  socket.on("error", (error) => {
    failure = error;
  });
  socket.on("close", () => events.onClose(failure));
  return portOf(socket);
}

const portOf = (socket: NetSocket): Socket => ({
  // A write to a socket that has ended is an error event of its own, after `close`: nobody would be there to hear it.
  write: (...pieces) =>
    socket.writable && (pieces.length === 1 ? socket.write(pieces[0]!) : writeTogether(socket, pieces)),
  // What the kernel refuses at once (EPIPE) shows here before `close` comes.
  get isOpen() {
    return socket.writable;
  },
  pause: () => void socket.pause(),
  resume: () => void socket.resume(),
  end: () => void socket.end(),
  destroy: () => void socket.destroy(),
});

/** One system call for all of them, not one each. */
function writeTogether(socket: NetSocket, pieces: readonly Uint8Array[]): boolean {
  let hasRoom = true;
  socket.cork();
  for (const piece of pieces) hasRoom = socket.write(piece);
  socket.uncork();
  return hasRoom;
}

async function listen(address: Address, accept: (socket: Socket) => SocketEvents): Promise<Listening> {
  const open = () => {
    const server = createServer({ noDelay: true }, (socket) => {
      let failure: Error | undefined;
      socket.on("error", (error) => {
        failure = error;
      });
      const events = accept(portOf(socket));
      socket.on("data", (bytes: Buffer) => events.onData(bytes));
      socket.on("drain", () => events.onDrain());
      socket.on("close", () => events.onClose(failure));
    });
    return bind(server, pathOrPort(address));
  };
  const server = await open().catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== "EADDRINUSE") throw error;
    const path = pathOf(address);
    if (path === undefined || (await answers(path))) throw inUse(address, error);
    await unlink(path).catch(ignoreMissing);
    return open();
  });
  return { address: addressOf(server, address), close: () => close(server) };
}

const bind = (server: Server, where: ListenOptions): Promise<Server> =>
  new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(where, () => {
      server.off("error", reject);
      // Out of descriptors while accepting: the connection is refused, the listener lives on.
      server.on("error", () => {});
      resolve(server);
    });
  });

/** `close` resolves when no connection is open any more; the port promises only that no new one is taken. */
const close = (server: Server): Promise<void> =>
  new Promise((resolve) => {
    server.close();
    resolve();
  });

/** Whether a process accepts on this path: a file alone may be left over from a dead one. */
const answers = (path: string): Promise<boolean> =>
  new Promise((resolve) => {
    const probe = connect(path);
    probe.once("connect", () => {
      probe.destroy();
      resolve(true);
    });
    // A full queue (EAGAIN) is a live listener too.
    probe.once("error", (error: NodeJS.ErrnoException) =>
      resolve(error.code !== "ECONNREFUSED" && error.code !== "ENOENT"),
    );
  });

const pathOf = (address: Address): string | undefined =>
  address.startsWith("unix:") ? address.slice("unix:".length) : undefined;

/** `tcp:127.0.0.1:80`, `tcp:[::1]:80`. */
function pathOrPort(address: Address): { path: string } | { host: string; port: number } {
  const path = pathOf(address);
  if (path !== undefined) return { path };
  const text = address.slice("tcp:".length);
  const colon = text.lastIndexOf(":");
  return { host: text.slice(0, colon).replace(/^\[(.*)\]$/, "$1"), port: Number(text.slice(colon + 1)) };
}

function addressOf(server: Server, wanted: Address): Address {
  const bound = server.address();
  if (bound === null || typeof bound === "string") return wanted;
  return bound.family === "IPv6" ? `tcp:[${bound.address}]:${bound.port}` : `tcp:${bound.address}:${bound.port}`;
}

const inUse = (address: Address, cause: unknown): ServeError =>
  new ServeError("port-in-use", `${address} is in use: another process answers there. Stop it, or choose another.`, {
    details: { address },
    cause,
  });

const ignoreMissing = (error: NodeJS.ErrnoException): void => {
  if (error.code !== "ENOENT") throw error;
};
