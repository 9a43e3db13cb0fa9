/**
 * Makes a web-standard `fetch` of a Node-style handler: an Express app, Fastify's `app.routing`, a function of `node:http`.
 * The handler sits behind a real `node:http` server that listens on nothing: each request comes over a pair of streams in memory, so
 * everything that it may do with `req` and `res` works, bodies stream both ways, and a caller that leaves closes the request.
 */
import { createServer, type IncomingMessage, type RequestListener, request as send } from "node:http";
import type { Socket } from "node:net";
import { duplexPair, Readable } from "node:stream";
import { pipeline } from "node:stream/promises";

/** Headers of one connection; this one is ours. */
const HOP = new Set(["connection", "keep-alive", "transfer-encoding", "upgrade", "expect"]);

export function fetchOf(listener: RequestListener): (request: Request) => Promise<Response> {
  const server = createServer({ requestTimeout: 0, headersTimeout: 0 }, listener);
  return async (request) => {
    const [near, far] = duplexPair();
    server.emit("connection", far);
    const { pathname, search } = new URL(request.url);
    const headers = Object.fromEntries([...request.headers].filter(([name]) => !HOP.has(name)));
    const outgoing = send({
      method: request.method,
      path: pathname + search,
      headers: { ...headers, connection: "close" },
      signal: request.signal,
      createConnection: () => near as Socket,
    });
    const response = new Promise<IncomingMessage>((resolve, reject) => {
      outgoing.once("response", resolve).once("error", reject);
    });
    if (request.body === null) outgoing.end();
    // An answer that comes before all was sent ends the sending.
    else void pipeline(Readable.fromWeb(request.body as never), outgoing).catch(() => {});
    return responseOf(await response);
  };
}

function responseOf(incoming: IncomingMessage): Response {
  const headers = new Headers();
  for (let index = 0; index < incoming.rawHeaders.length; index += 2) {
    const name = incoming.rawHeaders[index]!;
    if (!HOP.has(name.toLowerCase())) headers.append(name, incoming.rawHeaders[index + 1]!);
  }
  const status = incoming.statusCode!;
  const isBodiless = status === 204 || status === 205 || status === 304;
  if (isBodiless) incoming.resume();
  return new Response(isBodiless ? null : (Readable.toWeb(incoming) as ReadableStream), { status, headers });
}
