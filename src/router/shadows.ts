/**
 * Copies of queries for shadow backends. They are made after the primary was sent, from a budget of each shadow's own; a copy that would
 * have to wait is dropped and counted, and so is that of a query whose body is still arriving: two readers of one body would wait for
 * each other. Answers are read away, all of them together no faster than a bound: one without an end must not keep the router busy.
 * Nothing that becomes of a copy is ever told to whoever sent the query.
 */
import { MAX_SHADOWS_IN_FLIGHT, SHADOW_BYTES_PER_WINDOW, SHADOW_WINDOW_MS } from "../model/limits.ts";
import type { Clock } from "../ports/clock.ts";
import type { BackendPool } from "./backend-pool.ts";
import type { OpenQuery } from "./open-query.ts";
import type { Picker } from "./picker.ts";
import type { ReplySink, SentQuery } from "./query-types.ts";

export interface ShadowPorts {
  readonly clock: Clock;
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
  readonly #pace: Pace;
  /** By backend: one that hangs uses up its own budget, not that of the others. */
  readonly #inFlight = new Map<string, number>();
  #sent = 0;
  #dropped = 0;
  #failed = 0;

  constructor(ports: ShadowPorts) {
    this.#ports = ports;
    this.#pace = new Pace(ports.clock);
  }

  get counts(): ShadowCounts {
    return { sent: this.#sent, dropped: this.#dropped, failed: this.#failed };
  }

  draw(primary: OpenQuery, picker: Picker): void {
    for (const backend of picker.pickShadows(primary.query.shardKey, this.#ports.random)) {
      const pool = this.#ports.pool(backend);
      const inFlight = this.#inFlight.get(backend) ?? 0;
      const isBounded = primary.upload === undefined && inFlight < MAX_SHADOWS_IN_FLIGHT;
      if (pool !== undefined && isBounded) this.#send(primary, pool);
      else {
        this.#dropped += 1;
        pool?.meters.shadows.dropped.add();
      }
    }
  }

  /** A copy came back from its replica without having run. */
  droppedAfterSending(copy: OpenQuery, backend: string): void {
    this.#left(backend);
    this.#sent -= 1;
    this.#dropped += 1;
    copy.cancel();
  }

  #send(primary: OpenQuery, pool: BackendPool): void {
    const sink = new DiscardingSink(
      this.#pace,
      () => this.#left(pool.tag),
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
    this.#inFlight.set(pool.tag, (this.#inFlight.get(pool.tag) ?? 0) + 1);
    this.#sent += 1;
  }

  #left(backend: string): void {
    const rest = this.#inFlight.get(backend)! - 1;
    if (rest > 0) this.#inFlight.set(backend, rest);
    else this.#inFlight.delete(backend);
  }
}

/** Reads the answer away, so that a shadow holds no slot because nobody reads. */
class DiscardingSink implements ReplySink {
  query: SentQuery | undefined;
  readonly #pace: Pace;
  readonly #ended: () => void;
  readonly #failed: () => void;

  constructor(pace: Pace, ended: () => void, failed: () => void) {
    this.#pace = pace;
    this.#ended = ended;
    this.#failed = failed;
  }

  onReply(_head: unknown, body: Uint8Array, part: "more" | "end"): void {
    this.onData(body, part);
  }

  onData(bytes: Uint8Array, part: "more" | "end"): void {
    if (part === "end") this.#ended();
    else if (this.query !== undefined) this.#pace.consume(this.query, bytes.length);
  }

  onFailure(): void {
    this.#ended();
    this.#failed();
  }
}

/** Gives credit for what was read: so many bytes in each window of time, the rest in the next ones. */
class Pace {
  readonly #clock: Clock;
  #windowEndsAt = 0;
  #left = 0;
  #owed: { readonly query: SentQuery; readonly bytes: number }[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  consume(query: SentQuery, bytes: number): void {
    if (this.#owed.length === 0 && this.#mayRead()) this.#read(query, bytes);
    else this.#owe(query, bytes);
  }

  #mayRead(): boolean {
    const now = this.#clock.now();
    if (now >= this.#windowEndsAt) {
      this.#windowEndsAt = now + SHADOW_WINDOW_MS;
      this.#left = SHADOW_BYTES_PER_WINDOW;
    }
    return this.#left > 0;
  }

  #read(query: SentQuery, bytes: number): void {
    this.#left -= bytes;
    query.consumed(bytes);
  }

  #owe(query: SentQuery, bytes: number): void {
    this.#owed.push({ query, bytes });
    if (this.#owed.length === 1) this.#wait();
  }

  #wait(): void {
    this.#clock.after(Math.max(0, this.#windowEndsAt - this.#clock.now()), () => {
      const owed = this.#owed;
      this.#owed = [];
      for (const { query, bytes } of owed) this.consume(query, bytes);
    });
  }
}
