/**
 * The public file of this folder. The first part is what users import from `maitred` (src/index.ts passes it on); the second is
 * for the replica, the client and the command line, which stand on the other side of these words.
 */
// ── for users
// ── for the roles

export { isReachableMethodName } from "../model/method-names.ts";
export {
  type AppBackend,
  type AppDefinition,
  appDefinitionOf,
  type BackendRef,
  backend,
  backendFrom,
  backendRefOf,
  checkEndpointTag,
  defineApp,
  getHandle,
  isApp,
  ref,
  resolveRefs,
} from "./app.ts";
export type { App, ArgsField, Backend, Handles, ModuleRef, Unwrap } from "./app-types.ts";
export { type BatchContext, type BatchOptions, batch } from "./batch.ts";
export type { Caller, CallerFactory, CallResult } from "./caller.ts";
export type {
  BackendStatus,
  Client,
  ConnectOptions,
  EndpointStatus,
  Explanation,
  Goal,
  HttpConfig,
  PlannedAction,
  ProcessStatus,
  StartOptions,
  Status,
  Wait,
} from "./client-types.ts";
export { type CodeHost, ownProcess, sharedProcess } from "./code-host.ts";
export type { BackendConfig, BackendConfigUpdate, CommonConfig, Endpoint, HttpMethod } from "./config-types.ts";
export { context, currentQuery, runWithContext } from "./context.ts";
export { createHandle } from "./handle.ts";
export type { CallOptions, Handle, HandleFor, Ref, Send, Stream, UntypedHandle } from "./handle-types.ts";
export { failedCall, OpenCall } from "./open-call.ts";
export { isTracing, type Span } from "./open-telemetry.ts";
export { type BatchStarted, declaresBatches, type LocalAppScope, openLocalApp } from "./process-record.ts";
export type { Context } from "./query-context.ts";
export {
  type BatchOverrides,
  type CancelListener,
  QueryContext,
  type QueryFacts,
  type ReplicaFacts,
  type ReplicaOwn,
} from "./query-context.ts";
export { callTracing, endHandlerSpan, startHandlerSpan } from "./query-spans.ts";
export type { ServeRequest, StandardSchemaV1 } from "./request-types.ts";
export {
  isSseEvent,
  type Ndjson,
  type NdjsonResult,
  ndjson,
  ndjsonOf,
  type Sse,
  type SseEvent,
  type SseResult,
  sse,
  sseOf,
} from "./results.ts";
export type { FetchApp, InstanceOf, Target } from "./target-types.ts";
