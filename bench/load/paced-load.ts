/**
 * Open-loop HTTP load: requests leave at a steady rate, whatever is answered, and each is timed from the instant at which it was due, so
 * that a stall counts for all that it delayed. It watches the clock without sleeping, which takes a core.
 * Arguments: URL, connections, requests per second, seconds. Prints { requests, bad, p50Ms, p99Ms }.
 */
import { connect, type Socket } from "node:net";
import { quantile } from "../measure.ts";
import { AnswerReader } from "./answer-reader.ts";

const [target = "", connections = "64", rate = "1000", seconds = "2"] = process.argv.slice(2);
const url = new URL(target);
const body = JSON.stringify({ values: [1, 2, 3, 4, 5, 6, 7, 8] });
const request = Buffer.from(
  `POST ${url.pathname} HTTP/1.1\r\nhost: ${url.host}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
);
/** Until all of it is compiled: each step of that stops the load for milliseconds, the last about 1.2 s after its start at 20,000 a second. */
const WARM_UP_MS = 2_000;

interface Connection {
  readonly socket: Socket;
  /** When the request under way was due. */
  dueAt: number;
}

const idle: Connection[] = [];
const waiting: number[] = [];
const latencies: number[] = [];
let bad = 0;
let measuresFrom = Number.POSITIVE_INFINITY;

const send = (connection: Connection, dueAt: number): void => {
  connection.dueAt = dueAt;
  connection.socket.write(request);
};

const answered = (connection: Connection, status: number): void => {
  if (status !== 200) bad += 1;
  if (connection.dueAt >= measuresFrom) latencies.push(performance.now() - connection.dueAt);
  const next = waiting.shift();
  if (next === undefined) idle.push(connection);
  else send(connection, next);
};

const open = (): Promise<void> =>
  new Promise((resolve, reject) => {
    const socket = connect(Number(url.port), url.hostname, () => {
      idle.push(connection);
      resolve();
    });
    socket.setNoDelay(true);
    const connection: Connection = { socket, dueAt: 0 };
    const reader = new AnswerReader((status) => answered(connection, status));
    socket.on("data", (chunk: Buffer) => reader.push(chunk));
    socket.on("error", reject);
  });

const finish = (): never => {
  const [p50Ms, p99Ms] = [quantile(latencies, 0.5), quantile(latencies, 0.99)];
  process.stdout.write(`${JSON.stringify({ requests: latencies.length, bad, p50Ms, p99Ms })}\n`);
  process.exit(0);
};

await Promise.all(Array.from({ length: Number(connections) }, open));
const startedAt = performance.now();
measuresFrom = startedAt + WARM_UP_MS;
const endsAt = measuresFrom + Number(seconds) * 1_000;
const intervalMs = 1_000 / Number(rate);
let sent = 0;
const pace = (): void => {
  const now = performance.now();
  if (now >= endsAt) finish();
  for (let dueAt = startedAt + sent * intervalMs; dueAt <= now; dueAt = startedAt + sent * intervalMs) {
    sent += 1;
    const connection = idle.pop();
    if (connection === undefined) waiting.push(dueAt);
    else send(connection, dueAt);
  }
  setImmediate(pace);
};
pace();
