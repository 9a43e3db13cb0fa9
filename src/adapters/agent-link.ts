/**
 * ports/agent-link.ts over `<run>/agent.sock`. Dials for life, says hello, answers pings by itself (so a ping proves that this event
 * loop turns), re-sends what the agent must know after each hello, and watches `<run>/instance`: when it is gone or names another
 * instance for INSTANCE_GONE_MS, the link says `onRefused` as an agent would.
 */
import { readFile } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import type { ActorName, InstanceId } from "../model/ids.ts";
import { DIAL_INTERVAL_MS, INSTANCE_GONE_MS, INSTANCE_LOOK_INTERVAL_MS, MAX_LINK_LINE_BYTES } from "../model/limits.ts";
import { type ActorReport, type FromAgent, type Leader, LINK_PROTOCOL, type ToAgent } from "../model/link-messages.ts";
import { type InstanceFile, runFiles } from "../model/places.ts";
import type { ProbeOrder } from "../model/probe.ts";
import type { ControllerLink, LinkEvents } from "../ports/agent-link.ts";
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

const LOOKS_UNTIL_GONE = Math.ceil(INSTANCE_GONE_MS / INSTANCE_LOOK_INTERVAL_MS);

class SocketLink implements ProcessLink {
  readonly #options: AgentLinkOptions;
  #events: LinkEvents = {};
  #socket: Socket | undefined;
  #dialTimer: NodeJS.Timeout | undefined;
  #lookTimer: NodeJS.Timeout | undefined;
  #state: "idle" | "dialling" | "greeted" | "up" | "stopped" = "idle";
  #leader: Leader | undefined;
  #report: ActorReport | undefined;
  #leading: Leader | undefined;
  #holdsProcess = true;
  #looksWithoutInstance = 0;

  constructor(options: AgentLinkOptions) {
    this.#options = options;
  }

  start(events: LinkEvents): void {
    if (this.#state !== "idle") return;
    this.#events = events;
    this.#dial();
    this.#lookTimer = setInterval(() => void this.#lookForInstance(), INSTANCE_LOOK_INTERVAL_MS);
    this.#lookTimer.unref();
  }

  leader(): Leader | undefined {
    return this.#leader;
  }

  report(report: ActorReport): void {
    this.#report = report;
    this.#send({ kind: "report", report });
  }

  leading(leader: Leader): void {
    this.#leading = leader;
    this.#send({ kind: "leading", leader });
  }

  committed(): void {
    this.#send({ kind: "committed" });
  }

  probe(id: number, order: ProbeOrder): void {
    this.#send({ kind: "probe", id, order });
  }

  stop(): void {
    this.#tellCounts();
    this.#state = "stopped";
    clearTimeout(this.#dialTimer);
    clearInterval(this.#lookTimer);
    // A stopped agent never answers the end: that must not keep this process.
    this.#socket?.end().unref();
    this.#socket = undefined;
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
    this.#state = "dialling";
    const socket = connect(runFiles(this.#options.runDir).agentSocket);
    const lines = new LineReader(MAX_LINK_LINE_BYTES);
    this.#socket = socket;
    if (!this.#holdsProcess) socket.unref();
    socket.on("connect", () => this.#greet());
    socket.on("data", (bytes: Buffer) => {
      const { values, problem } = lines.push(bytes);
      for (const message of values) this.#take(message as FromAgent);
      if (problem !== undefined) socket.destroy();
    });
    socket.on("error", () => {}); // `close` follows and is enough
    socket.on("close", () => {
      if (this.#socket === socket) this.#lost();
    });
  }

  #greet(): void {
    const { instanceId, role, actor, incarnation = 0 } = this.#options;
    this.#state = "greeted";
    this.#write({
      kind: "hello",
      protocol: LINK_PROTOCOL,
      instanceId: instanceId as InstanceId,
      role,
      actor,
      incarnation,
      pid: process.pid,
      ...(this.#events.onCollect === undefined ? {} : { counts: true }),
    });
  }

  #take(message: FromAgent): void {
    if (this.#state === "stopped") return;
    switch (message.kind) {
      case "welcome":
        this.#state = "up";
        if (this.#report !== undefined) this.#write({ kind: "report", report: this.#report });
        if (this.#leading !== undefined) this.#write({ kind: "leading", leader: this.#leading });
        this.#events.onUp?.();
        this.#follow(message.leader);
        return;
      case "leader":
        this.#follow(message.leader);
        return;
      case "ping":
        this.#write({ kind: "pong", id: message.id });
        return;
      case "collect":
        this.#tellCounts();
        return;
      case "configure":
        this.#events.onConfigure?.(message.configRevision, message.config);
        return;
      case "intent":
        this.#events.onIntent?.(message.intent);
        return;
      case "committed":
        this.#events.onCommitted?.();
        return;
      case "probed":
        this.#events.onProbed?.(message.id, message.answer);
        return;
      case "failed": // the link closes, and is dialled again
        return;
      case "refused":
        this.#refused(message.reason);
        return;
    }
  }

  /** No leader known now is no news to somebody who has never heard of one. */
  #follow(leader: Leader | undefined): void {
    if (leader?.epoch === this.#leader?.epoch && leader?.address === this.#leader?.address) return;
    this.#leader = leader;
    this.#events.onLeader?.(leader);
  }

  #refused(reason: string): void {
    this.stop();
    this.#events.onRefused?.(reason);
  }

  #lost(): void {
    const wasUp = this.#state === "up";
    if (this.#state === "stopped") return;
    this.#state = "dialling";
    this.#socket = undefined;
    this.#dialTimer = setTimeout(() => this.#dial(), DIAL_INTERVAL_MS);
    if (!this.#holdsProcess) this.#dialTimer.unref();
    if (wasUp) this.#events.onDown?.();
  }

  #tellCounts(): void {
    if (this.#state !== "up" || this.#events.onCollect === undefined) return;
    const line = encodeLine({ kind: "metrics", snapshot: this.#events.onCollect() });
    // The agent would cut the link; so it hears nothing, and says that this process is silent.
    if (Buffer.byteLength(line) <= MAX_LINK_LINE_BYTES) this.#socket?.write(line);
  }

  /** What the agent must know waits for its welcome; the rest is news of a moment that has passed. */
  #send(message: ToAgent): void {
    if (this.#state === "up") this.#write(message);
  }

  #write(message: ToAgent): void {
    this.#socket?.write(encodeLine(message));
  }

  /** Counts looks, not time: a process that was stopped for a minute has looked once. */
  async #lookForInstance(): Promise<void> {
    const { runDir, instanceId } = this.#options;
    const found = await readFile(runFiles(runDir).instance, "utf8").then(
      (text) => parseInstance(text)?.id === instanceId,
      (error: unknown) => !isAbsence(error), // out of descriptors, say, is no word about the instance
    );
    if (this.#state === "stopped") return;
    this.#looksWithoutInstance = found ? 0 : this.#looksWithoutInstance + 1;
    if (this.#looksWithoutInstance >= LOOKS_UNTIL_GONE) {
      this.#refused(`instance ${instanceId} is over: ${runFiles(runDir).instance} is gone or names another one`);
    }
  }
}

const parseInstance = (text: string): InstanceFile | undefined => {
  try {
    return JSON.parse(text) as InstanceFile;
  } catch {
    return undefined; // a half-written file is not ours: ours are renamed into place
  }
};
