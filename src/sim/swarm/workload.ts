/** Random calls on a handful of tags, so that they meet: mostly sensible, some refused. What user code does is drawn with them. */
import type { BackendConfigInput, Resources } from "../../model/backend-config.ts";
import type { CodeRef } from "../../model/code-ref.ts";
import type { EndpointSpec } from "../../model/endpoint.ts";
import type { AppName, BackendTag, EndpointTag } from "../../model/ids.ts";
import type { Json } from "../../model/json.ts";
import type { Behaviour } from "../actors/replica-program.ts";
import type { SeededRandom } from "../kernel/seeded-random.ts";
import type { CallBody } from "./clients.ts";

const BACKENDS = ["a", "b", "c", "d"] as readonly string[] as readonly BackendTag[];
const ENDPOINTS = ["x", "y", "z"] as readonly string[] as readonly EndpointTag[];
/** Of apps; calls of their own meet them too. */
const APP_BACKENDS = ["p1", "p2", "p3"] as readonly string[] as readonly BackendTag[];
const APP_ENDPOINTS = ["px", "py"] as readonly string[] as readonly EndpointTag[];
const APPS = ["p", "p", "p", "p", "q"] as readonly string[] as readonly AppName[];
/** Share of calls that are about what apps have. */
const APP_SHARE = 0.3;
/** Share of deploys whose file is empty: the end of an app. */
const EMPTY_SHARE = 0.05;
const codeOf = (module: string): CodeRef => ({
  kind: "export",
  module: `file:///app/${module}.ts`,
  export: "Thing",
  args: [],
});

export const drawCall = (random: SeededRandom): CallBody => {
  const isOfApp = random.chance(APP_SHARE);
  if (isOfApp && random.chance(0.5)) return drawDeploy(random);
  const tag = random.pick(isOfApp ? APP_BACKENDS : BACKENDS)!;
  const endpoint = random.pick(isOfApp ? APP_ENDPOINTS : ENDPOINTS)!;
  const draw = random.number();
  if (draw < 0.14) return { kind: "createBackend", tag, code: drawCode(random), config: drawConfig(random) };
  if (draw < 0.3) return { kind: "updateBackendConfig", tag, config: { numReplicas: 1 + random.below(4) } };
  if (draw < 0.46) return { kind: "updateBackendConfig", tag, config: drawConfig(random) };
  if (draw < 0.52) return { kind: "restartBackend", tag };
  if (draw < 0.6) return { kind: "deleteBackend", tag, force: random.chance(0.3) };
  if (draw < 0.7)
    return { kind: "createEndpoint", tag: endpoint, spec: specOf(endpoint), ...drawPolicy(random, BACKENDS) };
  if (draw < 0.75) return { kind: "deleteEndpoint", tag: endpoint };
  if (draw < 0.92)
    return {
      kind: "setTraffic",
      tag: endpoint,
      traffic: drawPolicy(random, isOfApp ? APP_BACKENDS : BACKENDS).traffic,
    };
  return { kind: "shadowTraffic", tag: endpoint, backend: tag, proportion: random.pick([0, 0.1, 0.5])! };
};

const drawDeploy = (random: SeededRandom): CallBody => {
  if (random.chance(EMPTY_SHARE)) return { kind: "deploy", app: random.pick(APPS)!, backends: {}, endpoints: {} };
  const backends = APP_BACKENDS.filter(() => random.chance(0.75));
  const some = backends.length === 0 ? APP_BACKENDS : backends;
  const endpoints = APP_ENDPOINTS.filter(() => random.chance(0.7));
  return {
    kind: "deploy",
    app: random.pick(APPS)!,
    backends: Object.fromEntries(
      backends.map((tag) => [tag, { code: drawCode(random), config: random.chance(0.5) ? {} : drawConfig(random) }]),
    ),
    endpoints: Object.fromEntries(endpoints.map((tag) => [tag, { spec: specOf(tag), ...drawPolicy(random, some) }])),
  };
};

const drawCode = (random: SeededRandom): CodeRef => codeOf(random.pick(["code", "code", "code", "broken"])!);

const drawConfig = (random: SeededRandom): BackendConfigInput => ({
  ...drawCount(random),
  ...(random.chance(0.4) ? { userConfig: drawBehaviour(random) as Json } : {}),
  ...(random.chance(0.25) ? { env: drawEnv(random) } : {}),
  ...(random.chance(0.2) ? { maxSurge: 1 + random.below(2), maxUnavailable: random.below(2) } : {}),
  ...(random.chance(0.2) ? { maxConcurrentQueries: 1 + random.below(50) } : {}),
  ...(random.chance(0.15) ? { gracefulShutdownTimeoutMs: random.below(4_000) } : {}),
  ...(random.chance(0.15) ? { startTimeoutMs: 1_000 + random.below(4_000) } : {}),
  ...(random.chance(0.15) ? { resources: drawResources(random) } : {}),
  ...(random.chance(0.3) ? { loopStallLimitMs: 1_000 + random.below(8_000) } : {}),
});

/** Of 4 cpus and 8 GB a node. */
const drawResources = (random: SeededRandom): Partial<Resources> => ({
  ...(random.chance(0.7) ? { cpu: random.pick([0.1, 0.5, 1.5])! } : {}),
  ...(random.chance(0.6) ? { memoryBytes: random.pick([5e8, 1e9, 3e9])! } : {}),
});

const drawCount = (random: SeededRandom): BackendConfigInput => {
  if (random.chance(0.5)) return { numReplicas: 1 + random.below(4) };
  if (random.chance(0.6)) return {};
  const minReplicas = 1 + random.below(2);
  const bounds = { minReplicas, maxReplicas: minReplicas + random.below(3) };
  const delays = { upDelayMs: random.below(6_000), downDelayMs: random.below(15_000) };
  return { autoscaling: { ...bounds, ...delays, targetQueriesPerReplica: 5 } };
};

const drawBehaviour = (random: SeededRandom): Behaviour => ({
  startMs: random.chance(0.1) ? 6_000 : random.below(600),
  drainMs: random.chance(0.1) ? 30_000 : random.below(2_000),
  rejects: random.chance(0.15),
  ...(random.chance(0.05) ? { illMs: random.below(5_000) } : {}),
  ...(random.chance(0.3) ? { handle: random.pick(ENDPOINTS)! } : {}),
});

const drawEnv = (random: SeededRandom): Readonly<Record<string, string>> => ({
  FAIL_START: random.pick(["0", "0", "0.3", "1"])!,
  MODEL: String(random.below(3)),
});

const drawPolicy = (random: SeededRandom, backends: readonly BackendTag[]) => {
  const [first, second] = [random.pick(backends)!, random.pick(backends)!];
  const share = random.pick([0.1, 0.5, 0.9])!;
  const traffic: Record<string, number> = first === second ? { [first]: 1 } : { [first]: share, [second]: 1 - share };
  const shadows: Record<string, number> = random.chance(0.2) ? { [random.pick(backends)!]: 0.2 } : {};
  return { traffic, shadows };
};

const specOf = (tag: EndpointTag): EndpointSpec => ({
  route: `/${tag}`,
  methods: undefined,
  stripPrefix: false,
  idempotent: false,
  timeoutMs: undefined,
  expose: [],
});
