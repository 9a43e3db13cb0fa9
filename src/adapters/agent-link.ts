/**
 * ports/agent-link.ts over `<run>/agent.sock`: carries a `LinkSession` (core/agent/link-session.ts). Dials for life, answers pings on
 * this event loop (so a ping proves that it turns), and watches `<run>/instance`: when it is gone or names another instance for
 * INSTANCE_GONE_MS, the link says `onRefused` as an agent would.
 */
import { readFile } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { LinkSession } from "../core/agent/link-session.ts";
import type { ActorName, InstanceId } from "../model/ids.ts";
import { DIAL_INTERVAL_MS, INSTANCE_LOOK_INTERVAL_MS, MAX_LINK_LINE_BYTES } from "../model/limits.ts";
import type { ActorReport, FromAgent, Leader, LinkEvents, ToAgent } from "../model/link-messages.ts";
import { type InstanceFile, runFiles } from "../model/places.ts";
import type { ProbeOrder } from "../model/probe.ts";
import type { ControllerLink } from "../ports/agent-link.ts";
import { encodeLine, LineReader } from "./json-lines.ts";
import { isAbsence } from "./whole-files.ts";

export interface AgentLinkOptions {
  readonly runDir: string;
  readonly instanceId: string;
  readonly role: "replica" | "proxy" | "controller" | "client";
  /** Replicas and proxies. */
  readonly actor?: ActorName | undefined;
  /** Of the actor or controller; programs have none. */
  readonly incarnation?: number | undefined;
}

/** A link that can also be told whether it keeps its process alive. It does until `unref`. */
export interface ProcessLink extends ControllerLink {
  ref(): void;
  unref(): void;
}

export const openAgentLink = (options: AgentLinkOptions): ProcessLink => new SocketLink(options);

class SocketLink implements ProcessLink {
  readonly #runDir: string;
  readonly #instanceId: string;
  readonly #session: LinkSession;
  #socket: Socket | undefined;
  #dialTimer: NodeJS.Timeout | undefined;
  #lookTimer: NodeJS.Timeout | undefined;
  #holdsProcess = true;

  constructor({ runDir, instanceId, role, actor, incarnation = 0 }: AgentLinkOptions) {
    this.#runDir = runDir;
    this.#instanceId = instanceId;
    const speaker = { instanceId: instanceId as InstanceId, role, actor, incarnation, pid: process.pid };
    this.#session = new LinkSession(speaker, () => this.#close());
  }

  start(events: LinkEvents): void {
    this.#session.start(events);
    this.#dial();
    this.#lookTimer = setInterval(() => void this.#lookForInstance(), INSTANCE_LOOK_INTERVAL_MS);
    this.#lookTimer.unref();
  }

  leader(): Leader | undefined {
    return this.#session.leader;
  }

  report(report: ActorReport): void {
    this.#session.report(report);
  }

  leading(leader: Leader): void {
    this.#session.leading(leader);
  }

  committed(): void {
    this.#session.send({ kind: "committed" });
  }

  probe(id: number, order: ProbeOrder): void {
    this.#session.send({ kind: "probe", id, order });
  }

  stop(): void {
    this.#session.stop();
  }

  ref(): void {
    this.#holdsProcess = true;
    this.#socket?.ref();
    this.#dialTimer?.ref();
  }

  unref(): void {
    this.#holdsProcess = false;
    this.#socket?.unref();
    this.#dialTimer?.unref();
  }

  #dial(): void {
    const socket = connect(runFiles(this.#runDir).agentSocket);
    const lines = new LineReader(MAX_LINK_LINE_BYTES);
    this.#socket = socket;
    if (!this.#holdsProcess) socket.unref();
    socket.on("connect", () => this.#session.opened((message) => say(socket, message)));
    socket.on("data", (bytes: Buffer) => {
      const { values, problem } = lines.push(bytes);
      for (const message of values) this.#session.take(message as FromAgent);
      if (problem !== undefined) socket.destroy();
    });
    socket.on("error", () => {}); // `close` follows and is enough
    socket.on("close", () => {
      if (this.#socket === socket) this.#lost();
    });
  }

  #lost(): void {
    this.#socket = undefined;
    this.#dialTimer = setTimeout(() => this.#dial(), DIAL_INTERVAL_MS);
    if (!this.#holdsProcess) this.#dialTimer.unref();
    this.#session.closed();
  }

  #close(): void {
    clearTimeout(this.#dialTimer);
    clearInterval(this.#lookTimer);
    // A stopped agent never answers the end: that must not keep this process.
    this.#socket?.end().unref();
    this.#socket = undefined;
  }

  async #lookForInstance(): Promise<void> {
    const file = runFiles(this.#runDir).instance;
    const isThere = await readFile(file, "utf8").then(
      (text) => parseInstance(text)?.id === this.#instanceId,
      (error: unknown) => !isAbsence(error), // out of descriptors, say, is no word about the instance
    );
    this.#session.looked(isThere ? "found" : "gone", file);
  }
}

/** The agent would cut the line for counts that are too long; so it hears nothing, and says that this process is silent. */
const say = (socket: Socket, message: ToAgent): void => {
  const line = encodeLine(message);
  if (message.kind !== "metrics" || Buffer.byteLength(line) <= MAX_LINK_LINE_BYTES) socket.write(line);
};

const parseInstance = (text: string): InstanceFile | undefined => {
  try {
    return JSON.parse(text) as InstanceFile;
  } catch {
    return undefined; // a half-written file is not ours: ours are renamed into place
  }
};
