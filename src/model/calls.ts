/**
 * The calls that change an instance, as the controller takes them: parsed, validated, defaults not filled in.
 * `goalId` is the idempotency key, drawn by the caller.
 */
import type { AppChange, AppSpec } from "./app.ts";
import type { BackendConfigInput, BackendConfigUpdate } from "./backend-config.ts";
import type { CodeIdentity, CodeRef } from "./code-ref.ts";
import type { EndpointSpec } from "./endpoint.ts";
import type { ErrorBody } from "./error-codes.ts";
import type { AppName, BackendTag, EndpointTag, GoalId } from "./ids.ts";
import type { ProbedOffers } from "./probe.ts";
import type { GoalState } from "./records.ts";

export type Call = { readonly goalId: GoalId } & (
  | {
      readonly kind: "createBackend";
      readonly tag: BackendTag;
      readonly code: CodeRef;
      /** Found by the controller before the call is applied; a repeated call has none, and is told by its goal id. */
      readonly identity?: CodeIdentity | undefined;
      readonly offers?: ProbedOffers | undefined;
      /** Of the content of `config.envFile`, found where the call came in. */
      readonly envDigest?: string | undefined;
      readonly config: BackendConfigInput;
    }
  | {
      readonly kind: "updateBackendConfig";
      readonly tag: BackendTag;
      readonly envDigest?: string | undefined;
      readonly config: BackendConfigUpdate;
    }
  | { readonly kind: "restartBackend"; readonly tag: BackendTag }
  | { readonly kind: "deleteBackend"; readonly tag: BackendTag; readonly force: boolean }
  | {
      readonly kind: "createEndpoint";
      readonly tag: EndpointTag;
      readonly spec: EndpointSpec;
      readonly traffic: Readonly<Record<string, number>>;
      readonly shadows: Readonly<Record<string, number>>;
    }
  | { readonly kind: "deleteEndpoint"; readonly tag: EndpointTag }
  | { readonly kind: "setTraffic"; readonly tag: EndpointTag; readonly traffic: Readonly<Record<string, number>> }
  | {
      readonly kind: "shadowTraffic";
      readonly tag: EndpointTag;
      readonly backend: BackendTag;
      readonly proportion: number;
    }
  /** Brings all that the app owns to what its file says, in one transaction. */
  | ({ readonly kind: "deploy"; readonly app: AppName } & AppSpec)
  | { readonly kind: "stop" }
  | { readonly kind: "shutdown" }
);

export type CallKind = Call["kind"];

/** A goal as people and clients see it. */
export interface Goal {
  readonly id: string;
  readonly state: GoalState;
  readonly progress?: { readonly done: number; readonly total: number } | undefined;
  /** While it is pending: what it waits for, one sentence. */
  readonly reason?: string | undefined;
  /** Who has not applied it yet: replica, proxy or program names. */
  readonly laggards?: readonly string[] | undefined;
  readonly supersededBy?: string | undefined;
  readonly error?: ErrorBody | undefined;
  /** Of a deploy: what it changes. */
  readonly changes?: readonly AppChange[] | undefined;
}
