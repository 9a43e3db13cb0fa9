/** Short forms of calls for tests: defaults for what a test does not talk about. */
import { identityOf } from "../../src/core/code-digest.ts";
import type { AppBackend, AppEndpoint } from "../../src/model/app.ts";
import type { BackendConfigInput } from "../../src/model/backend-config.ts";
import type { CodeRef } from "../../src/model/code-ref.ts";
import type { EndpointSpec } from "../../src/model/endpoint.ts";
import type { AppName, BackendTag, EndpointTag } from "../../src/model/ids.ts";

const CODE: CodeRef = { kind: "export", module: "file:///app/iris.ts", export: "Iris", args: [] };

const SPEC: EndpointSpec = {
  route: undefined,
  methods: undefined,
  stripPrefix: false,
  idempotent: false,
  timeoutMs: undefined,
  expose: [],
};

export const createBackend = (tag: string, config: BackendConfigInput = {}, code: CodeRef = CODE) =>
  ({ kind: "createBackend", tag: tag as BackendTag, code, config }) as const;

export const update = (tag: string, config: BackendConfigInput) =>
  ({ kind: "updateBackendConfig", tag: tag as BackendTag, config }) as const;

export const restart = (tag: string) => ({ kind: "restartBackend", tag: tag as BackendTag }) as const;

export const deleteBackend = (tag: string, force = false) =>
  ({ kind: "deleteBackend", tag: tag as BackendTag, force }) as const;

export const createEndpoint = (
  tag: string,
  traffic: Readonly<Record<string, number>>,
  options: { readonly spec?: Partial<EndpointSpec>; readonly shadows?: Readonly<Record<string, number>> } = {},
) =>
  ({
    kind: "createEndpoint",
    tag: tag as EndpointTag,
    spec: { ...SPEC, ...options.spec },
    traffic,
    shadows: options.shadows ?? {},
  }) as const;

export const deleteEndpoint = (tag: string) => ({ kind: "deleteEndpoint", tag: tag as EndpointTag }) as const;

export const setTraffic = (tag: string, traffic: Readonly<Record<string, number>>) =>
  ({ kind: "setTraffic", tag: tag as EndpointTag, traffic }) as const;

export const shadowTraffic = (tag: string, backend: string, proportion: number) =>
  ({ kind: "shadowTraffic", tag: tag as EndpointTag, backend: backend as BackendTag, proportion }) as const;

/** One backend of an app as its file says it; `files` names what its code is at the time. */
export const appBackend = (config: BackendConfigInput = {}, files?: string, code: CodeRef = CODE): AppBackend => ({
  code,
  config,
  ...(files === undefined ? {} : { identity: identityOf({ files, entry: code.module }, { code, config }, "kept") }),
});

export const appEndpoint = (
  traffic: Readonly<Record<string, number>>,
  options: { readonly spec?: Partial<EndpointSpec>; readonly shadows?: Readonly<Record<string, number>> } = {},
): AppEndpoint => ({ spec: { ...SPEC, ...options.spec }, traffic, shadows: options.shadows ?? {} });

export const deploy = (
  app: string,
  backends: Readonly<Record<string, AppBackend>>,
  endpoints: Readonly<Record<string, AppEndpoint>> = {},
) => ({ kind: "deploy", app: app as AppName, backends, endpoints }) as const;

export const stop = () => ({ kind: "stop" }) as const;
export const shutdown = () => ({ kind: "shutdown" }) as const;
