/** The routes of REST, one a call. What they promise: a change answers 202 and its goal, only after it is durable. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { z } from "zod";
import { ServeError } from "../base/serve-error.ts";
import type { BackendConfigUpdate } from "../model/backend-config.ts";
import type { Call } from "../model/calls.ts";
import { type BackendTag, type EndpointTag, isGoalId } from "../model/ids.ts";
import { MAX_DEPLOY_BODY_BYTES } from "../model/limits.ts";
import type { PollRequest } from "../model/longpoll.ts";
import { type Change, createBackendOf, createEndpointOf, deployOf, plannedOf } from "./calls.ts";
import { excerpt } from "./problems.ts";
import type { RestOptions } from "./rest.ts";
import * as schemas from "./schemas.ts";

export const addRoutes = (app: FastifyInstance, options: RestOptions): void => {
  const { controlPlane } = options;

  const change = async (request: FastifyRequest, reply: FastifyReply, call: Change) => {
    const goalId = goalIdOf(request, options.drawId);
    const goal = await controlPlane.submit({ ...call, goalId } as Call);
    reply.code(202).header("location", `/v1/goals/${encodeURIComponent(goal.id)}`);
    return goal;
  };

  addReads(app, options);

  app.put(
    "/v1/backends/:tag",
    { schema: { params: schemas.tagParams, body: schemas.createBackendSchema } },
    (request, reply) => {
      const { tag } = request.params as { tag: string };
      const body = request.body as z.infer<typeof schemas.createBackendSchema>;
      return change(request, reply, createBackendOf(tag, body));
    },
  );
  app.patch(
    "/v1/backends/:tag/config",
    { schema: { params: schemas.tagParams, body: schemas.backendConfigUpdateSchema } },
    (request, reply) => {
      const { tag } = request.params as { tag: BackendTag };
      return change(request, reply, { kind: "updateBackendConfig", tag, config: request.body as BackendConfigUpdate });
    },
  );
  app.post("/v1/backends/:tag/restart", { schema: { params: schemas.tagParams } }, (request, reply) =>
    change(request, reply, { kind: "restartBackend", tag: (request.params as { tag: BackendTag }).tag }),
  );
  app.delete(
    "/v1/backends/:tag",
    { schema: { params: schemas.tagParams, querystring: schemas.deleteQuery } },
    (request, reply) => {
      const { force } = request.query as z.infer<typeof schemas.deleteQuery>;
      return change(request, reply, {
        kind: "deleteBackend",
        tag: (request.params as { tag: BackendTag }).tag,
        force: force === "true",
      });
    },
  );
  app.put(
    "/v1/endpoints/:tag",
    { schema: { params: schemas.tagParams, body: schemas.createEndpointSchema } },
    (request, reply) => {
      const { tag } = request.params as { tag: string };
      const body = request.body as z.infer<typeof schemas.createEndpointSchema>;
      return change(request, reply, createEndpointOf(tag, body));
    },
  );
  app.delete("/v1/endpoints/:tag", { schema: { params: schemas.tagParams } }, (request, reply) =>
    change(request, reply, { kind: "deleteEndpoint", tag: (request.params as { tag: EndpointTag }).tag }),
  );
  app.put(
    "/v1/endpoints/:tag/traffic",
    { schema: { params: schemas.tagParams, body: schemas.setTrafficSchema } },
    (request, reply) => {
      const { weights } = request.body as z.infer<typeof schemas.setTrafficSchema>;
      return change(request, reply, {
        kind: "setTraffic",
        tag: (request.params as { tag: EndpointTag }).tag,
        traffic: weights,
      });
    },
  );
  app.put(
    "/v1/endpoints/:tag/shadows/:backend",
    { schema: { params: schemas.shadowParams, body: schemas.shadowTrafficSchema } },
    (request, reply) => {
      const { tag, backend } = request.params as { tag: EndpointTag; backend: BackendTag };
      const { proportion } = request.body as z.infer<typeof schemas.shadowTrafficSchema>;
      return change(request, reply, { kind: "shadowTraffic", tag, backend, proportion });
    },
  );
  app.put(
    "/v1/apps/:name",
    { schema: { params: schemas.appParams, body: schemas.deploySchema }, bodyLimit: MAX_DEPLOY_BODY_BYTES },
    (request, reply) => {
      const { name } = request.params as { name: string };
      return change(request, reply, deployOf(name, request.body as z.infer<typeof schemas.deploySchema>));
    },
  );
  app.post("/v1/stop", (request, reply) => change(request, reply, { kind: "stop" }));
  app.post("/v1/shutdown", (request, reply) => change(request, reply, { kind: "shutdown" }));
};

const addReads = (app: FastifyInstance, { controlPlane, drawId }: RestOptions): void => {
  app.get("/v1/openapi.json", { schema: { hide: true } as object }, () => app.swagger());
  app.get("/v1/healthz", () => ({ ok: true }));
  app.get("/v1/status", () => controlPlane.status());
  app.get("/v1/http-config", () => controlPlane.httpConfig());
  app.get("/v1/goals", async () => (await controlPlane.status()).goals);
  app.get(
    "/v1/goals/:id",
    { schema: { params: schemas.goalParams, querystring: schemas.goalQuery } },
    async (request, reply) => {
      const { id } = request.params as { id: string };
      const { waitMs } = request.query as z.infer<typeof schemas.goalQuery>;
      const goal =
        waitMs === undefined ? controlPlane.goal(id) : await controlPlane.waitForGoal(id, waitMs, signalOf(reply));
      if (goal === undefined)
        throw new ServeError(
          "goal-unknown",
          `no goal "${excerpt(id)}" is kept: it never existed, or it settled long ago. status().goals lists those that are.`,
          {
            details: { goalId: id },
          },
        );
      return goal;
    },
  );
  app.post("/v1/plan", { schema: { body: schemas.planSchema }, bodyLimit: MAX_DEPLOY_BODY_BYTES }, (request) =>
    controlPlane.plan({
      ...plannedOf(request.body as z.infer<typeof schemas.planSchema>),
      goalId: goalIdOf(request, drawId),
    } as Call),
  );
  app.get("/v1/explain/:target", { schema: { params: schemas.targetParams } }, (request) =>
    controlPlane.explain((request.params as { target: string }).target),
  );
  app.post("/v1/longpoll", { schema: { body: schemas.pollSchema } }, (request, reply) =>
    controlPlane.poll(request.body as PollRequest, signalOf(reply)),
  );
};

/** Aborts when the client has gone before its answer. */
const signalOf = (reply: FastifyReply): AbortSignal => {
  const gone = new AbortController();
  // Also an answered request closes; an abort that nobody hears costs more than the rest of a short answer.
  reply.raw.once("close", () => {
    if (!reply.raw.writableFinished) gone.abort();
  });
  return gone.signal;
};

const goalIdOf = (request: FastifyRequest, drawId: () => string) => {
  const given = request.headers["idempotency-key"];
  const id = given === undefined ? drawId() : String(given);
  if (!isGoalId(id))
    throw new ServeError(
      "config-invalid",
      `Idempotency-Key ${JSON.stringify(excerpt(id))} must be 1 to 100 characters of letters, digits and . _ : -.`,
    );
  return id;
};
