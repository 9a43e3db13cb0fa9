/**
 * Brings the rows of changed actors into the store, many in one transaction, each fenced by the node's registration. A row that says
 * what the store already holds is not written.
 */
import type { ActorStatus } from "../model/actor.ts";
import type { ActorName, NodeName } from "../model/ids.ts";
import type { Keys } from "../model/keys.ts";
import { MAX_STATUS_ROWS_PER_TXN } from "../model/limits.ts";
import type { Op, Store } from "../ports/store.ts";
import type { Registration } from "./registration.ts";

export interface WriterParts {
  readonly store: Store;
  readonly keys: Keys;
  readonly node: NodeName;
  readonly registration: Registration;
  /** Undefined = its row is to be deleted. */
  readonly rowOf: (actor: ActorName) => ActorStatus | undefined;
  /** The registration is gone, or the store fails: nothing more is written. */
  readonly onEnd: (error: unknown) => void;
}

interface Write {
  readonly actor: ActorName;
  readonly text: string | undefined;
}

export class StatusWriter {
  readonly #parts: WriterParts;
  readonly #changed = new Set<ActorName>();
  readonly #written = new Map<ActorName, string>();
  #isWriting = false;
  #hasEnded = false;
  #idleWaiters: (() => void)[] = [];

  constructor(parts: WriterParts) {
    this.#parts = parts;
  }

  changed(actor: ActorName): void {
    this.#changed.add(actor);
    if (!this.#isWriting && !this.#hasEnded) void this.#writeAll();
  }

  /** Resolves when all that was changed is written, or never will be. */
  async untilIdle(): Promise<void> {
    while (this.#isWriting) await new Promise<void>((resolve) => this.#idleWaiters.push(resolve));
  }

  stop(): void {
    this.#hasEnded = true;
  }

  async #writeAll(): Promise<void> {
    this.#isWriting = true;
    try {
      // The events of one turn become one row: it is made after they have all arrived.
      await Promise.resolve();
      while (this.#changed.size > 0 && !this.#hasEnded) await this.#writeSome();
    } catch (error) {
      this.#end(error);
    } finally {
      this.#isWriting = false;
      for (const resolve of this.#idleWaiters.splice(0)) resolve();
    }
  }

  async #writeSome(): Promise<void> {
    const { store, keys, node, registration } = this.#parts;
    const writes = this.#takeSome();
    if (writes.length === 0) return;
    const result = await store.txn({
      compare: [{ key: keys.node(node), kind: "createRevision", equals: registration.createRevision }],
      then: writes.map(({ actor, text }): Op => {
        const key = keys.status(node, actor);
        return text === undefined ? { kind: "delete", key } : { kind: "put", key, value: text };
      }),
    });
    if (!result.succeeded) {
      this.#end(undefined);
      return;
    }
    for (const { actor, text } of writes) {
      if (text === undefined) this.#written.delete(actor);
      else this.#written.set(actor, text);
    }
  }

  #takeSome(): readonly Write[] {
    const writes: Write[] = [];
    for (const actor of this.#changed) {
      if (writes.length >= MAX_STATUS_ROWS_PER_TXN) break;
      this.#changed.delete(actor);
      const row = this.#parts.rowOf(actor);
      const text = row === undefined ? undefined : JSON.stringify(row);
      if (text === undefined || text !== this.#written.get(actor)) writes.push({ actor, text });
    }
    return writes;
  }

  #end(error: unknown): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#parts.onEnd(error);
  }
}
