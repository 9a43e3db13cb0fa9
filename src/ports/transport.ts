/** Byte streams between processes: unix sockets and TCP. Callbacks never run inside the call that registers them. */
import type { LentMemory } from "../base/lent-memory.ts";
import type { Address } from "../model/actor.ts";

export interface SocketEvents {
  /** Outgoing connections: established. */
  onOpen?(): void;
  onData(bytes: Uint8Array): void;
  /** Takes large reads in the place of `onData`, if it is there: the bytes are those of the memory, and only lent. */
  onLent?(bytes: Uint8Array, memory: LentMemory): void;
  /** The buffer is below its mark again. */
  onDrain(): void;
  /** Exactly once, whatever ended it. */
  onClose(error: Error | undefined): void;
}

export interface Socket {
  /** Queues bytes, which leave together; false = above the mark, wait for onDrain before producing more. */
  write(...pieces: readonly Uint8Array[]): boolean;
  /** false: nothing more can be written. After a `write` of that moment, with nothing queued before: none of its bytes has left. */
  readonly isOpen: boolean;
  pause(): void;
  resume(): void;
  /** Sends what is queued, then closes. */
  end(): void;
  destroy(): void;
}

export interface Listening {
  readonly address: Address;
  /** Stops accepting; open sockets live on. Removes a unix socket's file. */
  close(): Promise<void>;
}

export interface Transport {
  /** Calls back once the events that are due in this turn of the event loop are handled: the moment to write what they caused. */
  endOfTurn(callback: () => void): void;
  connect(address: Address, events: SocketEvents): Socket;
  listen(address: Address, accept: (socket: Socket) => SocketEvents): Promise<Listening>;
}
