/**
 * Strangers on a replica's socket: broken frames and wrong HELLOs. The connection is closed, and the replica serves on.
 */
import { connect } from "node:net";
import { afterEach, beforeAll, expect, test } from "vitest";
import { FrameWriter } from "../../src/core/wire/frame-writer.ts";
import { MAX_FRAME_BYTES, WIRE_HELLO_TIMEOUT_MS } from "../../src/model/limits.ts";
import { FRAME, type Hello, WIRE_PROTOCOL } from "../../src/model/wire.ts";
import { censusOf, processesOf, settled } from "../harness/census.ts";
import { type EchoInstance, serveEcho } from "../harness/echo.ts";
import { ask } from "../harness/http.ts";
import { useLab } from "../harness/lab.ts";
import { findInstances } from "../harness/places.ts";
import { waitFor } from "../harness/wait-for.ts";

const lab = useLab("file");
const CLOSE_DEADLINE_MS = 2 * WIRE_HELLO_TIMEOUT_MS;

let echo: EchoInstance;
let who: Readonly<Record<string, string>>;
let path: string;
let goodHello: Hello;

beforeAll(async () => {
  echo = await serveEcho(lab());
  const status = await settled(lab(), echo);
  who = censusOf(status, ["proxy", "replica"]);
  const [replica] = processesOf(status, "replica");
  path = (replica?.address ?? "").replace(/^unix:/, "");
  goodHello = {
    protocol: WIRE_PROTOCOL,
    instanceId: findInstances().find(({ name }) => name === echo.name)?.id ?? "",
    replica: replica?.name ?? "",
    incarnation: replica?.incarnation ?? 0,
    peer: "a test",
  };
}, 60_000);

afterEach(async () => {
  expect(await ask(echo.echoUrl, { body: {} })).toMatchObject({ status: 200 });
  expect(censusOf(await echo.status(), ["proxy", "replica"])).toEqual(who);
});

/** Sends the bytes; resolves with what came back when the replica has closed the connection. */
const untilClosed = async (bytes: Uint8Array): Promise<string> => {
  let text = "";
  let closed = false;
  const socket = connect(path, () => socket.write(bytes));
  socket.on("data", (part: Buffer) => {
    text += part.toString("latin1");
  });
  socket.on("error", () => {}); // being reset is a way of being closed
  socket.on("close", () => {
    closed = true;
  });
  try {
    await waitFor("the replica closes the connection", () => closed, CLOSE_DEADLINE_MS);
    return text;
  } finally {
    socket.destroy();
  }
};

const helloBytes = (change: Partial<Hello>): Uint8Array => {
  const writer = new FrameWriter();
  writer.hello({ ...goodHello, ...change });
  return Buffer.concat(writer.take());
};

/** length, type, flags, head length, stream id, little-endian; then whatever. */
const frameBytes = (length: number, type: number, headLength: number, rest = ""): Uint8Array => {
  const head = Buffer.alloc(12);
  head.writeUInt32LE(length, 0);
  head.writeUInt8(type, 4);
  head.writeUInt16LE(headLength, 6);
  return Buffer.concat([head, Buffer.from(rest)]);
};

const BROKEN: readonly (readonly [string, () => Uint8Array])[] = [
  ["text", () => Buffer.from("GET / HTTP/1.1\r\nhost: x\r\n\r\n")],
  ["zeros", () => Buffer.alloc(4_096)],
  ["a frame longer than allowed", () => frameBytes(MAX_FRAME_BYTES + 1, FRAME.HELLO, 0)],
  ["a head longer than its frame", () => frameBytes(8 + 4, FRAME.HELLO, 400, "xxxx")],
  ["a HELLO that is no MessagePack", () => frameBytes(8 + 4, FRAME.HELLO, 4, "\xc1\xc1\xc1\xc1")],
  ["a query before any HELLO", () => frameBytes(8, FRAME.QUERY, 0)],
  ["half a frame and then nothing", () => helloBytes({}).subarray(0, 9)],
  ["an unknown frame after a good HELLO", () => Buffer.concat([helloBytes({}), frameBytes(8, 99, 0)])],
];

test.each(BROKEN)("%s closes the connection", async (_what, bytes) => {
  expect(await untilClosed(bytes())).not.toMatch(/at .*\.ts:\d+/);
});

const WRONG: readonly (readonly [string, Partial<Hello>])[] = [
  ["another instance", { instanceId: "0123456789abcdef01234567" }],
  ["another replica", { replica: "echo#999" }],
  ["an earlier incarnation", { incarnation: 0 }],
  ["another protocol", { protocol: WIRE_PROTOCOL + 1 }],
];

test.each(WRONG)("a HELLO for %s is refused", async (_what, change) => {
  await untilClosed(helloBytes(change));
});
