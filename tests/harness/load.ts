/**
 * A steady stream of requests, open loop: one is sent at its time whether or not the ones before it have been answered, in turn on a
 * kept and on a fresh connection. Each has an id and is noted with its status or the reason why it failed; none is ever sent twice.
 * Bounded: more than MAX_IN_FLIGHT unanswered requests are noted as failures of their own.
 */
import { Agent, request as httpRequest, type IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { printMeasured, waitFor } from "./wait-for.ts";

const MAX_IN_FLIGHT = 2_000;
const TICK_MS = 5;
const REQUEST_DEADLINE_MS = 20_000;

export interface Sent {
  readonly id: string;
  readonly connection: "kept" | "fresh";
  readonly sentAt: number;
  /** Instant at which its connection was established; undefined: never. */
  readonly connectedAt: number | undefined;
  readonly tookMs: number;
  /** undefined: no answer came. */
  readonly status: number | undefined;
  /** Code of a problem document, or of the socket's error. */
  readonly reason: string | undefined;
  readonly body: unknown;
}

export interface Load {
  readonly answered: readonly Sent[];
  /** Resolves when `count` more requests than now were answered with 200. */
  more(count: number): Promise<void>;
  /** Sends nothing any more, waits for what is open, prints a summary. */
  stop(): Promise<readonly Sent[]>;
}

export interface LoadOptions {
  readonly url: string;
  readonly perSecond: number;
  readonly body?: unknown;
}

export const isGood = (sent: Sent): boolean => sent.status === 200;

export const startLoad = (options: LoadOptions): Load => {
  const agent = new Agent({ keepAlive: true });
  const answered: Sent[] = [];
  const startedAt = performance.now();
  let sent = 0;
  let inFlight = 0;

  const send = (): void => {
    const connection = sent % 2 === 0 ? "kept" : "fresh";
    const id = `q-${sent}`;
    sent += 1;
    if (inFlight >= MAX_IN_FLIGHT) {
      answered.push({ ...unanswered({ id, connection, sentAt: performance.now() }), reason: "load-full" });
      return;
    }
    inFlight += 1;
    void sendOne({ ...options, id, connection, agent: connection === "kept" ? agent : undefined }).then((done) => {
      inFlight -= 1;
      answered.push(done);
    });
  };

  const ticks = setInterval(() => {
    const due = ((performance.now() - startedAt) / 1_000) * options.perSecond;
    while (sent < due) send();
  }, TICK_MS);

  const goodCount = (): number => answered.filter(isGood).length;
  return {
    answered,
    more: async (count) => {
      const wanted = goodCount() + count;
      await waitFor(`${count} more requests are answered`, () => goodCount() >= wanted, REQUEST_DEADLINE_MS);
    },
    stop: async () => {
      clearInterval(ticks);
      await waitFor("every request has ended", () => inFlight === 0, REQUEST_DEADLINE_MS + 1_000);
      agent.destroy();
      printMeasured("load", summaryOf(answered));
      return answered;
    },
  };
};

const unanswered = (about: Pick<Sent, "id" | "connection" | "sentAt">): Omit<Sent, "reason"> => ({
  ...about,
  connectedAt: undefined,
  tookMs: 0,
  status: undefined,
  body: undefined,
});

const connectionInstants = new WeakMap<Socket, number>();

interface OneRequest extends LoadOptions {
  readonly id: string;
  readonly connection: "kept" | "fresh";
  readonly agent: Agent | undefined;
}

const sendOne = (options: OneRequest): Promise<Sent> =>
  new Promise((resolve) => {
    const { id, connection } = options;
    const sentAt = performance.now();
    let socket: Socket | undefined;
    const settle = (outcome: Pick<Sent, "status" | "reason" | "body">): void =>
      resolve({
        id,
        connection,
        sentAt,
        connectedAt: socket === undefined ? undefined : connectionInstants.get(socket),
        tookMs: performance.now() - sentAt,
        ...outcome,
      });
    const fail = (error: NodeJS.ErrnoException): void =>
      settle({ status: undefined, reason: error.code ?? error.message, body: undefined });

    const request = httpRequest(
      options.url,
      {
        agent: options.agent ?? false,
        method: "POST",
        headers: { "content-type": "application/json", "x-request-id": id },
        timeout: REQUEST_DEADLINE_MS,
      },
      (response) => readAnswer(response, { settle, fail }),
    );
    request.on("socket", (used) => {
      socket = used;
      if (used.connecting) used.once("connect", () => connectionInstants.set(used, performance.now()));
    });
    request.on("error", fail);
    request.on("timeout", () => request.destroy(Object.assign(new Error("no answer"), { code: "load-timeout" })));
    request.end(JSON.stringify(options.body ?? { id }));
  });

const readAnswer = (
  response: IncomingMessage,
  outcome: {
    readonly settle: (outcome: Pick<Sent, "status" | "reason" | "body">) => void;
    readonly fail: (error: NodeJS.ErrnoException) => void;
  },
): void => {
  let text = "";
  response.setEncoding("utf8");
  response.on("data", (part: string) => {
    text += part;
  });
  response.on("error", outcome.fail);
  response.on("end", () => {
    const body: unknown = /json/.test(response.headers["content-type"] ?? "") ? JSON.parse(text) : text;
    outcome.settle({ status: response.statusCode, reason: (body as { code?: string }).code, body });
  });
};

/** `812 sent, 810 good, p50 3 ms, max 41 ms; 2 failed: 502 replica-lost ×2`. */
const summaryOf = (answered: readonly Sent[]): string => {
  const took = answered
    .filter(isGood)
    .map((one) => one.tookMs)
    .sort((a, b) => a - b);
  const at = (share: number): number => Math.round(took[Math.floor((took.length - 1) * share)] ?? 0);
  const failed = answered.filter((one) => !isGood(one));
  const kinds = Map.groupBy(failed, (one) => `${one.status ?? "no answer"} ${one.reason ?? ""}`);
  const list = [...kinds].map(([kind, ones]) => `${kind} ×${ones.length}`).join(", ");
  return `${answered.length} sent, ${took.length} good, p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, max ${at(1)} ms; ${failed.length} failed${list === "" ? "" : `: ${list}`}`;
};
