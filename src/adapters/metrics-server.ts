/**
 * ports/metrics-server.ts on node:http: `GET /metrics` and nothing else. It runs in an agent, which must stay light: the module of HTTP is
 * loaded when somebody wants metrics, connections are few and bounded in time, and no scraper is waited for.
 * Who may ask: on loopback everybody but web pages (an Origin, or a Host that is not this machine's, as when a name was bent to it);
 * beyond it whoever has the token.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { type AddressInfo, BlockList, isIP } from "node:net";
import { messageOf, ServeError } from "../base/serve-error.ts";
import { EXPOSITION_TYPE } from "../core/metrics/exposition.ts";
import {
  EDGE_CHECK_INTERVAL_MS,
  MAX_METRICS_CONNECTIONS,
  MAX_METRICS_HEAD_BYTES,
  METRICS_IDLE_MS,
} from "../model/limits.ts";
import type { MetricsAt, MetricsListening, MetricsServer } from "../ports/metrics-server.ts";
import { nodeHttp } from "./node-http.ts";

/** @param token read, or drawn, when a listener beyond loopback needs it. */
export const createMetricsServer = (token: () => string): MetricsServer => ({
  listen: (at, scrape) => listen(at, scrape, isLoopback(at.host) ? mayAskHere : mayAskWith(token())),
});

/** Answers why not. */
type Guard = (request: IncomingMessage) => Refusal | undefined;

interface Refusal {
  readonly status: 401 | 403;
  readonly why: string;
}

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet("127.0.0.0", 8, "ipv4");
LOOPBACK.addAddress("::1", "ipv6");

const isLoopback = (host: string): boolean =>
  host === "localhost" || (isIP(host) !== 0 && LOOPBACK.check(host, isIP(host) === 6 ? "ipv6" : "ipv4"));

const mayAskHere: Guard = ({ headers: { host = "", origin } }) => {
  const name = /^\[(.+)\](?::\d+)?$/.exec(host)?.[1] ?? host.replace(/:\d+$/, "").toLowerCase();
  if (origin !== undefined) return { status: 403, why: "Web pages are not answered." };
  return isLoopback(name) ? undefined : { status: 403, why: "The Host of this request is not this machine." };
};

const mayAskWith = (token: string): Guard => {
  const expected = digest(token);
  return ({ headers: { authorization = "" } }) => {
    const given = /^Bearer +(\S+)$/i.exec(authorization)?.[1] ?? "";
    if (timingSafeEqual(digest(given), expected)) return undefined;
    const why =
      "Send `authorization: Bearer <token>`; the token is in the file `token` of the instance's state folder.";
    return { status: 401, why };
  };
};

const digest = (text: string): Buffer => createHash("sha256").update(text).digest();

const listen = async (at: MetricsAt, scrape: () => Promise<string>, guard: Guard): Promise<MetricsListening> => {
  const server = nodeHttp().createServer({
    maxHeaderSize: MAX_METRICS_HEAD_BYTES,
    headersTimeout: METRICS_IDLE_MS,
    requestTimeout: METRICS_IDLE_MS,
    connectionsCheckingInterval: EDGE_CHECK_INTERVAL_MS,
  });
  server.maxConnections = MAX_METRICS_CONNECTIONS;
  // Who does not read: the socket makes no progress.
  server.timeout = METRICS_IDLE_MS;
  server.keepAliveTimeout = METRICS_IDLE_MS;
  server.on("request", (request, response) => void answer(request, response, { scrape, guard }));
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause: NodeJS.ErrnoException) => reject(notListening(at, cause)));
    server.listen({ host: at.host, port: at.port, exclusive: true }, resolve);
  });
  server.removeAllListeners("error");
  server.on("error", () => {}); // out of descriptors while accepting: that scraper comes again
  const { port } = server.address() as AddressInfo;
  const host = at.host === "0.0.0.0" || at.host === "::" ? "127.0.0.1" : at.host;
  const url = `http://${host.includes(":") ? `[${host}]` : host}:${port}/metrics`;
  return { port, url, close: () => closeAll(server) };
};

const answer = async (
  request: IncomingMessage,
  response: ServerResponse,
  { scrape, guard }: { readonly scrape: () => Promise<string>; readonly guard: Guard },
): Promise<void> => {
  request.resume();
  response.on("error", () => {}); // a scraper that left
  const refusal = guard(request);
  if (refusal !== undefined) return say(response, refusal.status, refusal.why);
  if (request.url?.replace(/\?.*$/, "") !== "/metrics") return say(response, 404, "Only /metrics is here.");
  if (request.method !== "GET" && request.method !== "HEAD") {
    response.setHeader("allow", "GET, HEAD");
    return say(response, 405, "Only GET and HEAD are answered.");
  }
  try {
    const text = Buffer.from(await scrape());
    response.writeHead(200, { "content-type": EXPOSITION_TYPE, "content-length": text.length }).end(text);
  } catch (error) {
    say(response, 500, messageOf(error));
  }
};

const say = (response: ServerResponse, status: number, sentence: string): void => {
  const body = Buffer.from(`${sentence}\n`);
  const headers = { "content-type": "text/plain; charset=utf-8", "content-length": body.length };
  response.writeHead(status, headers).end(body);
};

const closeAll = (server: Server): void => {
  server.close();
  server.closeAllConnections();
};

const notListening = (at: MetricsAt, cause: NodeJS.ErrnoException): ServeError =>
  cause.code === "EADDRINUSE"
    ? new ServeError(
        "port-in-use",
        `metrics: port ${at.port} of ${at.host} is already in use. Choose another with --metrics-port (0 takes a free one), or end what listens there.`,
        { details: { host: at.host, port: at.port }, cause },
      )
    : new ServeError(
        "config-invalid",
        `metrics: cannot listen on port ${at.port} of ${at.host}: ${cause.message}. Choose an address of this machine with --metrics-host.`,
        {
          cause,
        },
      );
