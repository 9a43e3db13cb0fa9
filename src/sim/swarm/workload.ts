/** Random calls on a handful of tags, so that they meet: mostly sensible, some refused. What user code does is drawn with them. */
import type { BackendConfigInput } from "../../model/backend-config.ts";
import type { CodeRef } from "../../model/code-ref.ts";
import type { EndpointSpec } from "../../model/endpoint.ts";
import type { BackendTag, EndpointTag } from "../../model/ids.ts";
import type { Json } from "../../model/json.ts";
import type { Behaviour } from "../actors/replica-program.ts";
import type { SeededRandom } from "../kernel/seeded-random.ts";
import type { CallBody } from "./clients.ts";

const BACKENDS = ["a", "b", "c", "d"] as readonly string[] as readonly BackendTag[];
const ENDPOINTS = ["x", "y", "z"] as readonly string[] as readonly EndpointTag[];
const codeOf = (module: string): CodeRef => ({
  kind: "export",
  module: `file:///app/${module}.ts`,
  export: "Thing",
  args: [],
});

export const drawCall = (random: SeededRandom): CallBody => {
  const tag = random.pick(BACKENDS)!;
  const endpoint = random.pick(ENDPOINTS)!;
  const draw = random.number();
  if (draw < 0.14) return { kind: "createBackend", tag, code: drawCode(random), config: drawConfig(random) };
  if (draw < 0.3) return { kind: "updateBackendConfig", tag, config: { numReplicas: 1 + random.below(4) } };
  if (draw < 0.46) return { kind: "updateBackendConfig", tag, config: drawConfig(random) };
  if (draw < 0.52) return { kind: "restartBackend", tag };
  if (draw < 0.6) return { kind: "deleteBackend", tag, force: random.chance(0.3) };
  if (draw < 0.7) return { kind: "createEndpoint", tag: endpoint, spec: specOf(endpoint), ...drawPolicy(random) };
  if (draw < 0.75) return { kind: "deleteEndpoint", tag: endpoint };
  if (draw < 0.92) return { kind: "setTraffic", tag: endpoint, traffic: drawPolicy(random).traffic };
  return { kind: "shadowTraffic", tag: endpoint, backend: tag, proportion: random.pick([0, 0.1, 0.5])! };
};

const drawCode = (random: SeededRandom): CodeRef => codeOf(random.pick(["code", "code", "code", "broken"])!);

const drawConfig = (random: SeededRandom): BackendConfigInput => ({
  ...(random.chance(0.5) ? { numReplicas: 1 + random.below(4) } : {}),
  ...(random.chance(0.4) ? { userConfig: drawBehaviour(random) as Json } : {}),
  ...(random.chance(0.25) ? { env: drawEnv(random) } : {}),
  ...(random.chance(0.2) ? { maxSurge: 1 + random.below(2), maxUnavailable: random.below(2) } : {}),
  ...(random.chance(0.2) ? { maxConcurrentQueries: 1 + random.below(50) } : {}),
  ...(random.chance(0.15) ? { gracefulShutdownTimeoutMs: random.below(4_000) } : {}),
  ...(random.chance(0.15) ? { startTimeoutMs: 1_000 + random.below(4_000) } : {}),
  ...(random.chance(0.15) ? { resources: { cpu: random.pick([0.1, 0.5, 1.5])! } } : {}),
  ...(random.chance(0.3) ? { loopStallLimitMs: 1_000 + random.below(8_000) } : {}),
});

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

const drawPolicy = (random: SeededRandom) => {
  const [first, second] = [random.pick(BACKENDS)!, random.pick(BACKENDS)!];
  const share = random.pick([0.1, 0.5, 0.9])!;
  const traffic: Record<string, number> = first === second ? { [first]: 1 } : { [first]: share, [second]: 1 - share };
  const shadows: Record<string, number> = random.chance(0.2) ? { [random.pick(BACKENDS)!]: 0.2 } : {};
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
