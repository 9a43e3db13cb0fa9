/**
 * Finds where each HTTP answer of a connection ends, without keeping its body: by content-length, or by chunks. Answers come in order
 * and have a body unless their length says 0; what a server may not send to us is not checked.
 */
const HEAD_END = Buffer.from("\r\n\r\n");
const LINE_END = Buffer.from("\r\n");

type State =
  | { readonly kind: "head" }
  | { readonly kind: "body"; readonly left: number }
  | { readonly kind: "size" }
  /** Bytes of a chunk with its line end. */
  | { readonly kind: "chunk"; readonly left: number }
  /** The line end after the last chunk; we are never sent trailers. */
  | { readonly kind: "last" };

export class AnswerReader {
  readonly #onAnswer: (status: number) => void;
  #state: State = { kind: "head" };
  #rest: Buffer = Buffer.alloc(0);
  #status = 0;

  constructor(onAnswer: (status: number) => void) {
    this.#onAnswer = onAnswer;
  }

  push(bytes: Buffer): void {
    let rest: Buffer | undefined = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    this.#rest = Buffer.alloc(0);
    while (rest !== undefined && rest.length > 0) {
      const next: Buffer | undefined = this.#step(rest);
      if (next === undefined) this.#rest = rest;
      rest = next;
    }
  }

  /** Takes what it understands; what is left, or undefined: it needs more. */
  #step(bytes: Buffer): Buffer | undefined {
    const state = this.#state;
    if (state.kind === "head") return this.#head(bytes);
    if (state.kind === "size") return this.#size(bytes);
    const left = state.kind === "last" ? LINE_END.length : state.left;
    // The two bytes of a last line end may come in two pieces.
    if (state.kind === "last" && bytes.length < left) return undefined;
    const taken = Math.min(left, bytes.length);
    if (taken < left) this.#state = { ...state, left: left - taken } as State;
    else if (state.kind === "chunk") this.#state = { kind: "size" };
    else this.#end();
    return bytes.subarray(taken);
  }

  #head(bytes: Buffer): Buffer | undefined {
    const end = bytes.indexOf(HEAD_END);
    if (end === -1) return undefined;
    const head = bytes.toString("latin1", 0, end).toLowerCase();
    this.#status = Number(head.slice(9, 12)); // after "http/1.1 "
    const length = /\r\ncontent-length: *(\d+)/.exec(head)?.[1];
    this.#state = length === undefined ? { kind: "size" } : { kind: "body", left: Number(length) };
    if (Number(length) === 0) this.#end();
    return bytes.subarray(end + HEAD_END.length);
  }

  #size(bytes: Buffer): Buffer | undefined {
    const end = bytes.indexOf(LINE_END);
    if (end === -1) return undefined;
    const size = Number.parseInt(bytes.toString("latin1", 0, end), 16);
    this.#state = size === 0 ? { kind: "last" } : { kind: "chunk", left: size + LINE_END.length };
    return bytes.subarray(end + LINE_END.length);
  }

  #end(): void {
    this.#state = { kind: "head" };
    this.#onAnswer(this.#status);
  }
}
