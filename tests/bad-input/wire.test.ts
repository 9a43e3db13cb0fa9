/**
 * Strangers on the sockets of an instance: broken frames and lines, wrong HELLOs. Each is told what is wrong with it, with a code, and
 * loses its connection; the log has a line about it, and everything serves on.
 */
import { readdirSync, readFileSync } from "node:fs";
import { connect } from "node:net";
import { afterEach, beforeAll, expect, test } from "vitest";
import { FrameWriter } from "../../src/core/wire/frame-writer.ts";
import { MAX_FRAME_BYTES, MOST_BREACH_LINES, WIRE_HELLO_TIMEOUT_MS } from "../../src/model/limits.ts";
import { runFiles, stateFiles } from "../../src/model/places.ts";
import { FRAME, type Hello, WIRE_PROTOCOL } from "../../src/model/wire.ts";
import { censusOf, processesOf, settled } from "../harness/census.ts";
import { type EchoInstance, serveEcho } from "../harness/echo.ts";
import { ask } from "../harness/http.ts";
import { useLab } from "../harness/lab.ts";
import { findInstances } from "../harness/places.ts";
import { waitFor } from "../harness/wait-for.ts";

const lab = useLab("file");
const EVERYBODY = ["agent", "controller", "proxy", "replica"] as const;
const CLOSE_DEADLINE_MS = 2 * WIRE_HELLO_TIMEOUT_MS;

let echo: EchoInstance;
let who: Readonly<Record<string, string>>;
let path: string;
let goodHello: Hello;

beforeAll(async () => {
  echo = await serveEcho(lab());
  const status = await settled(lab(), echo);
  who = censusOf(status, EVERYBODY);
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
  expect(censusOf(await echo.status(), EVERYBODY)).toEqual(who);
});

/** Sends the bytes; resolves with what came back when the other side has closed the connection. */
const untilClosed = async (bytes: Uint8Array | string, to = path): Promise<string> => {
  let text = "";
  let closed = false;
  const socket = connect(to, () => socket.write(bytes));
  socket.on("data", (part: Buffer) => {
    text += part.toString("latin1");
  });
  socket.on("error", () => {}); // being reset is a way of being closed
  socket.on("close", () => {
    closed = true;
  });
  try {
    await waitFor("the other side closes the connection", () => closed, CLOSE_DEADLINE_MS);
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
  const answer = await untilClosed(bytes());
  expect(answer).toMatch(/wire-protocol.*closes this connection: .+ sent /s);
  expect(answer).not.toMatch(/at .*\.ts:\d+/);
});

const WRONG: readonly (readonly [string, Partial<Hello>])[] = [
  ["another instance", { instanceId: "0123456789abcdef01234567" }],
  ["another replica", { replica: "echo#999" }],
  ["an earlier incarnation", { incarnation: 0 }],
  ["another protocol", { protocol: WIRE_PROTOCOL + 1 }],
];

test.each(WRONG)("a HELLO for %s is refused", async (_what, change) => {
  expect(await untilClosed(helloBytes(change))).toMatch(/peer-refused.*a test sent the HELLO of /s);
});

/** The lines that a process has logged about strangers. */
const complaintsIn = (log: RegExp): readonly Readonly<Record<string, unknown>>[] => {
  const { logs } = stateFiles(echo.stateDir);
  return readdirSync(logs)
    .filter((name) => log.test(name))
    .flatMap((name) => readFileSync(`${logs}/${name}`, "utf8").split("\n"))
    .filter((line) => /"(wire-protocol|peer-refused)"/.test(line))
    .map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>);
};

test("the replica's log has lines about them, with code, peer and reason, and only so many", () => {
  const complaints = complaintsIn(/^echo/);
  const common = {
    level: expect.anything(),
    peer: expect.any(String),
    reason: expect.stringMatching(/^the peer sent /),
  };
  expect(complaints).toContainEqual(expect.objectContaining({ ...common, code: "wire-protocol" }));
  expect(complaints.length).toBeLessThanOrEqual(MOST_BREACH_LINES);
});

const linkHello = (change: object): string =>
  `${JSON.stringify({ ...{ kind: "hello", protocol: 1, instanceId: goodHello.instanceId, role: "client", incarnation: 0, pid: process.pid }, ...change })}\n`;

const ON_THE_LINK: readonly (readonly [string, () => string, string, RegExp])[] = [
  ["text", () => "GET / HTTP/1.1\r\n\r\n", "wire-protocol", /not JSON/],
  ["a message before its hello", () => '{"kind":"committed"}\n', "wire-protocol", /before its hello/],
  ["a hello of an unknown role", () => linkHello({ role: "boss" }), "wire-protocol", /"hello\\?" whose fields/],
  ["an unknown message", () => `${linkHello({})}{"kind":"x"}\n`, "wire-protocol", /unknown kind \\?"x/],
  ["a broken report", () => `${linkHello({})}{"kind":"report"}\n`, "wire-protocol", /"report\\?" whose fields/],
  ["a hello of another instance", () => linkHello({ instanceId: "i-9" }), "peer-refused", /not i-9/],
  ["a hello of another protocol", () => linkHello({ protocol: 99 }), "peer-refused", /protocol 1, not 99/],
  [
    "a hello of an unknown actor",
    () => linkHello({ role: "replica", actor: "x#1" }),
    "peer-refused",
    /x#1 is not to run/,
  ],
];

test.each(ON_THE_LINK)("%s on the agent's socket is answered with its code, logged and cut off", async (...row) => {
  const [, text, code, reason] = row;
  const answer = (await untilClosed(text(), runFiles(echo.runDir).agentSocket)).trim().split("\n").at(-1) ?? "";
  expect(answer.replaceAll('\\"', '"')).toMatch(reason);
  expect(answer).toContain(`"${code}"`);
  const complaint = { code, reason: expect.stringMatching(reason) };
  await waitFor(
    "the agent's log has its line",
    () => complaintsIn(/^agent/).some((line) => expect.objectContaining(complaint).asymmetricMatch(line)),
    CLOSE_DEADLINE_MS,
  );
});

test("garbage on the controller's socket is answered with a problem", async () => {
  expect(await untilClosed("nonsense\r\n\r\n", runFiles(echo.runDir).controllerLink)).toMatch(
    /^HTTP\/1.1 400 .*"code":"request-malformed"/s,
  );
});
