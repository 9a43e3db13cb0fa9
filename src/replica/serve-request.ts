/**
 * The request that a door gets, made from a query. Whatever costs something (URL, Headers, the parsed body) is made when it is asked
 * for, and once. Through a handle the body is a value: `json()` gives it as it was passed, Maps and typed arrays included.
 */
import type { ServeRequest, StandardSchemaV1 } from "../api/api.ts";
import { messageOf, ServeError } from "../base/serve-error.ts";
import { decodeValue } from "../core/wire/values.ts";
import { MAX_BODY_BYTES } from "../model/limits.ts";
import { withTrace } from "../model/trace.ts";
import type { QueryHead } from "../model/wire.ts";
import { bodyTooLarge, type RequestBody } from "./request-body.ts";
import { withLimit } from "./request-limit.ts";

export type RequestHead = Extract<QueryHead, { kind: "http" | "door" }>;

/** The query behind a request. */
export interface RequestQuery {
  readonly body: RequestBody;
  readonly signal: AbortSignal;
}

const utf8Slice = Buffer.prototype.utf8Slice as unknown as (this: Uint8Array, start: number, end: number) => string;

/** The text of a body; a byte order mark is dropped, as `Request.text()` does. */
function textOf(bytes: Uint8Array): string {
  const start = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0;
  return utf8Slice.call(bytes, start, bytes.length);
}

const passedValue = (bytes: Uint8Array): unknown => (bytes.length === 0 ? undefined : decodeValue(bytes));

function textOfValue(value: unknown): string {
  if (typeof value === "string") return value;
  if (value instanceof Uint8Array) return textOf(value);
  return value === undefined ? "" : JSON.stringify(value);
}

const bytesOf = (value: unknown): Uint8Array => (value instanceof Uint8Array ? value : Buffer.from(textOfValue(value)));

/** @throws ServeError `body-invalid` */
export function parseJson(bytes: Uint8Array): unknown {
  if (bytes.length === 0) throw new ServeError("body-invalid", "the request has no body, and JSON is expected.");
  try {
    return JSON.parse(textOf(bytes));
  } catch (error) {
    throw new ServeError("body-invalid", `the request body is not JSON: ${messageOf(error)}.`, { cause: error });
  }
}

export class IncomingRequest implements ServeRequest {
  readonly #head: RequestHead;
  readonly #query: RequestQuery;
  #url: string | undefined;
  #headers: Headers | undefined;
  #search: URLSearchParams | undefined;
  #bytes: Promise<Uint8Array> | undefined;
  #stream: ReadableStream<Uint8Array> | undefined;

  constructor(head: RequestHead, query: RequestQuery) {
    this.#head = head;
    this.#query = query;
  }

  get method(): string {
    return this.#head.method;
  }

  get url(): string {
    this.#url ??= this.#makeUrl();
    return this.#url;
  }

  get path(): string {
    return pathOf(this.#target());
  }

  get params(): Readonly<Record<string, string>> {
    return this.#head.kind === "http" ? this.#head.params : {};
  }

  get query(): URLSearchParams {
    this.#search ??= this.#makeSearch();
    return this.#search;
  }

  get headers(): Headers {
    // The trace is that of the call, whatever headers its caller has passed on.
    const { headers, trace } = this.#head;
    this.#headers ??= headersOf(trace === undefined ? headers : withTrace(headers, trace));
    return this.#headers;
  }

  get signal(): AbortSignal {
    return this.#query.signal;
  }

  get body(): ReadableStream<Uint8Array> | null {
    if (this.#stream !== undefined) return this.#stream;
    if (this.#query.body.isEmpty) return null;
    this.#stream =
      this.#head.kind === "door" ? streamOf(async () => bytesOf(await this.#heldValue())) : partsOf(this.#query.body);
    return this.#stream;
  }

  // biome-ignore lint/suspicious/noExplicitAny: one implementation of two overloads, one of them typed by the schema.
  async json(schema?: StandardSchemaV1): Promise<any> {
    const value = this.#head.kind === "door" ? await this.#value() : parseJson(await this.#readBytes());
    return schema === undefined ? value : validated(value, schema);
  }

  async text(): Promise<string> {
    if (this.#head.kind === "http") return textOf(await this.#readBytes());
    return textOfValue(await this.#value());
  }

  async bytes(): Promise<Uint8Array> {
    if (this.#head.kind === "http") return this.#readBytes();
    return bytesOf(await this.#value());
  }

  async formData(): Promise<FormData> {
    const type = this.headers.get("content-type");
    const bytes = (await this.bytes()) as Uint8Array<ArrayBuffer>;
    try {
      return await new Response(bytes, type === null ? {} : { headers: { "content-type": type } }).formData();
    } catch (error) {
      throw new ServeError("body-invalid", `the request body is not a form: ${messageOf(error)}.`, { cause: error });
    }
  }

  toRequest(): Request {
    const { method, headers, signal } = this;
    const body = method === "GET" || method === "HEAD" ? null : this.body;
    if (body === null) return new Request(this.url, { method, headers, signal });
    const request = new Request(this.url, { method, headers, signal, body, duplex: "half" });
    return this.#query.body.whole === undefined ? withLimit(request) : request;
  }

  /** Path and query as they came. */
  #target(): string {
    if (this.#head.kind === "door") return "/";
    const { url } = this.#head;
    if (url.startsWith("/")) return url;
    const parsed = new URL(url);
    return parsed.pathname + parsed.search;
  }

  #makeUrl(): string {
    if (this.#head.kind === "door") {
      const search = this.query.toString();
      return `http://localhost/${search === "" ? "" : `?${search}`}`;
    }
    const { url } = this.#head;
    return url.startsWith("/") ? `http://${hostOf(this.#head.headers)}${url}` : url;
  }

  #makeSearch(): URLSearchParams {
    if (this.#head.kind === "door") return new URLSearchParams(this.#head.query);
    const target = this.#target();
    const start = target.indexOf("?");
    return new URLSearchParams(start < 0 ? "" : target.slice(start + 1));
  }

  #readBytes(): Promise<Uint8Array> {
    if (this.#stream !== undefined) {
      return Promise.reject(new TypeError("the body of this request is already taken as a stream"));
    }
    return this.#heldBytes();
  }

  #heldBytes(): Promise<Uint8Array> {
    this.#bytes ??= readAll(this.#query.body, this.#head.headers);
    return this.#bytes;
  }

  /** What was passed to the handle. */
  async #value(): Promise<unknown> {
    return passedValue(await this.#readBytes());
  }

  /** The same for the stream itself, which is taken by then. */
  async #heldValue(): Promise<unknown> {
    return passedValue(await this.#heldBytes());
  }
}

async function readAll(body: RequestBody, headers: readonly string[]): Promise<Uint8Array> {
  if (body.whole !== undefined) return body.whole;
  // Refused before the client has sent it all.
  const at = headers.indexOf("content-length");
  if (at >= 0 && at % 2 === 0 && Number(headers[at + 1]) > MAX_BODY_BYTES) throw bodyTooLarge();
  return body.readAll();
}

const hostOf = (headers: readonly string[]): string => {
  const at = headers.indexOf("host");
  return (at >= 0 && at % 2 === 0 ? headers[at + 1] : undefined) || "localhost";
};

/** Without query and fragment. */
export function pathOf(target: string): string {
  const end = target.search(/[?#]/);
  return end < 0 ? target : target.slice(0, end);
}

function headersOf(flat: readonly string[]): Headers {
  const headers = new Headers();
  for (let index = 0; index + 1 < flat.length; index += 2) headers.append(flat[index]!, flat[index + 1]!);
  return headers;
}

const partsOf = (body: RequestBody): ReadableStream<Uint8Array> =>
  new ReadableStream(
    {
      async pull(controller) {
        const part = await body.read();
        if (part === undefined) controller.close();
        else controller.enqueue(part);
      },
    },
    { highWaterMark: 0 },
  );

const streamOf = (read: () => Promise<Uint8Array>): ReadableStream<Uint8Array> =>
  new ReadableStream(
    {
      async pull(controller) {
        controller.enqueue(await read());
        controller.close();
      },
    },
    { highWaterMark: 0 },
  );

interface Issue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}
type Validation = { readonly value: unknown; readonly issues?: undefined } | { readonly issues: readonly Issue[] };

/** @throws ServeError `body-schema`, with all issues and their paths in `details` */
async function validated(value: unknown, schema: StandardSchemaV1): Promise<unknown> {
  const result = (await schema["~standard"].validate(value)) as Validation;
  if (result.issues === undefined) return result.value;
  const issues = result.issues.map(({ message, path }) => ({ message, path: (path ?? []).map(keyOf) }));
  const sentences = issues.map(({ message, path }) => (path.length === 0 ? message : `${path.join(".")}: ${message}`));
  throw new ServeError("body-schema", `the request body does not fit: ${sentences.join("; ")}.`, {
    details: { issues },
  });
}

const keyOf = (step: PropertyKey | { readonly key: PropertyKey }): string | number => {
  const key = typeof step === "object" ? step.key : step;
  return typeof key === "number" ? key : String(key);
};
