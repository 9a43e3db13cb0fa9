/**
 * One HTTP request on a connection of its own, over TCP or a unix socket, with nothing done for the caller: no redirects, no retries,
 * no decoding. Tests that look at the edge use this.
 */
import { request as httpRequest, type IncomingHttpHeaders } from "node:http";
import { expect } from "vitest";

const ANSWER_DEADLINE_MS = 15_000;

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  json<T = unknown>(): T;
}

export interface Ask {
  readonly method?: string | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Strings are sent as they are, everything else as JSON. */
  readonly body?: unknown;
  /** Instead of the URL's host and port. */
  readonly socketPath?: string | undefined;
}

export const ask = (url: string, options: Ask = {}): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const { body } = options;
    const isJson = body !== undefined && typeof body !== "string";
    const request = httpRequest(
      url,
      {
        agent: false,
        method: options.method ?? (body === undefined ? "GET" : "POST"),
        headers: { ...(isJson ? { "content-type": "application/json" } : {}), ...options.headers },
        timeout: ANSWER_DEADLINE_MS,
        ...(options.socketPath === undefined ? {} : { socketPath: options.socketPath }),
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("error", reject);
        response.on("end", () => {
          const text = Buffer.concat(chunks).toString();
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            text,
            json: <T>() => JSON.parse(text) as T,
          });
        });
      },
    );
    request.on("error", reject);
    request.on("timeout", () => request.destroy(new Error(`no answer from ${url} within ${ANSWER_DEADLINE_MS} ms`)));
    request.end(isJson ? JSON.stringify(body) : body);
  });

/** Any answer with an error is problem JSON (RFC 9457) with a code of the table and a sentence, and never a stack. */
export const expectProblem = (answer: Answer, wanted: { readonly status: number; readonly code: string }): string => {
  expect(answer.headers["content-type"]).toMatch(/^application\/problem\+json/);
  const problem = answer.json<{ status: number; code: string; detail: string }>();
  expect({ http: answer.status, status: problem.status, code: problem.code }).toEqual({
    http: wanted.status,
    status: wanted.status,
    code: wanted.code,
  });
  expect(problem.detail).toMatch(/\S.*[.!?]$/s);
  expect(answer.text).not.toMatch(STACK_LINE);
  return problem.detail;
};

/** `    at handler (file:///…:3:9)`, as text or inside a JSON string. */
export const STACK_LINE = /(^|\n|\\n) {4}at /;
