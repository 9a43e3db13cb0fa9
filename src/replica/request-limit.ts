/**
 * The bound of what is put together in memory, for web-standard requests too: the engine's own `json()` and its sisters take whatever
 * comes. The stream `request.body` has no bound.
 */
import { MAX_BODY_BYTES } from "../model/limits.ts";
import { bodyTooLarge } from "./request-body.ts";

const WHOLE = ["arrayBuffer", "blob", "bytes", "formData", "json", "text"] as const;

/** The same request; its methods that read the whole body reject with `body-too-large` beyond MAX_BODY_BYTES. */
export function withLimit(request: Request): Request {
  for (const name of WHOLE) Object.defineProperty(request, name, { value: async () => limited(request)[name]() });
  return request;
}

function limited(request: Request): Response {
  if (Number(request.headers.get("content-length")) > MAX_BODY_BYTES) throw bodyTooLarge();
  let bytes = 0;
  const counted = request.body!.pipeThrough(
    new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
      transform(part, controller) {
        bytes += part.length;
        if (bytes > MAX_BODY_BYTES) throw bodyTooLarge();
        controller.enqueue(part);
      },
    }),
  );
  return new Response(counted, { headers: { "content-type": request.headers.get("content-type") ?? "" } });
}
