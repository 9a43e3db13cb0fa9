/**
 * The headers of an answer as the client gets them: without those of the hop, which belong to the connection that the proxy keeps
 * itself, and with a length only where it is known to be true.
 */
import type { FlatHeaders } from "../model/wire.ts";

const HOP: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "proxy-authenticate",
  "transfer-encoding",
  "te",
  "trailer",
  "upgrade",
]);

export interface ResponseHead {
  readonly headers: string[];
  /** What the handler says of the body's length; undefined = nothing, or nonsense. */
  readonly declaredBytes: number | undefined;
}

/** Names are in lower case, as the wire has them. */
export function responseHead(flat: FlatHeaders): ResponseHead {
  const headers: string[] = [];
  let declaredBytes: number | undefined;
  for (let index = 0; index + 1 < flat.length; index += 2) {
    const name = flat[index]!;
    const value = flat[index + 1]!;
    if (HOP.has(name)) continue;
    if (name === "content-length") {
      declaredBytes = /^\d{1,15}$/.test(value) ? Number(value) : undefined;
      continue;
    }
    headers.push(name, value);
  }
  return { headers, declaredBytes };
}
