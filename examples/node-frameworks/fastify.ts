/** A Fastify app as a backend. `npx maitred run examples/node-frameworks/fastify.ts`, then `curl http://127.0.0.1:8000/menu/monday`. */
import fastify, { type FastifyInstance } from "fastify";
import { fetchOf } from "./fetch-of.ts";

export function buildApp(): FastifyInstance {
  const app = fastify();
  app.get("/menu/:day", (request) => ({ day: (request.params as { day: string }).day, dish: "soup" }));
  app.post("/orders", async (request, reply) => reply.code(201).send({ ordered: request.body }));
  return app;
}

export default class Shop {
  readonly #app = buildApp();
  readonly #fetch = fetchOf((request, response) => this.#app.routing(request, response));

  /** Plugins are loaded here; a failing one is a failed start. */
  async start() {
    await this.#app.ready();
  }

  fetch(request: Request) {
    return this.#fetch(request);
  }

  async close() {
    await this.#app.close();
  }
}
