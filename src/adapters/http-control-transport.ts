/** ports/control-transport.ts over HTTP: a unix socket of this machine, or a TCP listener with its token. */
import type { Agent, RequestOptions } from "node:http";
import { ServeError } from "../base/serve-error.ts";
import type { ControlAnswer, ControlRequest, ControlTransport } from "../ports/control-transport.ts";
import { nodeHttp } from "./node-http.ts";

export type ControlAddress =
  | { readonly kind: "unix"; readonly path: string }
  | { readonly kind: "tcp"; readonly url: string; readonly token: string };

export const createHttpControlTransport = (address: ControlAddress): ControlTransport => {
  const agent = new (nodeHttp().Agent)({ keepAlive: true, maxSockets: 16 });
  return {
    send: (request, wait) => send({ address, agent, request, ...wait }),
    close: () => agent.destroy(),
  };
};

interface Sending {
  readonly address: ControlAddress;
  readonly agent: Agent;
  readonly request: ControlRequest;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

const send = ({ address, agent, request, timeoutMs, signal }: Sending): Promise<ControlAnswer> =>
  new Promise((resolve, reject) => {
    const body = request.body === undefined ? undefined : Buffer.from(JSON.stringify(request.body));
    const timeout = AbortSignal.timeout(Math.ceil(Math.max(1, timeoutMs)));
    const outgoing = nodeHttp().request({
      ...targetOf(address),
      agent,
      method: request.method,
      path: request.path,
      signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
      headers: {
        ...(body === undefined ? {} : { "content-type": "application/json", "content-length": body.length }),
        ...(request.idempotencyKey === undefined ? {} : { "idempotency-key": request.idempotencyKey }),
        ...(address.kind === "tcp" ? { authorization: `Bearer ${address.token}` } : {}),
      },
    });
    const fail = (cause: unknown) => reject(unavailable(cause));
    outgoing.on("error", fail);
    outgoing.on("response", (incoming) => {
      const parts: Buffer[] = [];
      incoming.on("data", (part: Buffer) => parts.push(part));
      incoming.on("error", fail);
      incoming.on("end", () => {
        try {
          resolve({ status: incoming.statusCode ?? 0, body: JSON.parse(Buffer.concat(parts).toString()) });
        } catch (error) {
          fail(error);
        }
      });
    });
    outgoing.end(body);
  });

const targetOf = (address: ControlAddress): RequestOptions => {
  if (address.kind === "unix") return { socketPath: address.path, host: "localhost" };
  const { hostname, port } = new URL(address.url);
  return { host: hostname.replace(/^\[(.+)\]$/, "$1"), port: Number(port || 80) };
};

const unavailable = (cause: unknown): ServeError =>
  new ServeError("controller-unavailable", "no controller of the instance answers.", { retryable: true, cause });
