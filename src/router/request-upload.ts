/**
 * The body of a Request that a handle sends: in one piece when it is small and all there, otherwise read as fast as the replica
 * takes it. A query that ends early cancels the Request's stream.
 */
import { STREAM_WINDOW_BYTES } from "../model/limits.ts";
import type { Clock } from "../ports/clock.ts";
import { type BodyGiver, StreamedBody } from "./streamed-body.ts";

type Read = Awaited<ReturnType<Reader["read"]>>;
type Reader = ReadableStreamDefaultReader<Uint8Array>;

export type RequestUpload =
  | { readonly kind: "whole"; readonly body: Uint8Array | undefined }
  /** To be pumped once the query is sent. */
  | {
      readonly kind: "streamed";
      readonly body: StreamedBody;
      readonly pump: (failed: (error: unknown) => void) => void;
    };

/** Rejects with what the Request's own stream fails with. */
export async function uploadOf(request: Request, clock: Clock): Promise<RequestUpload> {
  if (request.body === null) return { kind: "whole", body: undefined };
  const reader = request.body.getReader();
  const parts: Uint8Array[] = [];
  let size = 0;
  // Its source may be slow, or wait for the answer itself: what is there within a moment decides.
  const moment = Promise.withResolvers<"late">();
  const timer = clock.after(1, () => moment.resolve("late"));
  try {
    for (;;) {
      const read = reader.read();
      const first = await Promise.race([read, moment.promise]);
      if (first === "late") return streamed(new Pump(reader, read), parts);
      if (first.done) return { kind: "whole", body: parts.length === 1 ? parts[0] : Buffer.concat(parts) };
      parts.push(bytesOf(first.value));
      size += first.value.length;
      if (size > STREAM_WINDOW_BYTES) return streamed(new Pump(reader, undefined), parts);
    }
  } finally {
    timer.cancel();
  }
}

function streamed(pump: Pump, parts: readonly Uint8Array[]): RequestUpload {
  for (const part of parts) pump.add(part);
  return { kind: "streamed", body: pump.body, pump: (failed) => void pump.run(failed) };
}

class Pump implements BodyGiver {
  readonly body: StreamedBody = new StreamedBody(this);
  readonly #reader: Reader;
  #pending: Promise<Read> | undefined;
  #goesOn = true;
  #isClosed = false;
  #wake: (() => void) | undefined;

  constructor(reader: Reader, pending: Promise<Read> | undefined) {
    this.#reader = reader;
    this.#pending = pending;
  }

  add(part: Uint8Array): void {
    this.#goesOn = this.body.add(part, "more");
  }

  /** Never rejects. */
  async run(failed: (error: unknown) => void): Promise<void> {
    try {
      while (!this.#isClosed) {
        if (this.#goesOn) await this.#step();
        else await this.#room();
      }
    } catch (error) {
      if (!this.#isClosed) failed(error);
    }
  }

  onRoom(): void {
    this.#goesOn = true;
    this.#wakeUp();
  }

  onWanted(): void {}

  onClosed(): void {
    this.#isClosed = true;
    this.#wakeUp();
    // Whatever its source says to that, the query is over.
    this.#reader.cancel().catch(() => {});
  }

  async #step(): Promise<void> {
    const read = await (this.#pending ?? this.#reader.read());
    this.#pending = undefined;
    if (this.#isClosed) return;
    if (!read.done) this.add(bytesOf(read.value));
    else {
      this.body.add(NOTHING, "end");
      this.#isClosed = true;
    }
  }

  #room(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #wakeUp(): void {
    this.#wake?.();
    this.#wake = undefined;
  }
}

const NOTHING = new Uint8Array(0);

function bytesOf(part: unknown): Uint8Array {
  if (part instanceof Uint8Array) return part;
  throw new TypeError(`the body of the Request gave a ${typeof part}; it must give Uint8Arrays`);
}
