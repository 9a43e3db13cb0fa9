/** Both ends of the agent's socket: agent-link.ts and link-server.ts. */
import { mkdtemp, rm, unlink, writeFile } from "node:fs/promises";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { ActorName, InstanceId } from "../model/ids.ts";
import type { ActorReport, LinkEvents, ToAgent } from "../model/link-messages.ts";
import { runFiles } from "../model/places.ts";

import type { LinkServer, ServerLink } from "../ports/link-server.ts";
import { openAgentLink } from "./agent-link.ts";
import { createLinkServer } from "./link-server.ts";

let runDir: string;
const closing: (() => void)[] = [];
beforeEach(async () => {
  runDir = await mkdtemp(join(tmpdir(), "maitred-link-"));
  await writeFile(runFiles(runDir).instance, JSON.stringify({ id: "i1" }));
});
afterEach(async () => {
  for (const close of closing.splice(0)) close();
  await rm(runDir, { recursive: true, force: true });
});

const until = async (what: string, look: () => boolean, timeoutMs = 5_000): Promise<void> => {
  const deadline = performance.now() + timeoutMs;
  while (!look()) {
    if (performance.now() > deadline) throw new Error(`did not come true: ${what}`);
    await sleep(5);
  }
};

/** An agent that welcomes everybody and notes what it hears. */
async function serve(options?: { readonly helloMs?: number }): Promise<{
  server: LinkServer;
  heard: ToAgent[];
  links: ServerLink[];
  closed: ServerLink[];
  breaches: string[];
}> {
  const heard: ToAgent[] = [];
  const links: ServerLink[] = [];
  const closed: ServerLink[] = [];
  const breaches: string[] = [];
  const server = createLinkServer(runFiles(runDir).agentSocket, options);
  closing.push(() => server.stop());
  await server.start({
    onMessage: (link, message) => {
      heard.push(message);
      if (message.kind !== "hello") return;
      links.push(link);
      link.send({ kind: "welcome", leader: undefined, instanceId: "i1" as InstanceId });
    },
    onBreach: (_link, what) => breaches.push(what),
    onClose: (link) => closed.push(link),
  });
  return { server, heard, links, closed, breaches };
}

function dial(events: LinkEvents) {
  const link = openAgentLink({ runDir, instanceId: "i1", role: "replica", actor: "b#1" as ActorName, incarnation: 2 });
  closing.push(() => link.stop());
  link.start(events);
  return link;
}

const ready: ActorReport = {
  state: "ready",
  address: undefined,
  configRevision: 1,
  error: undefined,
  offers: undefined,
  loadedDigest: undefined,
  health: "healthy",
};

it("says hello, reports, and tells its newest report again to every agent that comes", async () => {
  const first = await serve();
  const ups: string[] = [];
  const link = dial({ onUp: () => ups.push("up"), onDown: () => ups.push("down") });
  link.report({ ...ready, state: "starting" });
  link.report(ready);
  await until("it has reported", () => first.heard.length === 2);
  expect(first.heard).toEqual([
    { kind: "hello", protocol: 1, instanceId: "i1", role: "replica", actor: "b#1", incarnation: 2, pid: process.pid },
    { kind: "report", report: ready },
  ]);
  first.server.stop();
  await until("it is down", () => ups.includes("down"));
  const second = await serve();
  await until("it has reported again", () => second.heard.length === 2);
  expect(second.heard[1]).toEqual({ kind: "report", report: ready });
  expect(ups).toEqual(["up", "down", "up"]);
});

it("answers pings by itself and passes on what it is told", async () => {
  const { heard, links } = await serve();
  const got: unknown[] = [];
  const link = dial({
    onLeader: (leader) => got.push(leader?.epoch),
    onIntent: (intent) => got.push(intent),
    onConfigure: (revision) => got.push(revision),
    onCommitted: () => got.push("committed"),
  });
  await until("it is linked", () => links.length === 1);
  const [agent] = links;
  agent!.send({ kind: "ping", id: 7 });
  agent!.send({ kind: "leader", leader: { address: "unix:/c.sock", epoch: 3 } });
  agent!.send({ kind: "intent", intent: { kind: "drain", timeoutMs: 5 } });
  agent!.send({ kind: "committed" });
  await until("all has arrived", () => got.length === 3 && heard.length === 2);
  expect(heard[1]).toEqual({ kind: "pong", id: 7 });
  expect(got).toEqual([3, { kind: "drain", timeoutMs: 5 }, "committed"]);
  expect(link.leader()?.epoch).toBe(3);
});

it("ends for good when it is refused", async () => {
  const { links, heard, closed } = await serve();
  const reasons: string[] = [];
  dial({ onRefused: (reason) => reasons.push(reason) });
  await until("it is linked", () => links.length === 1);
  links[0]!.send({ kind: "refused", code: "peer-refused", reason: "an older incarnation" });
  await until("it is refused", () => reasons.length === 1 && closed.length === 1);
  await sleep(300); // longer than its dial interval
  expect(heard.filter((message) => message.kind === "hello")).toHaveLength(1);
});

it("says so when the instance's file has been gone for 10 s, and not before", async () => {
  const reasons: string[] = [];
  dial({ onRefused: (reason) => reasons.push(reason) });
  await unlink(runFiles(runDir).instance);
  const from = performance.now();
  await until("it is refused", () => reasons.length === 1, 15_000);
  expect(performance.now() - from).toBeGreaterThan(9_000);
  expect(reasons[0]).toContain("is gone or names another one");
});

/** What comes back until the agent ends the connection. The sender does not close in turn: the agent must cut it off. */
const send = (text: string): Promise<string> =>
  new Promise((resolve) => {
    const socket = createConnection({ path: runFiles(runDir).agentSocket, allowHalfOpen: true });
    closing.push(() => socket.destroy());
    let answer = "";
    socket.on("data", (part) => {
      answer += part.toString();
    });
    socket.on("error", () => {});
    socket.once("end", () => resolve(answer));
    socket.write(text);
  });

const HELLO = { kind: "hello", protocol: 1, instanceId: "i1", role: "client", incarnation: 0, pid: 1 };

it.each([
  ["a message before its hello", '{"kind":"pong","id":1}\n'],
  ["a line that is not JSON", "GET / HTTP/1.1\r\n"],
  ["a line of more than 2000000 bytes", `"${"x".repeat(2_000_001)}`],
  ["a line that is no message", "[1]\n"],
  ['a message of the unknown kind "toString"', '{"kind":"toString"}\n'],
  ['a message of kind "hello" whose fields', `${JSON.stringify({ ...HELLO, role: "boss" })}\n`],
  ['a message of kind "hello" whose fields', `${JSON.stringify({ ...HELLO, pid: "1" })}\n`],
])("tells a peer that sends %s what is wrong with it, and closes", async (what, text) => {
  const { heard, breaches, closed } = await serve();
  const error = { code: "wire-protocol", message: expect.stringContaining(`the peer sent ${what}`) };
  expect(JSON.parse(await send(text))).toEqual({ kind: "failed", error });
  expect(breaches).toEqual([expect.stringContaining(what)]);
  expect([heard, closed]).toEqual([[], []]);
});

it("tells a peer that says nothing, or no whole line, what it waits for, and closes; who has said hello may be silent", async () => {
  const { breaches, closed } = await serve({ helloMs: 100 });
  const greeted = send(`${JSON.stringify(HELLO)}\n`);
  const error = { code: "wire-protocol", message: expect.stringContaining("no hello within 100 ms") };
  for (const text of ["", '{"kind":"hello"']) expect(JSON.parse(await send(text))).toEqual({ kind: "failed", error });
  expect([breaches, closed]).toEqual([[], []]);
  closing.splice(0)[0]?.();
  expect(JSON.parse(await greeted)).toMatchObject({ kind: "welcome" });
});

it.each([
  ["report", { kind: "report", report: { state: "exploded" } }],
  ["leading", { kind: "leading" }],
  ["metrics", { kind: "metrics", snapshot: { life: "1", startedAt: 1, usage: {}, samples: { x: [1] } } }],
  ["probe", { kind: "probe", id: 1, order: null }],
])("hears what came before a broken %s, and nothing of it or after it", async (kind, message) => {
  const { heard, breaches, closed } = await serve();
  const lines = [HELLO, { kind: "pong", id: 1 }, message, { kind: "pong", id: 2 }];
  const answers = (await send(lines.map((line) => `${JSON.stringify(line)}\n`).join(""))).trim().split("\n");
  expect(answers.map((line) => JSON.parse(line).kind)).toEqual(["welcome", "failed"]);
  expect(heard).toEqual([HELLO, { kind: "pong", id: 1 }]);
  expect(breaches).toEqual([`a message of kind "${kind}" whose fields are missing or of another type`]);
  await until("its owner hears of the end", () => closed.length === 1);
});
