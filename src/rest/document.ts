/**
 * The OpenAPI document: made from the schemas that validate, for programs that make clients of it.
 * Shapes that have a name (schemas.ts) stand once, under `components/schemas`. zod puts them beside each use, under `$defs`, where a
 * reference of OpenAPI, which is read from the document's root, does not find them; this file moves them and mends the references.
 */
import * as z from "zod";
import { PROBLEM_TYPE } from "./problems.ts";
import { noBody } from "./schemas.ts";

type Shape = Readonly<Record<string, unknown>>;
/** `operationId` and `summary` by method and path. */
type Operations = Readonly<Record<string, readonly [operationId: string, summary: string]>>;

const CHANGES: Operations = {
  "PUT /v1/backends/:tag": ["createBackend", "Creates a backend, or replaces its code and configuration."],
  "PATCH /v1/backends/:tag/config": ["updateBackendConfig", "Changes the named fields of a backend's configuration."],
  "POST /v1/backends/:tag/restart": ["restartBackend", "Replaces all replicas of a backend, a few at a time."],
  "DELETE /v1/backends/:tag": ["deleteBackend", "Deletes a backend that gets no traffic."],
  "PUT /v1/endpoints/:tag": ["createEndpoint", "Creates an endpoint."],
  "DELETE /v1/endpoints/:tag": ["deleteEndpoint", "Deletes an endpoint; its backends stay."],
  "PUT /v1/endpoints/:tag/traffic": ["setTraffic", "Sets by weights which backends get an endpoint's queries."],
  "PUT /v1/endpoints/:tag/shadows/:backend": [
    "shadowTraffic",
    "Copies a share of an endpoint's queries to one more backend; 0 ends it.",
  ],
  "PUT /v1/apps/:name": ["deploy", "Makes an app be what the body says, as one change."],
  "POST /v1/stop": ["stop", "Ends the processes; what was deployed comes back with the next start."],
  "POST /v1/shutdown": ["shutdown", "Deletes everything, then ends the processes."],
};

const READS: Operations = {
  "GET /v1/healthz": ["healthz", "Whether the controller answers."],
  "GET /v1/status": ["status", "What is there and what is going on."],
  "GET /v1/http-config": ["httpConfig", "Where HTTP is served."],
  "GET /v1/goals": ["goals", "The goals that are kept."],
  "GET /v1/goals/:id": ["goal", "One goal; with waitMs, once it has settled or the time is over."],
  "POST /v1/plan": ["plan", "What a call would do, without doing it."],
  "GET /v1/explain/:target": ["explain", "Why a backend or an endpoint is as it is: what was decided last."],
  "POST /v1/longpoll": ["longpoll", "Waits for what routers are to know next."],
};

/** For `@fastify/swagger`: what it is told of a route. */
export const operationOf = (route: string, schema: unknown): Record<string, unknown> => {
  const told = Object.entries((schema ?? {}) as Shape).filter(([, value]) => value !== noBody);
  const shapes = told.map(([part, value]) => [part, value instanceof z.ZodType ? jsonSchemaOf(value) : value]);
  const [operationId, summary] = CHANGES[route] ?? READS[route] ?? [];
  const answer =
    route in CHANGES
      ? { 202: { description: "The change is durable; this is its goal." } }
      : { 200: { description: "The answer." } };
  return { operationId, summary, response: { ...answer, default: REFUSED }, ...Object.fromEntries(shapes) };
};

/** For `@fastify/swagger`: the whole document, before anybody has seen it. */
export const liftDefinitions = (document: { readonly components?: object | undefined }): Record<string, unknown> => {
  const schemas: Record<string, unknown> = {};
  const rest = lifted(document, schemas) as { readonly components?: Shape };
  return { ...rest, components: { ...rest.components, schemas } };
};

/** The value without `$defs`, which are in `schemas` afterwards. One name is one shape: zod refuses a name that is given twice. */
const lifted = (value: unknown, schemas: Record<string, unknown>): unknown => {
  if (Array.isArray(value)) return value.map((one) => lifted(one, schemas));
  if (typeof value !== "object" || value === null) return value;
  const { $defs, ...rest } = value as Shape;
  for (const [name, shape] of Object.entries(($defs ?? {}) as Shape)) schemas[name] = lifted(shape, schemas);
  return Object.fromEntries(
    Object.entries(rest).map(([key, inner]) => [
      key,
      key === "$ref" ? String(inner).replace(/^#\/\$defs\//, "#/components/schemas/") : lifted(inner, schemas),
    ]),
  );
};

/** Without `$schema`: the document says for all of its schemas what they are. */
const jsonSchemaOf = (schema: z.ZodType): Shape => {
  const { $schema: _, ...shape } = z.toJSONSchema(schema, {
    io: "input",
    unrepresentable: "any",
    target: "draft-2020-12",
  });
  return shape;
};

const text = { type: "string" };

const REFUSED = {
  description: "Problem JSON: what was refused or failed, and what to do.",
  content: {
    [PROBLEM_TYPE]: {
      schema: {
        type: "object",
        required: ["type", "title", "status", "detail", "code", "retryable"],
        properties: {
          type: text,
          title: text,
          status: { type: "integer" },
          detail: { ...text, description: "What happened, and what to do." },
          message: { ...text, description: "The same in the words of the client library, where they differ." },
          code: { ...text, description: "Stable, for programs." },
          retryable: { type: "boolean", description: "The same request may be sent again as it is." },
          details: { type: "object" },
        },
      },
    },
  },
};
