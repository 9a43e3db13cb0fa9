/** Web-standard requests and responses as the wire carries them. Bodies pass untouched. */
import { ServeError } from "../base/serve-error.ts";
import type { FlatHeaders } from "../model/wire.ts";
import type { PartStream } from "./part-stream.ts";

/** Statuses whose Response must have no body. */
const BODILESS: ReadonlySet<number> = new Set([204, 205, 304]);

/** @throws ServeError `wire-protocol` when status or headers are none that a Response can have. */
export function responseOf(
  head: { readonly status: number; readonly headers: FlatHeaders },
  body: Uint8Array | PartStream<Uint8Array>,
): Response {
  try {
    const headers = new Headers();
    for (let index = 0; index < head.headers.length; index += 2) {
      headers.append(head.headers[index]!, head.headers[index + 1]!);
    }
    const content = BODILESS.has(head.status) ? null : body instanceof Uint8Array ? body.slice() : readable(body);
    return new Response(content, { status: head.status, headers });
  } catch (error) {
    throw new ServeError("wire-protocol", "The replica sent an HTTP reply that is none.", { cause: error });
  }
}

/** Pulls a part only when somebody reads. */
function readable(parts: PartStream<Uint8Array>): ReadableStream<Uint8Array<ArrayBuffer>> {
  return new ReadableStream({
    async pull(controller) {
      const part = await parts.next();
      if (part.done === true) controller.close();
      else controller.enqueue(part.value as Uint8Array<ArrayBuffer>);
    },
    cancel: () => parts.cancel(),
  });
}

/** Names in lower case, as `Headers` has them. */
export function flatHeadersOf(headers: Headers | Readonly<Record<string, string>>): FlatHeaders {
  const flat: string[] = [];
  const entries = headers instanceof Headers ? headers : Object.entries(headers);
  for (const [name, value] of entries) flat.push(name.toLowerCase(), String(value));
  return flat;
}
