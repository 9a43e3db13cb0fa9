/**
 * Cuts the bodies of queries into frames: up to a window at once, the rest as the replica gives credit. What was sent and what may be
 * is kept in the query, for the stream that it is on.
 */
import { END, MORE } from "../core/wire/frame-writer.ts";
import { STREAM_WINDOW_BYTES } from "../model/limits.ts";
import type { OpenQuery } from "./open-query.ts";
import type { StreamedBody } from "./streamed-body.ts";
import type { WireConnection } from "./wire-connection.ts";

/** Opens its stream. false: the head is too large; nothing was written. */
export function sendQuery(query: OpenQuery, connection: WireConnection): boolean {
  const { upload } = query;
  if (upload !== undefined) return sendStreamed(query, upload, connection);
  const body = query.query.body as Uint8Array | undefined;
  const size = body === undefined ? 0 : body.length;
  const first = Math.min(size, STREAM_WINDOW_BYTES);
  query.bodySent = first;
  query.bodyAllowed = first;
  return connection.writer.stampedQuery(query.streamId, {
    fields: query.query,
    stamp: query,
    body: size === first ? body : body!.subarray(0, first),
    end: size === first ? END : MORE,
  });
}

/** The replica takes so many bytes more; 0: its handler reads, and nothing has come. */
export function addCredit(query: OpenQuery, credit: number, connection: WireConnection): void {
  const { upload } = query;
  if (upload === undefined) sendMore(query, credit, connection);
  else if (credit === 0) upload.wanted();
  else {
    upload.release();
    query.bodyAllowed += credit;
    sendUpload(query, upload, connection);
    upload.ask();
  }
}

/** More of a streamed body has come. */
export function sendGrown(query: OpenQuery, connection: WireConnection): void {
  if (query.upload !== undefined) sendUpload(query, query.upload, connection);
}

function sendStreamed(query: OpenQuery, upload: StreamedBody, connection: WireConnection): boolean {
  upload.rewind();
  const body = upload.take(STREAM_WINDOW_BYTES);
  query.bodySent = body?.length ?? 0;
  query.bodyAllowed = STREAM_WINDOW_BYTES;
  query.uploadEnded = upload.isTaken;
  const end = query.uploadEnded ? END : MORE;
  return connection.writer.stampedQuery(query.streamId, { fields: query.query, stamp: query, body, end });
}

function sendMore(query: OpenQuery, credit: number, connection: WireConnection): void {
  const body = query.query.body as Uint8Array | undefined;
  if (body === undefined || query.bodySent >= body.length) return;
  query.bodyAllowed = Math.min(body.length, query.bodyAllowed + credit);
  while (query.bodySent < query.bodyAllowed) {
    const until = Math.min(query.bodyAllowed, query.bodySent + STREAM_WINDOW_BYTES);
    connection.writer.bytes(query.streamId, body.subarray(query.bodySent, until), until === body.length ? END : MORE);
    query.bodySent = until;
  }
  connection.flushSoon();
}

/** As much as there is and as the replica takes. */
function sendUpload(query: OpenQuery, upload: StreamedBody, connection: WireConnection): void {
  while (!query.uploadEnded) {
    const part = upload.take(Math.min(STREAM_WINDOW_BYTES, query.bodyAllowed - query.bodySent));
    if (part === undefined && !upload.isTaken) return;
    query.uploadEnded = upload.isTaken;
    query.bodySent += part?.length ?? 0;
    connection.writer.bytes(query.streamId, part, query.uploadEnded ? END : MORE);
    connection.flushSoon();
  }
}
