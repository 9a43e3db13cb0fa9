/**
 * REST over the controller: parses each request into a call, answers 202 with its goal, or problem JSON. fastify serves it; the
 * OpenAPI document is made from the schemas that validate.
 * On the unix socket file permissions guard it. On TCP every request needs the token, a known Host and no foreign Origin: creating a
 * backend is running code, and a web page can reach loopback.
 */
import type { Server } from "node:http";
import swagger from "@fastify/swagger";
import fastify, { type FastifyError, type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import type * as z from "zod";
import { isServeError, ServeError } from "../base/serve-error.ts";
import type { Action } from "../model/action.ts";
import type { Call, Goal } from "../model/calls.ts";
import { MAX_HEADER_BYTES, MAX_REST_BODY_BYTES, MAX_VALUE_DEPTH, RETRY_AFTER_SECONDS } from "../model/limits.ts";
import type { PollAnswer, PollRequest } from "../model/longpoll.ts";
import type { HttpConfig } from "../model/records.ts";
import type { Status } from "../model/status.ts";
import type { Clock } from "../ports/clock.ts";
import type { Log } from "../ports/log.ts";
import { Complaints } from "./complaints.ts";
import { liftDefinitions, operationOf } from "./document.ts";
import { createDoorway, readAway } from "./doorway.ts";
import { guardSocket, guardTcp } from "./guard.ts";
import { excerpt, PROBLEM_TYPE, problemOf, schemaError } from "./problems.ts";
import { addRoutes } from "./routes.ts";
import { noBody, noQuery } from "./schemas.ts";

/** What REST needs of the controller. */
export interface ControlPlane {
  submit(call: Call): Promise<Goal>;
  goal(id: string): Goal | undefined;
  waitForGoal(id: string, waitMs: number, signal: AbortSignal): Promise<Goal>;
  status(): Promise<Status>;
  httpConfig(): HttpConfig;
  /** Throws what the call would be refused with. */
  plan(call: Call): Promise<readonly Action[]>;
  explain(target: string): readonly { readonly target: string; readonly reason: string; readonly timestamp: string }[];
  poll(request: PollRequest, signal: AbortSignal): Promise<PollAnswer>;
}

export interface RestOptions {
  readonly controlPlane: ControlPlane;
  /** Draws goal ids for requests without an Idempotency-Key. */
  readonly drawId: () => string;
  /** Version shown in the OpenAPI document. */
  readonly version: string;
  readonly log: Log;
  readonly clock: Clock;
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
  const complaints = new Complaints(options);
  const guard = options.tcp === undefined ? guardSocket : guardTcp(options.tcp);
  const app = fastify({
    bodyLimit: MAX_REST_BODY_BYTES,
    logger: false,
    forceCloseConnections: true,
    // While it closes the control plane says what there is to say.
    return503OnClosing: false,
    // A parameter that is too long is for its schema to refuse.
    routerOptions: { maxParamLength: MAX_HEADER_BYTES },
    serverFactory: (handler) => createDoorway({ guard, complaints }, handler),
    frameworkErrors: answerWith(complaints),
    clientErrorHandler: () => {}, // the doorway's own
  });
  answerProblems(app, complaints);
  parseJsonOnly(app);
  validateWithZod(app);
  await app.register(swagger, {
    openapi: {
      openapi: "3.1.0",
      info: { title: "maitred", version: options.version, description: "Control of one maitred instance." },
    },
    transform: ({ schema, url, route }) => ({ schema: operationOf(`${route.method} ${url}`, schema), url }),
    transformObject: (made) => ("openapiObject" in made ? liftDefinitions(made.openapiObject) : made.swaggerObject),
  });
  await app.register((scope, _options, done) => {
    refuseUnasked(scope);
    const methods = methodsByPath(scope);
    addRoutes(scope, options);
    refuseOtherMethods(scope, methods);
    done();
  });
  await app.ready();
  return {
    server: app.server,
    listen: (where) => app.listen(where),
    close: () => app.close(),
  };
};

const answerProblems = (app: FastifyInstance, complaints: Complaints): void => {
  app.setErrorHandler(answerWith(complaints));
  app.setNotFoundHandler((request) => {
    throw new ServeError(
      "route-not-found",
      `${request.method} ${excerpt(request.url)} is not part of the API; GET /v1/openapi.json lists what is.`,
    );
  });
};

const answerWith =
  (complaints: Complaints) =>
  (error: Error & Partial<FastifyError>, request: FastifyRequest, reply: FastifyReply): void => {
    const known = fastifyErrorAsServeError(error);
    if (!isServeError(known)) complaints.bug(known);
    const problem = problemOf(known, subjectOf(request.url));
    if (problem.retryable) reply.header("retry-after", String(RETRY_AFTER_SECONDS));
    if (problem.code === "body-too-large") {
      reply.removeHeader("connection");
      readAway(request.raw);
    }
    reply.code(problem.status).type(PROBLEM_TYPE).send(JSON.stringify(problem));
  };

/** JSON by any name, and nothing else. No body at all is no error here: a schema may want one. */
const parseJsonOnly = (app: FastifyInstance): void => {
  const parse = app.getDefaultJsonParser("error", "error");
  app.removeAllContentTypeParsers();
  app.addContentTypeParser<string>(/^application\/(.+\+)?json/i, { parseAs: "string" }, (request, text, done) => {
    if (text === "") return done(null, undefined);
    void parse(request, text, (error, value) => {
      if (error !== null) done(error, undefined);
      else if (isDeeper(value, MAX_VALUE_DEPTH)) done(tooDeep(), undefined);
      else done(null, value);
    });
  });
};

/** What is deeper than all that values may be would exhaust the stack of whoever looks at it. */
const isDeeper = (value: unknown, levels: number): boolean =>
  typeof value === "object" &&
  value !== null &&
  (levels === 0 || Object.values(value).some((inner) => isDeeper(inner, levels - 1)));

const tooDeep = (): ServeError =>
  new ServeError("body-invalid", `the body is nested more than ${MAX_VALUE_DEPTH} levels deep.`);

/** Routes that name no query or body want none. */
const refuseUnasked = (app: FastifyInstance): void => {
  app.addHook("onRoute", (route) => {
    const body = /^(GET|HEAD)$/.test(String(route.method)) ? {} : { body: noBody };
    if (route.schema?.hide !== true) route.schema = { querystring: noQuery, ...body, ...route.schema };
  });
};

/** Fills while routes are added: which methods each path answers. */
const methodsByPath = (app: FastifyInstance): ReadonlyMap<string, ReadonlySet<string>> => {
  const methods = new Map<string, Set<string>>();
  app.addHook("onRoute", ({ url, method }) => {
    const known = methods.get(url) ?? new Set();
    for (const one of [method].flat()) known.add(one);
    methods.set(url, known);
  });
  return methods;
};

const refuseOtherMethods = (app: FastifyInstance, methods: ReadonlyMap<string, ReadonlySet<string>>): void => {
  for (const [url, known] of [...methods].map(([path, names]) => [path, [...names]] as const)) {
    const allow = known.join(", ");
    app.route({
      url,
      method: app.supportedMethods.filter((method) => !known.includes(method)),
      schema: { hide: true } as object,
      onRequest: async ({ method }, reply) => {
        reply.header("allow", allow);
        throw new ServeError("method-not-allowed", `${url} does not answer ${method}, only ${allow}.`);
      },
      handler: () => undefined,
    });
  }
};

/** What a request is about, for the start of a sentence: `backend "iris:v1"`. */
const subjectOf = (url: string): string | undefined => {
  const [, kind, tag] = /^\/v1\/(backend|endpoint|app)s\/([^/?]+)/.exec(url) ?? [];
  return kind === undefined || tag === undefined ? undefined : `${kind} ${JSON.stringify(excerpt(decodeTag(tag)))}`;
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
      return new ServeError(
        "body-too-large",
        `the body is larger than ${MAX_REST_BODY_BYTES} bytes. Put large values into a file and pass its path.`,
      );
    case "FST_ERR_BAD_URL":
      return new ServeError(
        "request-malformed",
        "the path has a % that begins no valid escape; write a % itself as %25.",
      );
    case "FST_ERR_CTP_INVALID_MEDIA_TYPE":
      return new ServeError("body-invalid", "the body must be JSON; send content-type: application/json.");
    case "FST_ERR_CTP_INVALID_JSON_BODY":
      return new ServeError(
        "body-invalid",
        'the body is not valid JSON, or has a key "__proto__" or a "constructor" with a "prototype", which are not taken.',
      );
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
