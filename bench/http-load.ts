/**
 * Closed-loop HTTP load on raw sockets: each of `connections` sends its next request when the last is answered. Cheap on purpose, so
 * that it does not take the cores from what is measured. Arguments: URL, connections, seconds. Prints { requests, bad, ms }.
 */
import { connect } from "node:net";

const [target = "", connections = "64", seconds = "2"] = process.argv.slice(2);
const url = new URL(target);
const body = JSON.stringify({ values: [1, 2, 3, 4, 5, 6, 7, 8] });
const request = Buffer.from(
  `POST ${url.pathname} HTTP/1.1\r\nhost: ${url.host}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
);
const HEAD_END = Buffer.from("\r\n\r\n");
const CHUNKS_END = Buffer.from("0\r\n\r\n");

let requests = 0;
let bad = 0;

/** Bytes of the first whole answer in the buffer; undefined: not there yet. */
const answerLength = (bytes: Buffer): number | undefined => {
  const headEnd = bytes.indexOf(HEAD_END);
  if (headEnd === -1) return undefined;
  const head = bytes.toString("latin1", 0, headEnd).toLowerCase();
  const length = /content-length: (\d+)/.exec(head)?.[1];
  if (length !== undefined) {
    const end = headEnd + 4 + Number(length);
    return bytes.length >= end ? end : undefined;
  }
  const end = bytes.indexOf(CHUNKS_END, headEnd);
  return end === -1 ? undefined : end + CHUNKS_END.length;
};

const run = (): void => {
  const socket = connect(Number(url.port), url.hostname, () => socket.write(request));
  socket.setNoDelay(true);
  let rest: Buffer = Buffer.alloc(0);
  socket.on("data", (chunk: Buffer) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    const end = answerLength(rest);
    if (end === undefined) return;
    // "HTTP/1.1 200": the status begins with the tenth byte.
    if (rest[9] !== 0x32) bad += 1;
    rest = rest.subarray(end);
    requests += 1;
    socket.write(request);
  });
  socket.on("error", () => {
    bad += 1;
  });
};

const startedAt = performance.now();
for (let i = 0; i < Number(connections); i += 1) run();
setTimeout(() => {
  process.stdout.write(`${JSON.stringify({ requests, bad, ms: performance.now() - startedAt })}\n`);
  process.exit(0);
}, Number(seconds) * 1_000);
