/**
 * Decides what becomes of each request: an endpoint's query, an answer of the proxy itself (`/-/…`), or a problem. Never says that a
 * route does not exist before it has learnt the routes.
 */
import { suggestion } from "../base/did-you-mean.ts";
import type { ErrorCode } from "../model/error-codes.ts";
import { DEFAULT_QUERY_TIMEOUT_MS, MAX_BODY_BYTES } from "../model/limits.ts";
import type { FlatHeaders } from "../model/wire.ts";
import type { Clock } from "../ports/clock.ts";
import type { EdgeAnswer, EdgeHandler, Exchange, ExchangeEvents } from "../ports/http-edge.ts";
import { DeadlineWheel, type KnownEndpoints, type Router } from "../router/router.ts";
import type { EdgeMeters, RequestMeters } from "./edge-meters.ts";
import { Passage, type PassageWorld } from "./passage.ts";
import { type ProblemAnswer, problemOf } from "./problems.ts";
import { HeadReader, type RequestHead } from "./request-head.ts";
import { parseTarget, withHost } from "./request-target.ts";
import { allows, RouteTable, strippedTarget } from "./route-table.ts";

export interface FrontOptions {
  readonly router: Router;
  readonly clock: Clock;
  readonly meters: EdgeMeters;
  readonly reasonOf: (status: number) => string;
  /** Begins the request ids that are drawn here; unique in the instance. */
  readonly idPrefix: string;
  /** Endpoints whose routes this proxy cannot read. */
  readonly onSkipped: (tags: readonly string[]) => void;
}

const SAFE_METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"]);
const ADMIN = "/-/";
/** Of what a client sent in a sentence about it. */
const SHOWN_CHARS = 200;
/** The answer is given and nothing else will happen. */
const DONE: ExchangeEvents = { onGone: () => {}, onDrain: () => {} };

interface Refusal {
  readonly requestId: string;
  readonly code: ErrorCode;
  readonly detail: string;
  /** The one that was meant, where there is one. */
  readonly endpoint?: string;
  readonly headers?: FlatHeaders;
}

export class Front implements EdgeHandler {
  readonly #options: FrontOptions;
  readonly #world: PassageWorld;
  readonly #heads = new HeadReader();
  #table = new RouteTable([]);
  #hasLearnt = false;
  #count = 0;

  constructor(options: FrontOptions) {
    this.#options = options;
    const { router, clock, meters, reasonOf } = options;
    this.#world = { router, clock, meters, reasonOf, wheel: new DeadlineWheel(clock) };
  }

  get hasLearnt(): boolean {
    return this.#hasLearnt;
  }

  learn({ endpoints, learnt }: KnownEndpoints): void {
    this.#hasLearnt = learnt;
    this.#table = new RouteTable(endpoints);
    this.#options.meters.keepOnly(new Set(endpoints.map(({ tag }) => tag)));
    if (this.#table.skipped.length > 0) this.#options.onSkipped(this.#table.skipped);
  }

  onRequest(exchange: Exchange): ExchangeEvents {
    const head = this.#heads.read(exchange.rawHeaders, exchange.version);
    if (head.kind !== "head") {
      const detail = `the request ${head.problem}.`;
      return this.#refuse(exchange, { requestId: this.#nextId(), code: head.kind, detail });
    }
    const requestId = head.requestId ?? this.#nextId();
    if (head.host === undefined && exchange.version === "1.1") {
      const detail = "the request has no Host header.";
      return this.#refuse(exchange, { requestId, code: "request-malformed", detail });
    }
    const parsed = parseTarget(exchange.target);
    if (parsed === undefined) {
      const detail = "the request's target is not a path.";
      return this.#refuse(exchange, { requestId, code: "request-malformed", detail });
    }
    const { path: target, authority } = parsed;
    const question = target.indexOf("?");
    const path = question < 0 ? target : target.slice(0, question);
    if (path.startsWith(ADMIN)) return this.#administer(exchange, requestId, path);
    const meant = authority === undefined ? head : { ...head, headers: withHost(head.headers, authority) };
    return this.#serve(exchange, { head: meant, requestId, target, path });
  }

  refusal(code: "request-malformed" | "headers-too-large" | "request-timeout", sentence: string): EdgeAnswer {
    this.#options.meters.problem(code);
    return problemOf(code, sentence, { requestId: this.#nextId(), reasonOf: this.#options.reasonOf });
  }

  #serve(
    exchange: Exchange,
    request: { readonly head: RequestHead; readonly requestId: string; readonly target: string; readonly path: string },
  ): ExchangeEvents {
    const { head, requestId, target, path } = request;
    const found = this.#table.find(path);
    if (found === undefined) return this.#noRoute(exchange, requestId, path);
    const { route, params } = found;
    const { tag, spec } = route.endpoint;
    const { method } = exchange;
    if (!allows(route, method)) {
      const detail = `endpoint "${tag}" does not answer ${method}; it answers ${route.allow}.`;
      const headers = ["allow", route.allow];
      return this.#refuse(exchange, { requestId, code: "method-not-allowed", detail, endpoint: tag, headers });
    }
    if (head.callMethod !== undefined && !spec.expose.includes(head.callMethod)) {
      const detail = `endpoint "${tag}" exposes no method "${shown(head.callMethod)}".${suggestion(head.callMethod, spec.expose)}`;
      return this.#refuse(exchange, { requestId, code: "method-unknown", detail, endpoint: tag });
    }
    // A method gets its argument whole. A door may read a stream of any length.
    if (head.callMethod !== undefined && head.bodyBytes !== undefined && head.bodyBytes > MAX_BODY_BYTES) {
      const detail = `the argument of ${head.bodyBytes} bytes is larger than ${MAX_BODY_BYTES}. Send less, or in several requests.`;
      return this.#refuse(exchange, { requestId, code: "body-too-large", detail, endpoint: tag });
    }
    const passage = new Passage(this.#world, exchange, {
      kind: "http",
      endpoint: tag,
      requestId,
      shardKey: head.shardKey,
      trace: head.trace,
      method,
      url: strippedTarget(target, route),
      params,
      headers: head.headers,
      callMethod: head.callMethod,
      body: undefined,
      timeoutMs: undefined,
      notAfter: undefined,
      idempotent: undefined,
      safeMethod: SAFE_METHODS.has(method),
    });
    const timeoutMs = spec.timeoutMs ?? DEFAULT_QUERY_TIMEOUT_MS;
    passage.start(head.hasBody ? { bytes: head.bodyBytes } : undefined, timeoutMs);
    return passage;
  }

  #noRoute(exchange: Exchange, requestId: string, path: string): ExchangeEvents {
    if (!this.#hasLearnt) {
      const detail = "this proxy has not learnt its routes yet. Try again in a moment.";
      return this.#refuse(exchange, { requestId, code: "not-ready", detail });
    }
    const detail = `no endpoint answers ${shown(path)}. GET /-/routes lists the routes that exist.`;
    return this.#refuse(exchange, { requestId, code: "route-not-found", detail });
  }

  #administer(exchange: Exchange, requestId: string, path: string): ExchangeEvents {
    if (path !== "/-/healthz" && path !== "/-/ready" && path !== "/-/routes") {
      const detail = `there is no ${shown(path)}. Under /-/ are /-/healthz, /-/ready and /-/routes.`;
      return this.#refuse(exchange, { requestId, code: "route-not-found", detail });
    }
    if (exchange.method !== "GET" && exchange.method !== "HEAD") {
      const detail = `${path} does not answer ${exchange.method}; it answers GET.`;
      return this.#refuse(exchange, { requestId, code: "method-not-allowed", detail, headers: ["allow", "GET, HEAD"] });
    }
    if (path === "/-/healthz") return this.#answerJson(exchange, requestId, { status: "ok" });
    if (!this.#hasLearnt) return this.#noRoute(exchange, requestId, path);
    if (path === "/-/ready") {
      if (this.#table.routes.length > 0) return this.#answerJson(exchange, requestId, { status: "ready" });
      const detail = "no endpoint has a route yet. Deploy an app, or create one.";
      return this.#refuse(exchange, { requestId, code: "not-ready", detail });
    }
    const routes = this.#table.routes.map(({ endpoint: { tag, spec } }) => ({
      ...{ route: spec.route, endpoint: tag, methods: spec.methods ?? "all" },
    }));
    return this.#answerJson(exchange, requestId, { routes });
  }

  #answerJson(exchange: Exchange, requestId: string, value: object): ExchangeEvents {
    const headers = ["content-type", "application/json", "x-request-id", requestId];
    const body = Buffer.from(`${JSON.stringify(value)}\n`);
    return this.#send(exchange, { status: 200, headers, body }, this.#options.meters.admin);
  }

  #refuse(exchange: Exchange, { requestId, code, detail, endpoint, headers = [] }: Refusal): ExchangeEvents {
    const { meters, reasonOf } = this.#options;
    meters.problem(code);
    const problem = problemOf(code, detail, { requestId, reasonOf, headers });
    return this.#send(exchange, problem, endpoint === undefined ? meters.unrouted : meters.of(endpoint));
  }

  /** At once: nobody has waited. */
  #send(exchange: Exchange, { status, headers, body }: ProblemAnswer, meters: RequestMeters): ExchangeEvents {
    meters.answered(status, 0);
    headers.push("content-length", String(body.length));
    exchange.reply(status, headers, exchange.method === "HEAD" ? undefined : body);
    return DONE;
  }

  /** One drawn prefix a process and a counter: cheap, and unique all the same. */
  #nextId(): string {
    this.#count += 1;
    return `${this.#options.idPrefix}-${this.#count.toString(36)}`;
  }
}

const shown = (text: string): string => (text.length <= SHOWN_CHARS ? text : `${text.slice(0, SHOWN_CHARS)}…`);
