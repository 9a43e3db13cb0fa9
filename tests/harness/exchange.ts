/**
 * Bytes on a connection, for requests that no HTTP client would send: what is not HTTP, and bodies that are refused half-way (the
 * server answers and closes while the rest is still being sent; a client that gives up at the first failed write never reads why).
 */
import { connect, type NetConnectOpts } from "node:net";
import { waitFor } from "./wait-for.ts";

const ANSWER_DEADLINE_MS = 10_000;
const ATTEMPTS = 10;
const PART = Buffer.alloc(64 * 1024, "x");
const CHUNK = Buffer.concat([Buffer.from(`${PART.length.toString(16)}\r\n`), PART, Buffer.from("\r\n")]);

export interface Exchange {
  /** `taken`: called when the bytes have left this process. */
  write(bytes: Uint8Array | string, taken?: () => void): void;
  /** Whether there is nothing more to say: the server has answered or closed. */
  isOver(): boolean;
}

/** Connects, lets `talk` write, and answers what came back. */
export const exchange = async (
  where: NetConnectOpts,
  talk: (exchange: Exchange) => void,
  deadlineMs = ANSWER_DEADLINE_MS,
): Promise<string> => {
  // Node throws an answer away that it has received and not read when a write fails; then only another attempt can tell.
  for (let left = ATTEMPTS; left > 0; left -= 1) {
    const text = await exchangeOnce(where, talk, deadlineMs);
    if (text !== "") return text;
  }
  throw new Error(`the server closed ${ATTEMPTS} connections without an answer`);
};

/** "": closed without an answer that could be read. */
const exchangeOnce = async (
  where: NetConnectOpts,
  talk: (exchange: Exchange) => void,
  deadlineMs: number,
): Promise<string> => {
  let text = "";
  let closed = false;
  const socket = connect(where, () =>
    talk({
      write: (bytes, taken) => {
        if (!closed) socket.write(bytes, (error) => (error == null ? taken?.() : undefined));
      },
      isOver: () => closed || text !== "",
    }),
  );
  socket.on("data", (part: Buffer) => {
    text += part;
  });
  socket.on("error", () => {}); // a server that has answered may reset what is still being sent
  socket.on("close", () => {
    closed = true;
  });
  const isWhole = (): boolean => /\r\n\r\n./s.test(text);
  try {
    await waitFor("the server answers", () => isWhole() || closed, deadlineMs);
    return isWhole() ? text : "";
  } finally {
    socket.destroy();
  }
};

export interface LargeBody {
  /** `POST /path`. */
  readonly line: string;
  readonly bytes: number;
  readonly framing: "with its length" | "in chunks";
  /** Default: chunks just stop, for a body that is refused before. */
  readonly end?: "sent" | undefined;
  readonly deadlineMs?: number | undefined;
}

/** Sends a JSON body of that many bytes, part by part, until the server has answered. */
export const sendLargeBody = (where: NetConnectOpts, body: LargeBody): Promise<string> =>
  exchange(
    where,
    ({ write, isOver }) => {
      const isChunked = body.framing === "in chunks";
      const framing = isChunked ? "transfer-encoding: chunked" : `content-length: ${body.bytes}`;
      write(`${body.line} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n${framing}\r\n\r\n`);
      let sent = 0;
      // One part at a time, so that an answer is seen before the next one is written.
      const next = (): void => {
        if (isOver()) return;
        if (sent >= body.bytes) {
          if (isChunked && body.end === "sent") write("0\r\n\r\n");
          return;
        }
        sent += PART.length;
        write(isChunked ? CHUNK : PART, () => setImmediate(next));
      };
      next();
    },
    body.deadlineMs,
  );
