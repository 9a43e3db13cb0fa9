/**
 * Closed-loop HTTP load on raw sockets, for machines without wrk. Cheap on purpose, so that it does not take the cores from what is
 * measured: of an answer it reads the status and where it ends.
 * Arguments: URL, method, body (`json` or bytes), connections, seconds. Prints { requests, bad, ms }.
 */
import { connect } from "node:net";
import { AnswerReader } from "./answer-reader.ts";

const [target = "", method = "GET", sent = "0", connections = "64", seconds = "2"] = process.argv.slice(2);
const url = new URL(target);
const body = sent === "json" ? JSON.stringify({ values: [1, 2, 3, 4, 5, 6, 7, 8] }) : "x".repeat(Number(sent));
const type = sent === "json" ? "application/json" : "application/octet-stream";
const entity = body.length === 0 ? "" : `content-type: ${type}\r\ncontent-length: ${body.length}\r\n`;
const request = Buffer.from(`${method} ${url.pathname} HTTP/1.1\r\nhost: ${url.host}\r\n${entity}\r\n${body}`);

let requests = 0;
let bad = 0;

const open = (): void => {
  const socket = connect(Number(url.port), url.hostname, () => socket.write(request));
  socket.setNoDelay(true);
  const reader = new AnswerReader((status) => {
    if (status >= 200 && status < 300) requests += 1;
    else bad += 1;
    socket.write(request);
  });
  socket.on("data", (chunk: Buffer) => reader.push(chunk));
  socket.on("error", () => {
    bad += 1;
  });
};

const startedAt = performance.now();
for (let i = 0; i < Number(connections); i += 1) open();
setTimeout(() => {
  process.stdout.write(`${JSON.stringify({ requests, bad, ms: performance.now() - startedAt })}\n`);
  process.exit(0);
}, Number(seconds) * 1_000);
