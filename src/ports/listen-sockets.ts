/**
 * Listening sockets that outlive the processes which accept from them. The agent binds, proxies inherit the descriptor: while none of
 * them runs, connections wait in the kernel's queue.
 */
import type { Address } from "../model/actor.ts";

export interface ListenSocket {
  readonly port: number;
  readonly address: Address;
  /** To pass on; undefined where this Node cannot: the proxies bind the port themselves and share it. */
  readonly fd: number | undefined;
  close(): void;
}

export interface ListenWish {
  readonly host: string;
  /** 0 = one that the system chooses. */
  readonly port: number;
  /** `ours`: proxies of this instance already answer there, so being in use is no error. */
  readonly heldBy: "nobody" | "ours";
}

export interface ListenSockets {
  /** How many proxies can accept on one port of this node. */
  readonly maxProxiesPerPort: number;
  /** Rejects with a ServeError: `port-in-use` when somebody else answers there. */
  open(wish: ListenWish): Promise<ListenSocket>;
}
