/**
 * The target of a request line as a path with its query, and the authority when the client wrote a whole URL. Pure.
 * RFC 9112 3.2: other forms (`*`, an authority alone) ask for things that a proxy of this kind has not got.
 */

export interface RequestTarget {
  /** `/path?query` */
  readonly path: string;
  /** Counts instead of the Host header (RFC 9112 3.2.2). */
  readonly authority: string | undefined;
}

const WHOLE_URL = /^https?:\/\/([^/?#]+)(.*)$/i;

/** undefined: it is none that can be answered. A fragment never travels; where one stands two readers could see two paths. */
export function parseTarget(target: string): RequestTarget | undefined {
  if (target.includes("#")) return undefined;
  if (target.startsWith("/")) return { path: target, authority: undefined };
  const absolute = WHOLE_URL.exec(target);
  if (absolute === null || !isHost(absolute[1]!)) return undefined;
  const rest = absolute[2]!;
  return { path: rest.startsWith("/") ? rest : `/${rest}`, authority: absolute[1]! };
}

/**
 * A host with or without a port, or nothing (RFC 9112 3.2). Not a comma, although names may have one: that is two headers put together.
 * It becomes part of the URL that handlers see, so `x/y` or `a@b` would make another path or user of it.
 */
const HOST = /^(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~%!$&'()*+;=-]*)(?::\d{0,5})?$/;

export const isHost = (text: string): boolean => HOST.test(text);

/** The same headers with another Host. */
export function withHost(headers: readonly string[], host: string): readonly string[] {
  const others: string[] = ["host", host];
  for (let index = 0; index < headers.length; index += 2) {
    if (headers[index] !== "host") others.push(headers[index]!, headers[index + 1]!);
  }
  return others;
}
