/** Reads the bytes of a connection as a peer would, cut anywhere, in memory of their own or in memory that is lent and overwritten. */
import { expect } from "vitest";
import { LentMemory } from "../../src/base/lent-memory.ts";
import { type Frame, FrameDecoder } from "../../src/core/wire/frames.ts";
import {
  decodeCount,
  decodeFailure,
  decodeHello,
  decodeQueryHead,
  decodeRefuse,
  decodeReplyHead,
} from "../../src/core/wire/heads.ts";
import { FLAG_BYTES, FLAG_END, FRAME } from "../../src/model/wire.ts";

function headOf(frame: Frame): unknown {
  switch (frame.type) {
    case FRAME.HELLO:
      return decodeHello(frame.head);
    case FRAME.QUERY:
      return decodeQueryHead(frame.head);
    case FRAME.REPLY:
      return decodeReplyHead(frame.head);
    case FRAME.FAIL:
      return decodeFailure(frame.head);
    case FRAME.REFUSE:
      return decodeRefuse(frame.head);
    case FRAME.CREDIT:
    case FRAME.GOAWAY:
      return decodeCount(frame.head);
    default:
      return undefined;
  }
}

/**
 * Pushes the bytes in pieces of these sizes, over and over. What comes of one frame in pieces is put together. Lent pieces are overwritten
 * when they are given back, and what is lent of them is copied and let go only by and by.
 */
export function readAll(bytes: Uint8Array, sizes: readonly number[], are: "given" | "lent" = "given") {
  const held: { readonly body: Uint8Array; readonly frame: { body: Uint8Array }; readonly letGo: () => void }[] = [];
  const letGoOfOne = () => {
    const one = held.shift();
    if (one === undefined) return;
    one.frame.body = one.body.slice();
    one.letGo();
  };
  let givenBack = 0;
  let lentPieces = 0;
  const lend = (piece: Uint8Array): LentMemory => {
    lentPieces += 1;
    return new LentMemory(piece.length, () => {
      piece.fill(0xdd);
      givenBack += 1;
    });
  };
  const decoder = new FrameDecoder();
  const frames: ReadFrame[] = [];
  let pieces: { body: Uint8Array }[] = [];
  let problem: ReturnType<FrameDecoder["push"]>;
  let at = 0;
  for (let turn = 0; at < bytes.length; turn += 1) {
    const size = sizes[turn % sizes.length]!;
    const piece = bytes.slice(at, at + size);
    const memory = are === "lent" ? lend(piece) : undefined;
    const letGo = memory?.hold();
    problem = decoder.push(
      piece,
      (frame) => {
        const kept = { ...frame };
        if (frame.memory !== undefined) held.push({ body: frame.body, frame: kept, letGo: frame.memory.hold() });
        pieces.push(kept);
        if ((frame.flags & FLAG_BYTES) !== 0 && decoder.pendingBytes > 0) return;
        frames.push({ frame, head: headOf(frame), pieces });
        pieces = [];
      },
      memory,
    );
    letGo?.();
    if (turn % 3 === 0) letGoOfOne();
    at += size;
  }
  while (held.length > 0) letGoOfOne();
  expect(givenBack).toBe(lentPieces);
  return { frames: frames.map(wholeOf), problem, pendingBytes: decoder.pendingBytes };
}

interface ReadFrame {
  readonly frame: Frame;
  readonly head: unknown;
  readonly pieces: readonly { readonly body: Uint8Array }[];
}

const wholeOf = ({ frame: { type, flags, streamId }, head, pieces }: ReadFrame) => {
  const body = Uint8Array.from(Buffer.concat(pieces.map((piece) => piece.body)));
  return { type, flags: flags & FLAG_END, streamId, head, body };
};
