/** Replicas and proxies as real processes, started as the agent starts them: one argument, output in a file, their link to an agent. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import * as net from "node:net";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ask, expectProblem } from "../../tests/harness/http.ts";
import { backendOf, endpointOf } from "../../tests/harness/router-lab.ts";
import { waitFor } from "../../tests/harness/wait-for.ts";
import { LineReader } from "../adapters/json-lines.ts";
import type { ActorSpec } from "../model/actor.ts";
import { type BackendConfigInput, resolveBackendConfig } from "../model/backend-config.ts";
import { type ActorName, actorName, type BackendTag, type NodeName } from "../model/ids.ts";
import { LISTEN_FD_VARIABLE } from "../model/launch.ts";
import { MAX_LINK_LINE_BYTES } from "../model/limits.ts";
import type { ActorReport, FromAgent, ToAgent } from "../model/link-messages.ts";
import { type ActorFile, runFiles, stateFiles } from "../model/places.ts";

const DEADLINE_MS = 10_000;

let folder: string;
let agent: Server;
const links = new Map<string, Socket>();
const reports = new Map<string, ActorReport[]>();
const children = new Set<ChildProcess>();

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "maitred-actors-"));
  mkdirSync(stateFiles(folder).logs);
  writeFileSync(runFiles(folder).instance, JSON.stringify({ id: "i-1", name: "t", stateDir: folder, createdAt: 0 }));
  agent = createServer((socket) => {
    const lines = new LineReader(MAX_LINK_LINE_BYTES);
    let who = "";
    socket.on("error", () => {});
    socket.on("data", (bytes: Buffer) => {
      for (const message of lines.push(bytes).values as readonly ToAgent[]) {
        if (message.kind === "hello") {
          who = message.actor ?? "";
          links.set(who, socket);
          say(who, { kind: "welcome", leader: undefined, instanceId: message.instanceId });
        } else if (message.kind === "report") reports.set(who, [...(reports.get(who) ?? []), message.report]);
      }
    });
  });
  await new Promise<void>((resolve) => agent.listen(runFiles(folder).agentSocket, resolve));
});

afterEach(async () => {
  for (const child of children) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill("SIGKILL");
    await once(child, "exit");
  }
  children.clear();
  for (const socket of links.values()) socket.destroy();
  links.clear();
  reports.clear();
  agent.close();
  rmSync(folder, { recursive: true });
});

const say = (actor: string, message: FromAgent): void => {
  links.get(actor)?.write(`${JSON.stringify(message)}\n`);
};

interface Started {
  readonly child: ChildProcess;
  readonly actor: ActorName;
  readonly exit: Promise<readonly [number | null, string | null]>;
  readonly log: () => string;
}

function start(main: "replica" | "proxy", spec: ActorSpec, listenFd?: number): Started {
  const actor = actorName(main === "proxy" ? "proxy" : "b:v1", children.size + 1);
  const file: ActorFile = {
    ...{ instanceId: "i-1", instance: "t", stateDir: folder, runDir: folder, incarnation: 1 },
    assignment: { actor, node: "n" as NodeName, spec, rollout: 1, configRevision: 1, intent: { kind: "run" } },
    ...{ process: undefined, failedStarts: 0, startedAt: 0 },
  };
  const path = join(folder, `actor-${children.size}.json`);
  writeFileSync(path, JSON.stringify(file));
  const log = stateFiles(folder).log(actor);
  const fd = openSync(log, "a");
  const child = spawn(process.execPath, [join(import.meta.dirname, `${main}.ts`), path], {
    stdio: ["ignore", fd, fd, ...(listenFd === undefined ? [] : [listenFd])],
    env: { ...process.env, ...(listenFd === undefined ? {} : { [LISTEN_FD_VARIABLE]: "3" }) },
  });
  closeSync(fd);
  children.add(child);
  return {
    child,
    actor,
    exit: once(child, "exit") as unknown as Started["exit"],
    log: () => readFileSync(log, "utf8"),
  };
}

const replicaOf = (source: string, config: BackendConfigInput = {}): Started => {
  const path = join(folder, `code-${children.size}.mjs`);
  writeFileSync(path, source);
  const code = { kind: "export", module: pathToFileURL(path).href, export: "default", args: [] } as const;
  return start("replica", {
    kind: "replica",
    backend: "b:v1" as BackendTag,
    code,
    identity: undefined,
    config: resolveBackendConfig(config),
  });
};

const reported = ({ actor }: Started, test: (report: ActorReport) => boolean) =>
  waitFor(`${actor} reports`, () => reports.get(actor)?.findLast(test), DEADLINE_MS);
const ready = (started: Started) => reported(started, ({ state }) => state === "ready");

/** A proxy that knows these replicas, by what its last life has kept. */
async function proxyTo(replicas: readonly Started[], listenFd?: number): Promise<Started & { readonly url: string }> {
  const entries = replicas.map(({ actor }) => ({
    entry: { replica: actor, incarnation: 1, address: `unix:${runFiles(folder).actorSocket(actor, 1)}` as const },
  }));
  const endpoint = endpointOf({ "b:v1": backendOf(entries) }, { spec: { route: "/*" } });
  const router = { version: 1, applied: { epoch: 1, counter: 1 }, endpoints: [endpoint] };
  writeFileSync(stateFiles(folder).snapshot, JSON.stringify({ instanceId: "i-1", router }));
  const proxy = start("proxy", { kind: "proxy", host: "127.0.0.1", port: 0 }, listenFd);
  const { address } = await ready(proxy);
  return { ...proxy, url: `http://${address?.slice("tcp:".length)}` };
}

test("a request goes through proxy and replica; SIGTERM drains both, and they end with 0", async () => {
  const replica = replicaOf(`export default async (request) => "hello " + (await request.text());`);
  await ready(replica);
  const proxy = await proxyTo([replica]);
  expect(await ask(proxy.url, { body: "you" })).toMatchObject({ status: 200, text: "hello you" });
  proxy.child.kill("SIGTERM");
  expect(await proxy.exit).toEqual([0, null]);
  replica.child.kill("SIGTERM");
  expect(await replica.exit).toEqual([0, null]);
  expect(replica.log()).toMatch(/"event":"replica-ended"/);
});

test("kill -9 of a replica is 502 for what it ran, and the proxy goes on", async () => {
  const replica = replicaOf(`export default () => { process.kill(process.pid, "SIGKILL"); };`);
  const other = replicaOf(`export default () => "fine";`);
  await ready(replica);
  await ready(other);
  const proxy = await proxyTo([replica]);
  expectProblem(await ask(proxy.url, { body: "x" }), { status: 502, code: "replica-lost" });
  expect(await ask(`${proxy.url}/-/healthz`)).toMatchObject({ status: 200 });
});

test("a proxy accepts from the socket that it inherits, and a next one goes on where it left", async () => {
  const replica = replicaOf(`export default () => "served";`);
  await ready(replica);
  // What the agent holds; without it there is nothing to inherit.
  if (net.BoundSocket === undefined) return;
  const bound = new net.BoundSocket({ host: "127.0.0.1", port: 0 });
  const url = `http://127.0.0.1:${(bound.address() as { port: number }).port}`;
  const first = await proxyTo([replica], bound.fd());
  expect(await ask(url)).toMatchObject({ text: "served" });
  first.child.kill("SIGTERM");
  await first.exit;
  // Nobody accepts; the connection waits in the kernel.
  const waiting = ask(url);
  await proxyTo([replica], bound.fd());
  expect(await waiting).toMatchObject({ text: "served" });
  bound.close();
});

test("a start that fails is reported before the process ends with 1", async () => {
  const replica = replicaOf(`export default class { constructor() { throw new Error("no GPU"); } }`);
  expect(await replica.exit).toEqual([1, null]);
  await reported(replica, ({ error }) => error?.code === "start-failed" && error.message.includes("no GPU"));
});

test("a module that leaves the loop nothing to do does not end the process unheard", async () => {
  const replica = replicaOf("await new Promise(() => {}); export default () => 1;", { startTimeoutMs: 200 });
  expect(await replica.exit).toEqual([1, null]);
  await reported(replica, ({ error }) => error?.code === "start-timeout");
});

test("an exception in a timer ends the replica with 1 and is reported; a rejection that nobody awaits does not", async () => {
  const replica = replicaOf(`
    export default (request) => {
      if (request.path === "/throw") setTimeout(() => { throw new Error("in a timer"); });
      else Promise.reject(new Error("forgotten"));
      return "answered";
    };`);
  await ready(replica);
  const proxy = await proxyTo([replica]);
  expect(await ask(`${proxy.url}/reject`)).toMatchObject({ text: "answered" });
  expect(await ask(`${proxy.url}/reject`)).toMatchObject({ text: "answered" });
  await ask(`${proxy.url}/throw`);
  expect(await replica.exit).toEqual([1, null]);
  await reported(replica, ({ error }) => error?.message.includes("in a timer") === true);
  expect(replica.log()).toMatch(/"event":"unhandled-rejection".*forgotten/);
});

test("an agent that does not know it ends a replica", async () => {
  const replica = replicaOf(`export default () => 1;`);
  await ready(replica);
  say(replica.actor, { kind: "refused", code: "peer-refused", reason: "not to run here" });
  expect(await replica.exit).toEqual([0, null]);
});

test("what user code prints goes into the replica's log as it is", async () => {
  const replica = replicaOf(`console.log("model loaded"); console.error("a warning"); export default () => 1;`);
  await ready(replica);
  expect(replica.log()).toContain("model loaded\na warning\n");
});
