/** `status --json` and `GET /v1/status`: the instance as people see it. Firm: fields are added, never renamed. */
import type { ActorState, Health } from "./actor.ts";
import type { BackendConfigInput } from "./backend-config.ts";
import type { Goal } from "./calls.ts";
import type { CodeRef } from "./code-ref.ts";
import type { HttpMethod } from "./endpoint.ts";
import type { HttpConfig } from "./records.ts";

export interface ProcessStatus {
  readonly name: string;
  readonly kind: "agent" | "controller" | "proxy" | "replica";
  readonly node: string;
  readonly pid: number | undefined;
  readonly state: ActorState;
  readonly incarnation: number;
  readonly restarts: number;
  /** Of a replica: its last starts in a row that failed; absent: none. */
  readonly failedStarts?: number | undefined;
  readonly uptimeMs: number;
  /** Absent: it is healthy. */
  readonly health?: Exclude<Health, "healthy"> | undefined;
  /** Last error of this process, or why it is not healthy, one sentence. */
  readonly error?: string | undefined;
  /** Where it answers. */
  readonly address?: string | undefined;
  /** Of a replica: digest of the code that it has loaded. */
  readonly loadedDigest?: string | undefined;
}

export interface BackendStatus {
  readonly tag: string;
  /** The app that owns it. */
  readonly app?: string | undefined;
  /** `env` values masked. */
  readonly config: BackendConfigInput;
  readonly code: CodeRef;
  /** SHA-256 of the code that it was created with (CodeIdentity.digest); absent: a version created it that took none. */
  readonly digest?: string | undefined;
  /** What its replicas load when they start: the files that were kept then, or what lies in the folder by now. */
  readonly codeFrom?: "kept" | "folder" | undefined;
  /** Which of its replicas run other code than that, one sentence each; absent when none does. */
  readonly drift?: readonly string[] | undefined;
  readonly replicas: { readonly wanted: number; readonly running: number };
  readonly goal: Goal | undefined;
  /** Why it is not as wanted, one sentence; absent when it is. */
  readonly reason?: string | undefined;
}

export interface EndpointStatus {
  readonly tag: string;
  /** The app that owns it. */
  readonly app?: string | undefined;
  readonly route: string | undefined;
  readonly methods: readonly HttpMethod[] | undefined;
  readonly traffic: Readonly<Record<string, number>>;
  readonly shadows: Readonly<Record<string, number>>;
}

export interface Status {
  readonly schemaVersion: number;
  readonly instance: string;
  readonly phase: "running" | "stopping" | "stopped" | "erasing";
  /** Why no change can be made now, and what to do; then the rest is what was saved last, and processes may have changed since. */
  readonly problem?: string | undefined;
  readonly http: HttpConfig;
  /** Base URLs that answer HTTP now. */
  readonly urls: readonly string[];
  /** URLs that answer scrapes, one for each node; empty when nobody has asked for metrics. */
  readonly metrics: readonly string[];
  readonly endpoints: readonly EndpointStatus[];
  readonly backends: readonly BackendStatus[];
  readonly goals: readonly Goal[];
  readonly processes: readonly ProcessStatus[];
}
