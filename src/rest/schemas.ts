/**
 * The shapes that REST takes, in zod: the same objects validate requests and make the OpenAPI document.
 * Unknown keys are refused. Relations between fields (and what exists) are the controller's to judge.
 */
import * as z from "zod";
import { HTTP_METHODS } from "../model/endpoint.ts";
import { isName, NAME_RULE } from "../model/ids.ts";
import { MAX_GOAL_WAIT_MS, MAX_REPLICAS, MAX_ROUTE_CHARS } from "../model/limits.ts";
import { isReachableMethodName } from "../model/method-names.ts";

const positiveInteger = z.number().int("must be a whole number").positive("must be at least 1");
const wholeNumber = z.number().int("must be a whole number").nonnegative("must not be negative");
const replicas = positiveInteger.max(MAX_REPLICAS, `must be at most ${MAX_REPLICAS}`);
const milliseconds = wholeNumber.meta({ description: "Milliseconds." });
const share = z.number().min(0, "must be between 0 and 1").max(1, "must be between 0 and 1");
const weight = z.number().nonnegative("must not be negative");

const NEVER_REACHED =
  "is a method that nobody may call from outside: names that begin with _, those of a life (start, close, reconfigure, checkHealth), of doors (call, fetch) and of every object are kept back. Rename it, or leave it out";

/** `params.code`: the error code of this rule, where it is not config-invalid. */
const tag = z.string().refine(isName, { error: `must be ${NAME_RULE}`, params: { code: "tag-invalid" } });

/** What becomes an argument, a path or an environment of a process: none of them can hold a NUL. */
const text = z.string().refine((value) => !value.includes("\0"), "must not hold a NUL character");

/** Shares by the tags of backends. */
const byBackend = <V extends z.ZodType>(value: V) => z.record(tag, value);

/**
 * JSON, whatever it says. `id` is the name of a shape in the OpenAPI document. It is registered rather than given by `meta`, which makes
 * a copy: JSON is within JSON, and what is within would be the nameless original.
 */
const json = z.json().register(z.globalRegistry, { id: "JsonValue" });

export const backendConfigSchema = z
  .strictObject({
    numReplicas: replicas,
    maxConcurrentQueries: positiveInteger,
    maxQueuedQueries: wholeNumber,
    maxBatchSize: positiveInteger,
    batchWaitTimeoutMs: z.number().nonnegative("must not be negative"),
    userConfig: json,
    gracefulShutdownWaitLoopMs: milliseconds,
    gracefulShutdownTimeoutMs: milliseconds,
    startTimeoutMs: positiveInteger,
    maxStartAttempts: positiveInteger,
    healthCheckIntervalMs: positiveInteger,
    healthCheckTimeoutMs: positiveInteger,
    loopStallLimitMs: positiveInteger,
    maxSurge: wholeNumber,
    maxUnavailable: wholeNumber,
    resources: z.strictObject({ cpu: z.number().nonnegative(), memoryBytes: wholeNumber }).partial(),
    autoscaling: z
      .strictObject({
        minReplicas: replicas,
        maxReplicas: replicas,
        targetQueriesPerReplica: z.number().positive("must be above 0"),
        upDelayMs: milliseconds,
        downDelayMs: milliseconds,
      })
      .partial(),
    env: z.record(z.string(), text),
    envFile: text,
    cwd: text,
    nodeArgs: z.array(text),
    codeVersion: z.string(),
  })
  .partial()
  .meta({ id: "BackendConfig" });

/** null: as if it had never been set. */
export const backendConfigUpdateSchema = backendConfigSchema
  .extend({
    maxBatchSize: positiveInteger.nullish(),
    batchWaitTimeoutMs: z.number().nonnegative("must not be negative").nullish(),
    envFile: text.nullish(),
    cwd: text.nullish(),
    codeVersion: z.string().nullish(),
  })
  .meta({ id: "BackendConfigUpdate" });

const fileUrl = text.startsWith("file:///", "must be a file:/// URL");
const certainty = z.enum(["yes", "no", "maybe"]);

/** What whoever calls has found in the folder by a look of its own. */
const folderSchema = z.strictObject({
  code: z.strictObject({ files: z.string().regex(/^[0-9a-f]{64}$/, "must be a SHA-256"), entry: fileUrl }),
  offers: z.strictObject({
    door: z.enum(["function", "call", "fetch"]).optional(),
    methods: z.array(z.string()),
    batches: certainty,
    reconfigures: certainty,
  }),
});

export const createBackendSchema = z.strictObject({
  module: fileUrl.meta({ description: "URL of the module on the node." }),
  export: z
    .string()
    .min(1)
    .optional()
    .meta({ description: 'Name of the export; "default" when absent, "*" for the whole module.' }),
  args: z
    .array(json)
    .optional()
    .meta({ description: 'Constructor arguments; {"$endpoint": "embed"} stands for a handle.' }),
  appBackend: z
    .string()
    .optional()
    .meta({ description: "Set when the module's default export is an app: which of its backends." }),
  config: backendConfigSchema.optional(),
  folder: folderSchema.optional().meta({
    description:
      "For `maitred run`: replicas load what lies in the module's folder when they start; nothing is kept. What the caller's own look at it found.",
  }),
});

const weights = byBackend(weight);

export const createEndpointSchema = z
  .strictObject({
    route: z
      .string()
      .max(MAX_ROUTE_CHARS, `must have at most ${MAX_ROUTE_CHARS} characters`)
      .optional()
      .meta({ description: "/path, with :parameters and a closing *; absent: handles only." }),
    methods: z.array(z.enum(HTTP_METHODS)).min(1).optional(),
    stripPrefix: z.boolean().optional(),
    idempotent: z.boolean().optional(),
    timeoutMs: positiveInteger.optional(),
    expose: z.array(z.string().refine(isReachableMethodName, NEVER_REACHED)).optional(),
    backend: tag.optional(),
    traffic: weights.optional(),
    shadows: byBackend(share).optional(),
  })
  .refine(
    (body) => (body.backend === undefined) !== (body.traffic === undefined),
    "needs either backend or traffic: one of them, not both",
  );

export const deploySchema = z
  .strictObject({ backends: z.record(tag, createBackendSchema), endpoints: z.record(tag, createEndpointSchema) })
  .meta({ description: "All that the app has: what it owns and this does not name goes." });

export const setTrafficSchema = z.strictObject({ weights });
export const shadowTrafficSchema = z.strictObject({ proportion: share });

/** A call as a plan takes it: what its route has in its path stands beside the body. */
export const planSchema = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("deploy"), app: tag, ...deploySchema.shape }),
  z.strictObject({ kind: z.literal("createBackend"), tag, ...createBackendSchema.shape }),
  z.strictObject({ kind: z.literal("updateBackendConfig"), tag, config: backendConfigUpdateSchema }),
  z.strictObject({ kind: z.literal("restartBackend"), tag }),
  z.strictObject({ kind: z.literal("deleteBackend"), tag, force: z.boolean().optional() }),
  z.strictObject({ kind: z.literal("createEndpoint"), tag, endpoint: createEndpointSchema }),
  z.strictObject({ kind: z.literal("deleteEndpoint"), tag }),
  z.strictObject({ kind: z.literal("setTraffic"), tag, ...setTrafficSchema.shape }),
  z.strictObject({ kind: z.literal("shadowTraffic"), tag, backend: tag, ...shadowTrafficSchema.shape }),
]);

export const tagParams = z.object({ tag });
export const shadowParams = z.object({ tag, backend: tag });
export const appParams = z.object({ name: tag });
export const goalParams = z.object({ id: z.string() });
export const targetParams = z.object({ target: z.string() });
export const deleteQuery = z.strictObject({ force: z.enum(["true", "false"]).optional() });
export const goalQuery = z.strictObject({
  waitMs: z
    .string()
    .regex(/^\d+$/, "must be a whole number of milliseconds")
    .transform(Number)
    .pipe(z.number().max(MAX_GOAL_WAIT_MS, `must be at most ${MAX_GOAL_WAIT_MS}`))
    .optional(),
});
/** Where nothing is asked for: what is sent all the same is refused rather than not heard. */
export const noQuery = z.strictObject({});
export const noBody = z.strictObject({}).nullable();

const snapshotId = z.strictObject({ epoch: wholeNumber, counter: wholeNumber });

export const pollSchema = z.strictObject({
  client: z.string().min(1).max(100),
  kind: z.enum(["proxy", "replica", "program"]),
  name: z.string().max(200),
  subscribe: z.union([z.literal("all"), z.array(z.string())]).optional(),
  applied: snapshotId,
  loads: z.record(z.string(), z.number().nonnegative()).optional(),
  waitMs: z.number().int().min(0).optional(),
});
