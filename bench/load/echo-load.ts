/**
 * One message at a time to the echo server, as large as the call of the handle row with its frame. Arguments: path, seconds.
 * Prints { requests, p50Ms }.
 */
import { connect } from "node:net";
import { median } from "../measure.ts";

const MESSAGE_BYTES = 96;
const WARM_UP_MS = 300;

const [path = "", seconds = "2"] = process.argv.slice(2);
const message = Buffer.alloc(MESSAGE_BYTES, "x");
const socket = connect(path);
const latencies: number[] = [];
let pending = 0;
let sentAt = 0;
let measuresFrom = 0;
let endsAt = 0;

const send = (): void => {
  pending = MESSAGE_BYTES;
  sentAt = performance.now();
  socket.write(message);
};

socket.on("connect", () => {
  measuresFrom = performance.now() + WARM_UP_MS;
  endsAt = measuresFrom + Number(seconds) * 1_000;
  send();
});
socket.on("data", (bytes) => {
  pending -= bytes.length;
  if (pending > 0) return;
  const now = performance.now();
  if (sentAt >= measuresFrom) latencies.push(now - sentAt);
  if (now < endsAt) return send();
  process.stdout.write(`${JSON.stringify({ requests: latencies.length, p50Ms: median(latencies) })}\n`);
  socket.destroy();
});
