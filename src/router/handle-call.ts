/**
 * One call through a handle, from the query that it sends to the value, stream or Response that comes back. It ends with its answer,
 * with `cancel` of whoever holds the result, with the `AbortSignal` it was given, or with the query that it was made in.
 */
import { fromErrorBody, ServeError } from "../base/serve-error.ts";
import { decodeValue } from "../core/wire/values.ts";
import { ERROR_CODES, isErrorCode } from "../model/error-codes.ts";
import { MAX_BODY_BYTES } from "../model/limits.ts";
import type { TraceContext } from "../model/trace.ts";
import type { ReplyHead, WireFailure } from "../model/wire.ts";
import { type FlowBudget, WideWindow } from "./flow-window.ts";
import { responseOf } from "./http-response.ts";
import { type PartSource, PartStream } from "./part-stream.ts";
import type { Part, ReplySink, RouterQuery, SentQuery } from "./query-types.ts";
import type { Router } from "./router.ts";

/** The query that the calling code is working on. */
export interface SurroundingQuery {
  readonly requestId: string;
  readonly deadline: number | undefined;
  readonly trace: TraceContext | undefined;
  readonly isCancelled: boolean;
  readonly cancelReason: unknown;
  onCancel(listener: CancelListener): void;
  offCancel(listener: CancelListener): void;
}

interface CancelListener {
  queryCancelled(reason: unknown): void;
}

/** Settles what the user holds. */
export interface CallOutcome {
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

export interface CallEnds {
  readonly signals: readonly AbortSignal[];
  readonly surrounding: SurroundingQuery | undefined;
  /** When somebody traces here. */
  readonly span: CallSpan | undefined;
}

/** The call in somebody's trace. */
export interface CallSpan {
  readonly trace: TraceContext | undefined;
  /** Once; what comes later is not looked at. `status`: of an HTTP answer. */
  end(how: { readonly status?: number | undefined; readonly error?: unknown }): void;
}

/** What of the answer is being put together. */
type Answer =
  | { readonly kind: "none" }
  | { readonly kind: "value"; readonly parts: Uint8Array[]; size: number }
  | { readonly kind: "items"; readonly stream: PartStream<unknown> }
  | { readonly kind: "http"; readonly stream: PartStream<Uint8Array> };

const NONE: Answer = { kind: "none" };

export class HandleCall implements ReplySink, PartSource, CancelListener {
  readonly #endpoint: string;
  readonly #outcome: CallOutcome;
  readonly #ends: CallEnds;
  #sent: SentQuery | undefined;
  #flowBudget: FlowBudget | undefined;
  /** Of a large answer. */
  #window: WideWindow | undefined;
  #answer: Answer = NONE;
  /** Of an HTTP answer. */
  #status: number | undefined;
  #isOver = false;

  constructor(endpoint: string, outcome: CallOutcome, ends: CallEnds) {
    this.#endpoint = endpoint;
    this.#outcome = outcome;
    this.#ends = ends;
  }

  /** To be called once. */
  send(router: Router, query: RouterQuery): void {
    if (this.#isOver) return;
    const { signals, surrounding } = this.#ends;
    const aborted = signals.find((signal) => signal.aborted);
    if (surrounding?.isCancelled === true) this.queryCancelled(surrounding.cancelReason);
    else if (aborted !== undefined) this.cancel(aborted.reason);
    else this.#go(router, query);
  }

  #go(router: Router, query: RouterQuery): void {
    const { signals, surrounding } = this.#ends;
    surrounding?.onCancel(this);
    for (const signal of signals) signal.addEventListener("abort", this.#onAbort, { once: true });
    this.#flowBudget = router.flowBudget;
    this.#sent = router.send(query, this);
  }

  /** Nobody waits for the answer any more. */
  cancel(reason?: unknown): void {
    this.#giveUp(
      new ServeError("query-cancelled", `the call to endpoint "${this.#endpoint}" was cancelled.`, { cause: reason }),
    );
  }

  // ── from the router

  onReply(head: ReplyHead, body: Uint8Array, part: Part): void {
    if (head.kind === "http") this.#status = head.status;
    if (part === "end" && head.kind !== "items") {
      this.#end();
      this.#settle(() => (head.kind === "value" ? decodeValue(body) : responseOf(head, body)));
      return;
    }
    if (head.kind === "value") this.#answer = { kind: "value", parts: [], size: 0 };
    else if (head.kind === "items") {
      const stream = new PartStream<unknown>(this);
      this.#answer = { kind: "items", stream };
      this.#outcome.resolve(stream);
    } else {
      const stream = new PartStream<Uint8Array>(this);
      this.#answer = { kind: "http", stream };
      this.#settle(() => responseOf(head, stream));
    }
    this.onData(body, part);
  }

  onData(bytes: Uint8Array, part: Part): void {
    const answer = this.#answer;
    if (answer.kind === "none") return;
    if (answer.kind === "value") {
      this.#gather(answer, bytes, part);
      return;
    }
    if (bytes.length > 0) {
      if (answer.kind === "items") this.#addItem(answer.stream, bytes);
      // A copy: what waits would keep all that the socket delivered with it alive.
      else answer.stream.add(bytes.slice(), bytes.length);
    }
    if (part === "end") this.#complete(answer.stream);
  }

  onFailure(failure: WireFailure): void {
    this.#fail(errorOf(failure));
  }

  windowBytes(): number {
    this.#window ??= new WideWindow(this.#flowBudget!);
    return this.#window.bytes();
  }

  // ── from readers of a stream, and from the surrounding query

  consumed(bytes: number): void {
    this.#sent?.consumed(bytes);
  }

  abandoned(): void {
    this.#end();
    this.#sent?.cancel();
  }

  queryCancelled(reason: unknown): void {
    this.#giveUp(reason);
  }

  /** The rest of what it sends will not come. */
  bodyFailed(error: unknown): void {
    this.#giveUp(error);
  }

  readonly #onAbort = (event: Event): void => {
    this.cancel((event.target as AbortSignal).reason);
  };

  #gather(answer: Extract<Answer, { kind: "value" }>, bytes: Uint8Array, part: Part): void {
    answer.parts.push(bytes);
    answer.size += bytes.length;
    if (answer.size > MAX_BODY_BYTES) {
      this.#giveUp(
        new ServeError(
          "result-invalid",
          `endpoint "${this.#endpoint}": the result is one value of more than ${MAX_BODY_BYTES} bytes. Return an async iterable, which is sent in parts.`,
        ),
      );
    } else if (part === "more") this.#sent?.consumed(bytes.length);
    else {
      this.#end();
      this.#settle(() => decodeValue(Buffer.concat(answer.parts)));
    }
  }

  #addItem(stream: PartStream<unknown>, bytes: Uint8Array): void {
    try {
      stream.add(decodeValue(bytes), bytes.length);
    } catch (error) {
      this.#giveUp(error);
    }
  }

  #complete(stream: PartStream<unknown> | PartStream<Uint8Array>): void {
    this.#end();
    stream.close();
  }

  #settle(make: () => unknown): void {
    try {
      this.#outcome.resolve(make());
    } catch (error) {
      this.#giveUp(error);
      this.#outcome.reject(error);
    }
  }

  #giveUp(error: unknown): void {
    const sent = this.#sent;
    this.#fail(error);
    sent?.cancel();
  }

  #fail(error: unknown): void {
    if (this.#isOver) return;
    this.#ends.span?.end({ status: this.#status, error });
    this.#end();
    const answer = this.#answer;
    if (answer.kind === "items" || answer.kind === "http") answer.stream.fail(error);
    else this.#outcome.reject(error);
  }

  /** Lets go of everything that could end it. */
  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    // What still waits is the reader's own: nothing more comes.
    this.#window?.close();
    this.#ends.span?.end({ status: this.#status });
    this.#ends.surrounding?.offCancel(this);
    for (const signal of this.#ends.signals) signal.removeEventListener("abort", this.#onAbort);
  }
}

/** A failure of the data path, or what the handler threw: the code stays, a stack never came. */
function errorOf(failure: WireFailure): ServeError {
  const { code, message, details } = failure;
  const retryable = isErrorCode(code) && ERROR_CODES[code].retryable;
  return fromErrorBody({ code, message, retryable, ...(details === undefined ? {} : { details }) });
}
