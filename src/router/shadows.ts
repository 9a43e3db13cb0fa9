/**
 * Copies of queries for shadow backends. They are made after the primary was sent, from a budget of their own; a copy that would
 * have to wait is dropped and counted, and so is that of a query whose body is still arriving: two readers of one body would wait for
 * each other. Nothing that becomes of one is ever told to whoever sent the query.
 */
import { MAX_SHADOWS_IN_FLIGHT } from "../model/limits.ts";
import type { BackendPool } from "./backend-pool.ts";
import type { OpenQuery } from "./open-query.ts";
import type { Picker } from "./picker.ts";
import type { ReplySink, SentQuery } from "./query-types.ts";

export interface ShadowPorts {
  readonly random: () => number;
  readonly pool: (backend: string) => BackendPool | undefined;
  /** Makes the copy, with the same time left; it counts as open until its sink has heard the end. */
  readonly copy: (primary: OpenQuery, sink: ReplySink) => OpenQuery;
}

export interface ShadowCounts {
  readonly sent: number;
  /** No replica was free, the budget was used up, or the body was still arriving. */
  readonly dropped: number;
  readonly failed: number;
}

export class Shadows {
  readonly #ports: ShadowPorts;
  #inFlight = 0;
  #sent = 0;
  #dropped = 0;
  #failed = 0;

  constructor(ports: ShadowPorts) {
    this.#ports = ports;
  }

  get counts(): ShadowCounts {
    return { sent: this.#sent, dropped: this.#dropped, failed: this.#failed };
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  draw(primary: OpenQuery, picker: Picker): void {
    for (const backend of picker.pickShadows(primary.query.shardKey, this.#ports.random)) {
      const pool = this.#ports.pool(backend);
      const isBounded = primary.upload === undefined && this.#inFlight < MAX_SHADOWS_IN_FLIGHT;
      if (pool !== undefined && isBounded) this.#send(primary, pool);
      else {
        this.#dropped += 1;
        pool?.meters.shadows.dropped.add();
      }
    }
  }

  /** A copy came back from its replica without having run. */
  droppedAfterSending(copy: OpenQuery): void {
    this.#inFlight -= 1;
    this.#sent -= 1;
    this.#dropped += 1;
    copy.cancel();
  }

  #send(primary: OpenQuery, pool: BackendPool): void {
    const sink = new DiscardingSink(
      () => {
        this.#inFlight -= 1;
      },
      () => {
        this.#failed += 1;
        pool.meters.shadows.failed.add();
      },
    );
    const copy = this.#ports.copy(primary, sink);
    sink.query = copy;
    if (!pool.submitNow(copy)) {
      this.#dropped += 1;
      pool.meters.shadows.dropped.add();
      copy.cancel();
      return;
    }
    pool.meters.shadows.sent.add();
    this.#inFlight += 1;
    this.#sent += 1;
  }
}

/** Reads the answer as fast as it comes, so that a shadow never holds a slot because nobody reads. */
class DiscardingSink implements ReplySink {
  query: SentQuery | undefined;
  readonly #ended: () => void;
  readonly #failed: () => void;

  constructor(ended: () => void, failed: () => void) {
    this.#ended = ended;
    this.#failed = failed;
  }

  onReply(_head: unknown, body: Uint8Array, part: "more" | "end"): void {
    this.onData(body, part);
  }

  onData(bytes: Uint8Array, part: "more" | "end"): void {
    if (part === "end") this.#ended();
    else this.query?.consumed(bytes.length);
  }

  onFailure(): void {
    this.#ended();
    this.#failed();
  }
}
