/**
 * An app: backends and endpoints that one file describes and that one deploy changes together. `AppSpec` is what the file says, parsed,
 * defaults not filled in.
 */
import type { BackendConfigInput } from "./backend-config.ts";
import type { CodeIdentity, CodeRef } from "./code-ref.ts";
import type { EndpointSpec, TrafficPolicy } from "./endpoint.ts";
import type { BackendTag, EndpointTag } from "./ids.ts";
import type { ProbedOffers } from "./probe.ts";

export interface AppBackend {
  readonly code: CodeRef;
  /** Found by the controller before the call is applied. */
  readonly identity?: CodeIdentity | undefined;
  readonly offers?: ProbedOffers | undefined;
  /** Of the content of `config.envFile`, found where the call came in. */
  readonly envDigest?: string | undefined;
  readonly config: BackendConfigInput;
}

export interface AppEndpoint extends TrafficPolicy {
  readonly spec: EndpointSpec;
}

export interface AppSpec {
  readonly backends: Readonly<Record<BackendTag, AppBackend>>;
  readonly endpoints: Readonly<Record<EndpointTag, AppEndpoint>>;
}

/** One thing of an app that a deploy changes, and when that change is in force. */
export type AppPart =
  | { readonly kind: "backend"; readonly tag: BackendTag; readonly until: "running" | "gone" }
  | { readonly kind: "endpoint"; readonly tag: EndpointTag; readonly until: "published" | "withdrawn" };

/** `retry`: nothing is new, and what had failed is tried again. */
export type AppChangeKind = "create" | "update" | "delete" | "retry";

export interface AppChange {
  readonly change: AppChangeKind;
  readonly part: AppPart;
}
