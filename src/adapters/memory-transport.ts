/**
 * ports/transport.ts within one process: an address is a name, and bytes go from one end to the other in the next turn of the event
 * loop. Each transport is a world of its own. They are copied on the way, so that nothing is shared that a socket would not share, and a
 * reader that pauses stops its writer at the bound of a socket's buffer.
 */
import { ServeError } from "../base/serve-error.ts";
import type { Address } from "../model/actor.ts";
import { MEMORY_SOCKET_BYTES } from "../model/limits.ts";
import type { Listening, Socket, SocketEvents, Transport } from "../ports/transport.ts";
import { createEndOfTurn } from "./end-of-turn.ts";

type Accept = (socket: Socket) => SocketEvents;

export const createMemoryTransport = (): Transport => {
  const listeners = new Map<Address, Accept>();
  return {
    endOfTurn: createEndOfTurn(),
    connect: (address, events) => connect(listeners, address, events),
    listen: (address, accept) => listen(listeners, address, accept),
  };
};

async function listen(listeners: Map<Address, Accept>, address: Address, accept: Accept): Promise<Listening> {
  if (listeners.has(address)) {
    throw new ServeError("port-in-use", `${address} is in use in this process. Choose another address.`, {
      details: { address },
    });
  }
  listeners.set(address, accept);
  return {
    address,
    async close() {
      if (listeners.get(address) === accept) listeners.delete(address);
    },
  };
}

function connect(listeners: ReadonlyMap<Address, Accept>, address: Address, events: SocketEvents): Socket {
  const near = new MemorySocket();
  near.events = events;
  setImmediate(() => {
    if (near.isClosed) return;
    const accept = listeners.get(address);
    if (accept === undefined) {
      near.fail(new Error(`connect ECONNREFUSED ${address}`));
      return;
    }
    const far = new MemorySocket();
    far.meet(near);
    near.meet(far);
    far.events = accept(far);
    events.onOpen?.();
  });
  return near;
}

/** One end of a connection. What it writes waits in the other end. */
class MemorySocket implements Socket {
  events: SocketEvents | undefined;
  #peer: MemorySocket | undefined;
  /** Written to this end and not read yet. */
  readonly #arrived: Uint8Array[] = [];
  #arrivedBytes = 0;
  /** Written by this end before the other was there. */
  #early: Uint8Array[] = [];
  #earlyBytes = 0;
  #isPaused = false;
  #isEnding = false;
  #isScheduled = false;
  /** The writer of `#arrived` was told that it is full. */
  #owesDrain = false;
  isClosed = false;

  // ── for who holds it
  write(...pieces: readonly Uint8Array[]): boolean {
    if (this.isClosed || this.#isEnding) return false;
    // A copy, and not by `slice`: that of a Buffer is a view.
    const copy = Buffer.concat(pieces);
    if (this.#peer !== undefined) return this.#peer.#take(copy);
    this.#early.push(copy);
    this.#earlyBytes += copy.length;
    return this.#earlyBytes < MEMORY_SOCKET_BYTES;
  }

  get isOpen(): boolean {
    return !this.isClosed && !this.#isEnding;
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.#schedule();
  }

  end(): void {
    if (this.isClosed || this.#isEnding) return;
    this.#isEnding = true;
    this.#wakePeer();
  }

  destroy(): void {
    if (this.isClosed) return;
    this.#isEnding = true;
    this.#close(undefined);
    this.#wakePeer();
  }

  // ── for the transport
  meet(peer: MemorySocket): void {
    this.#peer = peer;
    for (const bytes of this.#early) peer.#take(bytes);
    const wasFull = this.#earlyBytes >= MEMORY_SOCKET_BYTES;
    this.#early = [];
    if (wasFull) peer.#owesDrain = true;
    if (this.#isEnding) peer.#schedule();
  }

  fail(error: Error): void {
    this.#isEnding = true;
    this.#close(error);
  }

  #take(bytes: Uint8Array): boolean {
    // As the kernel does: whoever is gone is told by its own end.
    if (this.isClosed) return true;
    this.#arrived.push(bytes);
    this.#arrivedBytes += bytes.length;
    this.#schedule();
    const hasRoom = this.#arrivedBytes < MEMORY_SOCKET_BYTES;
    if (!hasRoom) this.#owesDrain = true;
    return hasRoom;
  }

  #wakePeer(): void {
    if (this.#peer !== undefined) this.#peer.#schedule();
  }

  #schedule(): void {
    if (this.#isScheduled || this.isClosed) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#deliver();
    });
  }

  #deliver(): void {
    while (!this.#isPaused && !this.isClosed) {
      const bytes = this.#arrived.shift();
      if (bytes === undefined) break;
      this.#arrivedBytes -= bytes.length;
      this.events?.onData(bytes);
    }
    if (this.isClosed) return;
    if (this.#owesDrain && this.#arrived.length === 0) {
      this.#owesDrain = false;
      if (this.#peer?.isClosed === false) this.#peer.events?.onDrain();
    }
    const peer = this.#peer;
    if (peer === undefined || !peer.#isEnding || this.#arrived.length > 0) return;
    // All that the other end has sent is read: both are closed.
    this.destroy();
    peer.#close(undefined);
  }

  #close(error: Error | undefined): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.#arrived.length = 0;
    this.#early = [];
    setImmediate(() => this.events?.onClose(error));
  }
}
