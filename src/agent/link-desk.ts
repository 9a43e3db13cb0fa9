/**
 * Answers the agent's socket: who says hello and whether it belongs here, what it reports, and who leads now. Programs only follow the
 * leader; actors belong to the supervisor, the controller to its keeper.
 */
import { assertNever } from "../base/assert.ts";
import { LineBound } from "../base/line-bound.ts";
import { toErrorBody } from "../base/serve-error.ts";
import { type ActorName, controllerName, type InstanceId } from "../model/ids.ts";
import { BREACH_WINDOW_MS, MOST_BREACH_LINES } from "../model/limits.ts";
import { type Leader, LINK_PROTOCOL, type ToAgent } from "../model/link-messages.ts";
import type { Clock } from "../ports/clock.ts";
import type { CodeProbe } from "../ports/code-probe.ts";
import type { ServerLink } from "../ports/link-server.ts";
import type { Log, LogFields } from "../ports/log.ts";
import type { ActorSupervisor } from "./actor-supervisor.ts";
import type { ControllerKeeper } from "./controller-keeper.ts";
import type { MetricsDesk, ProcessKind } from "./metrics-desk.ts";

export interface DeskParts {
  readonly instanceId: InstanceId;
  readonly supervisor: ActorSupervisor;
  readonly keeper: ControllerKeeper;
  readonly probes: CodeProbe;
  readonly log: Log;
  readonly clock: Clock;
  /** A controller leads from now on. */
  readonly onLead: (leader: Leader) => void;
  /** Undefined: nobody has asked for metrics. */
  readonly metrics: MetricsDesk | undefined;
  readonly node: string;
  /** A controller has committed to the store. */
  readonly onCommitted: () => void;
}

type Hello = Extract<ToAgent, { kind: "hello" }>;
type Peer = { readonly name: string } & (
  | { readonly kind: "controller" | "client" }
  | { readonly kind: "actor"; readonly actor: ActorName }
);

export class LinkDesk {
  readonly #parts: DeskParts;
  readonly #peers = new Map<ServerLink, Peer>();
  readonly #breaches = new LineBound({ mostLines: MOST_BREACH_LINES, windowMs: BREACH_WINDOW_MS });
  #leader: Leader | undefined;
  #newestEpoch = 0;

  constructor(parts: DeskParts) {
    this.#parts = parts;
  }

  onMessage(link: ServerLink, message: ToAgent): void {
    if (message.kind === "hello") {
      this.#greet(link, message);
      return;
    }
    const peer = this.#peers.get(link);
    if (peer === undefined) return; // refused: what it still says is of no interest
    const { supervisor, keeper, onLead, onCommitted } = this.#parts;
    switch (message.kind) {
      case "report":
        if (peer.kind === "actor") supervisor.reported(peer.actor, message.report);
        return;
      case "leading":
        // A controller re-sends what it said last whenever it dials in: meanwhile somebody else may lead.
        if (message.leader.epoch < this.#newestEpoch) return;
        if (peer.kind === "controller" && keeper.led(link)) {
          onLead(message.leader);
          this.setLeader(message.leader);
        }
        return;
      case "committed":
        if (peer.kind !== "controller") return;
        onCommitted();
        this.tellCommitted(link);
        return;
      case "pong":
        if (peer.kind === "controller") keeper.answered(link);
        else if (peer.kind === "actor") supervisor.heard(peer.actor);
        return;
      case "metrics":
        this.#parts.metrics?.told(link, message.snapshot);
        return;
      case "probe":
        if (peer.kind === "controller") this.#probe(link, message);
        return;
      default:
        assertNever(message);
    }
  }

  onBreach(link: ServerLink, what: string): void {
    const peer = this.#peers.get(link)?.name ?? "unknown";
    this.#complain("link-broken", { code: "wire-protocol", peer, reason: `the peer sent ${what}` });
  }

  onClose(link: ServerLink): void {
    const peer = this.#peers.get(link);
    this.#peers.delete(link);
    this.#parts.metrics?.unlinked(link);
    if (peer?.kind === "actor") this.#parts.supervisor.unlinked(peer.actor, link);
    else if (peer?.kind === "controller") this.#parts.keeper.unlinked(link);
  }

  setLeader(leader: Leader | undefined): void {
    if (leader?.epoch === this.#leader?.epoch && leader?.address === this.#leader?.address) return;
    this.#leader = leader;
    this.#newestEpoch = Math.max(this.#newestEpoch, leader?.epoch ?? 0);
    for (const link of this.#peers.keys()) link.send({ kind: "leader", leader });
  }

  leader(): Leader | undefined {
    return this.#leader;
  }

  /** To every other process of this node that reads the store. */
  tellCommitted(except?: ServerLink): void {
    for (const [link, peer] of this.#peers) {
      if (peer.kind === "controller" && link !== except) link.send({ kind: "committed" });
    }
  }

  #probe(link: ServerLink, { id, order }: Extract<ToAgent, { kind: "probe" }>): void {
    this.#parts.probes.probe(order).then(
      (answer) => link.send({ kind: "probed", id, answer }),
      (error: unknown) => link.send({ kind: "probed", id, answer: { kind: "failed", error: toErrorBody(error) } }),
    );
  }

  #greet(link: ServerLink, hello: Hello): void {
    const { instanceId, node } = this.#parts;
    const refusal = this.#refusalOf(link, hello);
    if (refusal !== undefined) {
      const { role, actor, pid, incarnation } = hello;
      this.#complain("hello-refused", { code: "peer-refused", role, actor, pid, incarnation, reason: refusal });
      link.send({ kind: "refused", code: "peer-refused", reason: refusal });
      link.close();
      return;
    }
    this.#peers.set(link, peerOf(hello, node));
    link.send({ kind: "welcome", leader: this.#leader, instanceId });
    if (hello.counts === true) this.#parts.metrics?.linked(link, nameOf(hello, node), kindOf(hello));
  }

  /** Peers that are wrong dial again: only so many lines about them. */
  #complain(event: string, fields: LogFields): void {
    const { log, clock } = this.#parts;
    const line = this.#breaches.take(clock.now());
    if (line !== undefined) log.warn(event, { ...fields, ...line });
  }

  #refusalOf(link: ServerLink, hello: Hello): string | undefined {
    const { instanceId, supervisor, keeper } = this.#parts;
    if (hello.protocol !== LINK_PROTOCOL) return `this agent speaks protocol ${LINK_PROTOCOL}, not ${hello.protocol}`;
    if (hello.instanceId !== instanceId) return `this is instance ${instanceId}, not ${hello.instanceId}`;
    switch (hello.role) {
      case "client":
        return undefined;
      case "controller":
        return keeper.greet(hello, link);
      case "replica":
      case "proxy":
        return hello.actor === undefined ? "an actor must say its name" : supervisor.greet(hello.actor, hello, link);
      default:
        return assertNever(hello.role);
    }
  }
}

const peerOf = (hello: Hello, node: string): Peer => {
  const { role, actor } = hello;
  const name = nameOf(hello, node);
  return role === "controller" || role === "client" ? { kind: role, name } : { kind: "actor", actor: actor!, name };
};

/** As `status` calls it. */
const nameOf = ({ role, actor, pid }: Hello, node: string): string =>
  role === "client" ? `program ${pid}` : role === "controller" ? controllerName(node) : actor!;

const kindOf = ({ role }: Hello): ProcessKind => (role === "client" ? "program" : role);
