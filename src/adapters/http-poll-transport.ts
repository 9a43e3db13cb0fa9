/**
 * ports/poll-transport.ts: `POST /v1/longpoll` to the leading controller, on its unix socket or over TCP with the token.
 * One kept-alive connection: there is at most one poll under way. A poll that no answer ends within its wait plus a margin is given
 * up, so that a half-open connection is noticed.
 */
import type { Agent, IncomingMessage, RequestOptions } from "node:http";
import { isServeError, messageOf, ServeError } from "../base/serve-error.ts";
import { MAX_POLL_ANSWER_BYTES, POLL_ANSWER_MARGIN_MS, POLL_TIMEOUT_MS } from "../model/limits.ts";
import type { Leader } from "../model/link-messages.ts";
import type { PollAnswer, PollRequest } from "../model/longpoll.ts";
import type { PollTransport } from "../ports/poll-transport.ts";
import { nodeHttp } from "./node-http.ts";

export interface HttpPollTransportOptions {
  /** Where the leading controller is now; undefined = none known. */
  readonly leader: () => Pick<Leader, "address"> | undefined;
  /** Needed for leaders on TCP. */
  readonly token?: (() => string | undefined) | undefined;
}

export interface HttpPollTransport extends PollTransport {
  /** To be called when `leader()` has another answer. */
  leaderChanged(): void;
  close(): void;
}

export const createHttpPollTransport = (options: HttpPollTransportOptions): HttpPollTransport => {
  const agent = new (nodeHttp().Agent)({ keepAlive: true, maxSockets: 2 });
  const listeners: (() => void)[] = [];
  return {
    poll: (request, signal) => poll({ options, agent, request, signal }),
    onLeaderChange: (callback) => void listeners.push(callback),
    leaderChanged() {
      for (const listener of listeners) listener();
    },
    close: () => agent.destroy(),
  };
};

interface Polling {
  readonly options: HttpPollTransportOptions;
  readonly agent: Agent;
  readonly request: PollRequest;
  readonly signal: AbortSignal;
}

async function poll({ options, agent, request, signal }: Polling): Promise<PollAnswer> {
  const leader = options.leader();
  if (leader === undefined) throw unavailable("no leading controller is known");
  const body = Buffer.from(JSON.stringify(request));
  const token = options.token?.();
  const where = { ...targetOf(leader.address), agent, method: "POST", path: "/v1/longpoll", signal };
  const headers = {
    "content-type": "application/json",
    "content-length": body.length,
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
  };
  const timeout = (request.waitMs ?? POLL_TIMEOUT_MS) + POLL_ANSWER_MARGIN_MS;
  try {
    return await exchange({ ...where, headers, timeout }, body);
  } catch (error) {
    if (isServeError(error)) throw error;
    throw unavailable(messageOf(error), error);
  }
}

const exchange = (where: RequestOptions, body: Buffer): Promise<PollAnswer> =>
  new Promise((resolve, reject) => {
    const outgoing = nodeHttp().request(where);
    outgoing.on("error", reject);
    // `timeout` counts silence on the socket, which is all there is until the answer.
    outgoing.on("timeout", () => outgoing.destroy(new Error("the controller did not answer in time")));
    outgoing.on("response", (incoming) => {
      readBody(incoming)
        .then((text) => resolve(answerOf(incoming.statusCode ?? 0, text)), reject)
        .catch(reject);
    });
    outgoing.end(body);
  });

const readBody = async (incoming: IncomingMessage): Promise<string> => {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of incoming as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > MAX_POLL_ANSWER_BYTES) throw new Error(`the answer is larger than ${MAX_POLL_ANSWER_BYTES} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString();
};

function answerOf(status: number, text: string): PollAnswer {
  if (status !== 200) throw unavailable(`it answered ${status}`);
  const answer = JSON.parse(text) as Partial<PollAnswer>;
  if (answer.kind !== "register" && answer.kind !== "idle" && answer.kind !== "news") {
    throw unavailable("its answer is not one of a long poll");
  }
  return answer as PollAnswer;
}

function targetOf(address: string): RequestOptions {
  if (address.startsWith("unix:")) return { socketPath: address.slice("unix:".length), host: "localhost" };
  const text = address.replace(/^tcp:/, "");
  const colon = text.lastIndexOf(":");
  return { host: text.slice(0, colon).replace(/^\[(.*)\]$/, "$1"), port: Number(text.slice(colon + 1)) };
}

const unavailable = (why: string, cause?: unknown): ServeError =>
  new ServeError("controller-unavailable", `The long poll to the controller failed: ${why}.`, {
    retryable: true,
    ...(cause === undefined ? {} : { cause }),
  });
