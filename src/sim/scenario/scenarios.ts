/** The scenarios that crashes are tried on, by name: together they hold every call and every path of a reconcile. */
import type { AppBackend } from "../../model/app.ts";
import type { BackendConfigInput } from "../../model/backend-config.ts";
import type { CodeRef } from "../../model/code-ref.ts";
import type { EndpointSpec } from "../../model/endpoint.ts";
import type { AppName, BackendTag, EndpointTag } from "../../model/ids.ts";
import type { Scenario, Step } from "./scenario.ts";

const CODE: CodeRef = { kind: "export", module: "file:///app/code.ts", export: "Thing", args: [] };
const QUICK = { startMs: 10, drainMs: 10 };

const create = (tag: string, config: BackendConfigInput = {}): Step => ({
  kind: "createBackend",
  tag: tag as BackendTag,
  code: CODE,
  config: { userConfig: QUICK, ...config },
});
const update = (tag: string, config: BackendConfigInput): Step => ({
  kind: "updateBackendConfig",
  tag: tag as BackendTag,
  config,
});
const restart = (tag: string): Step => ({ kind: "restartBackend", tag: tag as BackendTag });
const remove = (tag: string, force = false): Step => ({ kind: "deleteBackend", tag: tag as BackendTag, force });
const endpoint = (tag: string, traffic: Readonly<Record<string, number>>): Step => ({
  kind: "createEndpoint",
  tag: tag as EndpointTag,
  spec: specOf(tag),
  traffic,
  shadows: {},
});
const specOf = (tag: string): EndpointSpec => ({
  route: `/${tag}`,
  methods: undefined,
  stripPrefix: false,
  idempotent: false,
  timeoutMs: undefined,
  expose: [],
});
const removeEndpoint = (tag: string): Step => ({ kind: "deleteEndpoint", tag: tag as EndpointTag });
const traffic = (tag: string, shares: Readonly<Record<string, number>>): Step => ({
  kind: "setTraffic",
  tag: tag as EndpointTag,
  traffic: shares,
});
const shadow = (tag: string, backend: string, proportion: number): Step => ({
  kind: "shadowTraffic",
  tag: tag as EndpointTag,
  backend: backend as BackendTag,
  proportion,
});

const app = (config: BackendConfigInput = {}, module = "code"): AppBackend => ({
  code: { kind: "export", module: `file:///app/${module}.ts`, export: "Thing", args: [] },
  config: { userConfig: QUICK, startTimeoutMs: 1_000, ...config },
});
const deploy = (
  backends: Readonly<Record<string, AppBackend>>,
  endpoints: Readonly<Record<string, Readonly<Record<string, number>>>>,
): Step => ({
  kind: "deploy",
  app: "app" as AppName,
  backends,
  endpoints: Object.fromEntries(
    Object.entries(endpoints).map(([tag, shares]) => [tag, { spec: specOf(tag), traffic: shares, shadows: {} }]),
  ),
});

const ONE_NODE: Readonly<Record<string, readonly Step[]>> = {
  "creating, splitting and deleting": [
    create("a", { numReplicas: 2 }),
    create("b"),
    endpoint("e", { a: 1 }),
    traffic("e", { a: 0.5, b: 0.5 }),
    shadow("e", "b", 0.2),
    shadow("e", "b", 0),
    traffic("e", { b: 1 }),
    remove("a"),
    removeEndpoint("e"),
    remove("b", true),
  ],
  "scaling, updating and restarting": [
    create("a"),
    endpoint("e", { a: 1 }),
    update("a", { numReplicas: 3 }),
    update("a", { userConfig: { ...QUICK, drainMs: 20 } }),
    update("a", { env: { MODEL: "2" } }),
    restart("a"),
    { kind: "killReplica", backend: "a" },
    update("a", { numReplicas: 1 }),
  ],
  "failing and being mended": [
    create("a", { numReplicas: 2, startTimeoutMs: 1_000 }),
    endpoint("e", { a: 1 }),
    update("a", { userConfig: { ...QUICK, rejects: true } }),
    update("a", { userConfig: QUICK }),
    update("a", { env: { FAIL_START: "1" } }),
    update("a", { env: { FAIL_START: "0" } }),
    update("a", { userConfig: { ...QUICK, startMs: 9_000 }, env: { MODEL: "slow" } }),
    update("a", { userConfig: { ...QUICK, drainMs: 9_000 }, env: {}, gracefulShutdownTimeoutMs: 300 }),
    restart("a"),
  ],
  "failing and going on as before": [
    create("a", { numReplicas: 2, startTimeoutMs: 1_000 }),
    endpoint("e", { a: 1 }),
    update("a", { env: { FAIL_START: "1" } }),
    { kind: "killReplica", backend: "a" },
    { kind: "outage", backend: "a" },
    { kind: "stop" },
    { kind: "start" },
    { kind: "killReplica", backend: "a" },
    restart("a"),
    update("a", { numReplicas: 3, maxSurge: 0, maxUnavailable: 1 }),
    update("a", { env: { FAIL_START: "0" } }),
  ],
  "deploying and deploying again": [
    deploy({ a: app({ numReplicas: 2 }), b: app() }, { e: { a: 1 }, f: { b: 1 } }),
    traffic("e", { a: 0.9, b: 0.1 }),
    update("b", { numReplicas: 2 }),
    deploy({ a: app({ numReplicas: 2 }, "newer"), b: app() }, { e: { a: 1 }, f: { a: 1 } }),
    deploy({ a: app({ numReplicas: 2, env: { FAIL_START: "1" } }, "newer"), b: app() }, { e: { a: 1 }, f: { a: 1 } }),
    deploy({ a: app({ numReplicas: 1 }) }, { e: { a: 1 } }),
    deploy({ a: app({ numReplicas: 1 }), c: app() }, { e: { c: 1 } }),
    deploy({}, {}),
  ],
  "falling ill and being replaced": [
    create("a", { numReplicas: 2, loopStallLimitMs: 2_000 }),
    endpoint("e", { a: 1 }),
    { kind: "sicken", backend: "a" },
    { kind: "stall", backend: "a" },
    { kind: "outage", backend: "a" },
  ],
  "following the load": [
    create("a", {
      autoscaling: { minReplicas: 1, maxReplicas: 3, targetQueriesPerReplica: 5, upDelayMs: 500, downDelayMs: 1_500 },
    }),
    endpoint("e", { a: 1 }),
    { kind: "load", backend: "a", queries: 20 },
    { kind: "load", backend: "a", queries: 5 },
    { kind: "load", backend: "a", queries: 0 },
    update("a", { numReplicas: 2 }),
  ],
  "stopping, starting and erasing": [
    create("a", { numReplicas: 2 }),
    endpoint("e", { a: 1 }),
    { kind: "stop" },
    { kind: "start" },
    { kind: "shutdown" },
  ],
};

const CLUSTER: Readonly<Record<string, readonly Step[]>> = {
  "losing a node and getting it back": [
    create("a", { numReplicas: 3 }),
    endpoint("e", { a: 1 }),
    { kind: "powerOff" },
    { kind: "rejoin" },
    // So that something of it runs on the node that is back.
    restart("a"),
    { kind: "cutOff" },
    { kind: "rejoin" },
  ],
};

const on =
  (nodes: number) =>
  ([name, steps]: readonly [string, readonly Step[]]): readonly [string, Scenario] => [name, { nodes, steps }];

export const SCENARIOS: Readonly<Record<string, Scenario>> = Object.fromEntries([
  ...Object.entries(ONE_NODE).map(on(1)),
  ...Object.entries(CLUSTER).map(on(3)),
]);
