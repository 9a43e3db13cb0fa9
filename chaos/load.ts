/**
 * Open-loop load: a query is sent at its time whether or not those before it have been answered, by HTTP (kept and fresh connections in
 * turn), by handle calls, by handle streams, and through a relay that calls on by its own handle. None is ever sent again from here.
 * Bounded in rate, in count by its stop, and in queries under way.
 */
import { Agent, request as httpRequest, type IncomingMessage } from "node:http";
import { isServeError } from "../src/base/serve-error.ts";
import type { Client } from "../src/index.ts";
import type { SeededRandom } from "../src/sim/kernel/seeded-random.ts";
import type { End, Query } from "./ledger.ts";
import type { Work } from "./work.ts";

const TICK_MS = 5;
const MAX_UNDER_WAY = 4_000;
const PARTS = 5;

export interface LoadOptions {
  readonly client: Client;
  readonly url: string;
  readonly perSecond: number;
  readonly deadlineMs: number;
  /** How much longer than its deadline a query is waited for before it is lost. */
  readonly patienceMs: number;
  readonly random: SeededRandom;
}

interface Sent extends Omit<Query, "end"> {
  end: End | undefined;
}

export class Load {
  readonly queries: Sent[] = [];
  readonly #options: LoadOptions;
  readonly #agent = new Agent({ keepAlive: true });
  readonly #ticks: NodeJS.Timeout;
  readonly #underWay = new Set<Sent>();
  readonly #startedAt = performance.now();
  #count = 0;

  constructor(options: LoadOptions) {
    this.#options = options;
    this.#ticks = setInterval(() => this.#sendDue(), TICK_MS);
  }

  get answered(): number {
    return this.queries.filter(({ end }) => end?.kind === "answered").length;
  }

  /** Sends no more; resolves when every query has ended, or has been waited for long enough to be lost. */
  async stop(): Promise<void> {
    clearInterval(this.#ticks);
    const until = performance.now() + this.#options.deadlineMs + this.#options.patienceMs;
    while (this.#underWay.size > 0 && performance.now() < until) {
      await new Promise((resolve) => setTimeout(resolve, TICK_MS));
    }
    this.#agent.destroy();
  }

  #sendDue(): void {
    const due = ((performance.now() - this.#startedAt) / 1_000) * this.#options.perSecond;
    for (; this.#count < due; this.#count += 1) {
      // The load's own bound, not maitred's: what is not sent is not counted.
      if (this.#underWay.size < MAX_UNDER_WAY) this.#send(this.#count);
    }
  }

  #send(number: number): void {
    const { random } = this.#options;
    const door = (["http", "http", "handle", "stream", "relay"] as const)[number % 5] ?? "http";
    const runs = random.chance(0.3) ? "again" : "once";
    const sent: Sent = { id: `q${number}`, door, runs, sentAt: performance.now(), end: undefined };
    const ms = Math.floor(random.between(0, 30));
    this.queries.push(sent);
    this.#underWay.add(sent);
    const ended = (end: Omit<End, "at">): void => {
      this.#underWay.delete(sent);
      sent.end ??= { ...end, at: performance.now() };
    };
    this.#ask(sent, ms).then(ended, (error: unknown) => ended(endOfError(error)));
  }

  #ask(sent: Sent, ms: number): Promise<Omit<End, "at">> {
    if (sent.door === "handle") return this.#call(sent, ms);
    if (sent.door === "stream") return this.#stream(sent, ms);
    const path = `${sent.door === "relay" ? "/relay" : "/work"}?id=${sent.id}&ms=${ms}`;
    return askHttp(
      { url: this.#options.url + path, method: sent.runs === "again" ? "GET" : "POST" },
      Number(sent.id.slice(1)) % 2 === 0 ? this.#agent : undefined,
      sent.id,
    );
  }

  #handle(sent: Sent) {
    const { client, deadlineMs } = this.#options;
    return client.getHandle<typeof Work>("work").options({ timeoutMs: deadlineMs, idempotent: sent.runs === "again" });
  }

  async #call(sent: Sent, ms: number): Promise<Omit<End, "at">> {
    const { id } = await this.#handle(sent).run(sent.id, ms);
    return id === sent.id ? { kind: "answered", what: "value" } : { kind: "wrong", what: `the answer of ${id}` };
  }

  async #stream(sent: Sent, ms: number): Promise<Omit<End, "at">> {
    const parts: number[] = [];
    for await (const part of this.#handle(sent).count(sent.id, PARTS, ms)) parts.push(part);
    const isWhole = parts.length === PARTS && parts.every((part, index) => part === index);
    return isWhole ? { kind: "answered", what: "stream" } : { kind: "wrong", what: `parts ${parts.join(" ")}` };
  }
}

const askHttp = (
  { url, method }: { readonly url: string; readonly method: string },
  agent: Agent | undefined,
  id: string,
): Promise<Omit<End, "at">> =>
  new Promise((resolve, reject) => {
    const request = httpRequest(url, { agent: agent ?? false, method }, (response) => {
      readText(response).then((text) => resolve(endOfAnswer(response.statusCode ?? 0, text, id)), reject);
    });
    request.on("error", reject);
    request.end();
  });

const readText = (response: IncomingMessage): Promise<string> =>
  new Promise((resolve, reject) => {
    let text = "";
    response.setEncoding("utf8");
    response.on("data", (part: string) => {
      text += part;
    });
    response.on("error", reject);
    response.on("end", () => resolve(text));
  });

const endOfAnswer = (status: number, text: string, id: string): Omit<End, "at"> => {
  const body = JSON.parse(text) as { readonly id?: string; readonly code?: string };
  if (status === 200) {
    return body.id === id ? { kind: "answered", what: "200" } : { kind: "wrong", what: `200 of ${body.id}` };
  }
  return { kind: status === 503 || status === 504 ? "refused" : "failed", what: `${status} ${body.code}` };
};

const REFUSALS = new Set(["queue-full", "deadline-exceeded", "no-replica"]);

const endOfError = (error: unknown): Omit<End, "at"> => {
  if (isServeError(error)) return { kind: REFUSALS.has(error.code) ? "refused" : "failed", what: error.code };
  const { code, message } = error as NodeJS.ErrnoException;
  return { kind: "reset", what: code ?? message };
};
