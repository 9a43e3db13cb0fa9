/**
 * The agent's socket (`<run>/agent.sock`): JSON lines in both directions. Every actor, controller and connected program dials it, says
 * `hello`, and re-dials every DIAL_INTERVAL_MS for life; an agent that comes back adopts by these hellos. The same socket tells
 * everybody where the leading controller is. A line is at most MAX_LINK_LINE_BYTES.
 */
import type { ActorState, Address, Health, Intent, Offers } from "./actor.ts";
import type { BackendConfig } from "./backend-config.ts";
import type { ErrorBody } from "./error-codes.ts";
import type { ActorName, InstanceId } from "./ids.ts";
import type { MetricsSnapshot } from "./metrics.ts";
import type { ProbeAnswer, ProbeOrder } from "./probe.ts";

export const LINK_PROTOCOL = 1;

/** What an actor knows of itself; sent whole at each change and after each hello. */
export interface ActorReport {
  readonly state: Exclude<ActorState, "exited">;
  readonly address: Address | undefined;
  /** Config revision applied; 0 = none yet. */
  readonly configRevision: number;
  /** A failed start (then the process exits by itself) or a failed reconfigure. */
  readonly error: ErrorBody | undefined;
  readonly offers: Offers | undefined;
  /** Digest of the code that this process has loaded (replicas). */
  readonly loadedDigest: string | undefined;
  readonly health: Exclude<Health, "stalled">;
  /** What `checkHealth()` said; absent: it is healthy. */
  readonly healthReason?: string | undefined;
}

export interface Leader {
  /** `unix:/…/c-3.sock`. */
  readonly address: Address;
  /** Create revision of the leader key. */
  readonly epoch: number;
}

export type ToAgent =
  | {
      readonly kind: "hello";
      readonly protocol: number;
      readonly instanceId: InstanceId;
      /** `client`: a program or CLI that only follows the leader. */
      readonly role: "replica" | "proxy" | "controller" | "client";
      readonly actor: ActorName | undefined;
      readonly incarnation: number;
      readonly pid: number;
      /** It answers `collect`. */
      readonly counts?: true | undefined;
    }
  | { readonly kind: "report"; readonly report: ActorReport }
  /** A controller leads now. */
  | { readonly kind: "leading"; readonly leader: Leader }
  /** The sender has committed to the store: look now. */
  | { readonly kind: "committed" }
  | { readonly kind: "pong"; readonly id: number }
  /** The answer to a `collect`; also sent, unasked, as the last word of a process that ends. */
  | { readonly kind: "metrics"; readonly snapshot: MetricsSnapshot }
  /** From controllers: look at this code, and say `probed`. */
  | { readonly kind: "probe"; readonly id: number; readonly order: ProbeOrder };

export type FromAgent =
  | { readonly kind: "welcome"; readonly leader: Leader | undefined; readonly instanceId: InstanceId }
  /** The hello does not fit: another instance, an unknown actor, an older incarnation. The sender exits when told so as an actor. */
  | { readonly kind: "refused"; readonly code: "peer-refused"; readonly reason: string }
  /** What came is no message of this protocol (`wire-protocol`); the link is closed. */
  | { readonly kind: "failed"; readonly error: ErrorBody }
  | { readonly kind: "leader"; readonly leader: Leader | undefined }
  /** To replicas: apply this configuration, then report its revision. */
  | { readonly kind: "configure"; readonly configRevision: number; readonly config: BackendConfig }
  /** To replicas and proxies: finish what is open, then exit 0. `kill` never travels: the agent sends SIGKILL. */
  | { readonly kind: "intent"; readonly intent: Exclude<Intent, { kind: "kill" }> }
  | { readonly kind: "committed" }
  | { readonly kind: "ping"; readonly id: number }
  /** Say what you have counted. */
  | { readonly kind: "collect" }
  /** The answer to the `probe` of this id. */
  | { readonly kind: "probed"; readonly id: number; readonly answer: ProbeAnswer };

/** What the owner of a line hears. */
export interface LinkEvents {
  /** The newest leading controller; undefined = none known. */
  onLeader?(leader: Leader | undefined): void;
  onConfigure?(configRevision: number, config: BackendConfig): void;
  onIntent?(intent: Exclude<Intent, { kind: "kill" }>): void;
  /** Another process committed to the store. */
  onCommitted?(): void;
  onProbed?(id: number, answer: ProbeAnswer): void;
  /** The agent does not know this process: it must end. */
  onRefused?(reason: string): void;
  /** What this process has counted since its start. Asked at each scrape, and when the link is stopped. */
  onCollect?(): MetricsSnapshot;
  onUp?(): void;
  onDown?(): void;
}
