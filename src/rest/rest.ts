/**
 * REST over the controller: parses each request into a call, answers 202 with its goal, or problem JSON. fastify serves it; the
 * OpenAPI document is made from the schemas that validate.
 * On the unix socket file permissions guard it. On TCP every request needs the token, a known Host and no foreign Origin: creating a
 * backend is running code, and a web page can reach loopback.
 */
import type { IncomingMessage, Server } from "node:http";
import swagger from "@fastify/swagger";
import fastify, { type FastifyInstance, type FastifyReply } from "fastify";
import * as z from "zod";
import { isServeError, ServeError } from "../base/serve-error.ts";
import type { Call, Goal } from "../model/calls.ts";
import { MAX_REST_BODY_BYTES, READ_AWAY_MS } from "../model/limits.ts";
import type { PollAnswer, PollRequest } from "../model/longpoll.ts";
import type { HttpConfig } from "../model/records.ts";
import type { Status } from "../model/status.ts";
import { guardTcp } from "./guard.ts";
import { problemOf, schemaError } from "./problems.ts";
import { addRoutes } from "./routes.ts";

/** What REST needs of the controller. */
export interface ControlPlane {
  submit(call: Call): Promise<Goal>;
  goal(id: string): Goal | undefined;
  waitForGoal(id: string, waitMs: number, signal: AbortSignal): Promise<Goal>;
  status(): Status;
  httpConfig(): HttpConfig;
  explain(target: string): readonly { readonly target: string; readonly reason: string; readonly timestamp: string }[];
  poll(request: PollRequest, signal: AbortSignal): Promise<PollAnswer>;
}

export interface RestOptions {
  readonly controlPlane: ControlPlane;
  /** Draws goal ids for requests without an Idempotency-Key. */
  readonly drawId: () => string;
  /** Version shown in the OpenAPI document. */
  readonly version: string;
  /** Set for a TCP listener; absent on the unix socket. */
  readonly tcp?: { readonly token: string; readonly hosts: readonly string[] } | undefined;
}

export interface RestServer {
  readonly server: Server;
  listen(where: { readonly path: string } | { readonly host: string; readonly port: number }): Promise<string>;
  close(): Promise<void>;
}

/** A REST server that is not listening yet. */
export const createRestServer = async (options: RestOptions): Promise<RestServer> => {
  const app = fastify({
    bodyLimit: MAX_REST_BODY_BYTES,
    logger: false,
    forceCloseConnections: true,
    routerOptions: { maxParamLength: 300 },
  });
  answerProblems(app);
  validateWithZod(app);
  if (options.tcp !== undefined) guardTcp(app, options.tcp);
  else refuseBrowsers(app);
  await app.register(swagger, {
    openapi: {
      openapi: "3.1.0",
      info: { title: "maitred", version: options.version, description: "Control of one maitred instance." },
    },
    transform: ({ schema, url }) => ({ schema: schemaForDocument(schema), url }),
  });
  await app.register((scope, _options, done) => {
    addRoutes(scope, options);
    done();
  });
  await app.ready();
  return {
    server: app.server,
    listen: (where) => app.listen(where),
    close: () => app.close(),
  };
};

const answerProblems = (app: FastifyInstance): void => {
  app.setErrorHandler((error: Error & { code?: string; statusCode?: number }, request, reply) => {
    const problem = problemOf(fastifyErrorAsServeError(error), subjectOf(request.url));
    if (problem.retryable) reply.header("retry-after", "1");
    if (problem.code === "body-too-large") readAway(request.raw, reply);
    return reply.code(problem.status).type("application/problem+json").send(JSON.stringify(problem));
  });
  app.setNotFoundHandler((request) => {
    throw new ServeError(
      "route-not-found",
      `${request.method} ${request.url} is not part of the API; GET /v1/openapi.json lists what is.`,
    );
  });
};

/** A client that is still sending loses the answer when its connection is closed at once: it gets a moment to come to the end. */
const readAway = (incoming: IncomingMessage, reply: FastifyReply): void => {
  reply.removeHeader("connection");
  incoming.resume();
  const timer = setTimeout(() => incoming.destroy(), READ_AWAY_MS);
  incoming.once("close", () => clearTimeout(timer));
};

/** What a request is about, for the start of a sentence: `backend "iris:v1"`. */
const subjectOf = (url: string): string | undefined => {
  const [, kind, tag] = /^\/v1\/(backend|endpoint)s\/([^/?]+)/.exec(url) ?? [];
  return kind === undefined || tag === undefined ? undefined : `${kind} ${JSON.stringify(decodeTag(tag))}`;
};

const decodeTag = (text: string): string => {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // a malformed escape: shown as it came
  }
};

/** fastify's own refusals in our words. */
const fastifyErrorAsServeError = (error: Error & { code?: string; statusCode?: number }): unknown => {
  if (isServeError(error)) return error;
  switch (error.code) {
    case "FST_ERR_CTP_BODY_TOO_LARGE":
      return new ServeError("body-too-large", `the body is larger than ${MAX_REST_BODY_BYTES} bytes.`);
    case "FST_ERR_CTP_EMPTY_JSON_BODY":
      return new ServeError("body-invalid", "the body is empty, but content-type says JSON.");
    case "FST_ERR_CTP_INVALID_MEDIA_TYPE":
      return new ServeError("body-invalid", "the body must be JSON; send content-type: application/json.");
    case "FST_ERR_CTP_INVALID_JSON_BODY":
      return new ServeError("body-invalid", "the body is not valid JSON.");
    default:
      return error instanceof SyntaxError || error.statusCode === 400
        ? new ServeError("body-invalid", `the request is malformed: ${error.message}`)
        : error;
  }
};

const validateWithZod = (app: FastifyInstance): void => {
  app.setValidatorCompiler<z.ZodType>(({ schema }) => (data) => {
    const parsed = schema.safeParse(data, { reportInput: true });
    return parsed.success ? { value: parsed.data } : { error: schemaError(parsed.error, schema) };
  });
  app.setSerializerCompiler(() => (data) => JSON.stringify(data));
  app.setSchemaErrorFormatter((errors) => errors as unknown as Error);
};

/** A unix socket is not reachable from a page, but a forwarded one is: an Origin has no business here. */
const refuseBrowsers = (app: FastifyInstance): void => {
  app.addHook("onRequest", async (request) => {
    const { origin } = request.headers;
    if (origin !== undefined)
      throw new ServeError("origin-refused", `requests from web pages (Origin ${origin}) are refused.`);
  });
};

const schemaForDocument = (schema: unknown): Record<string, unknown> => {
  const source = (schema ?? {}) as Record<string, unknown>;
  return Object.fromEntries(
    Object.entries(source).map(([part, value]) => [
      part,
      value instanceof z.ZodType
        ? z.toJSONSchema(value, { io: "input", unrepresentable: "any", target: "draft-2020-12" })
        : value,
    ]),
  );
};
