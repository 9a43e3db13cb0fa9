/**
 * Whether a request may be looked at, judged from its head alone, before anything else of it is parsed. On TCP: the bearer token
 * (compared in constant time), a Host that we answer for (against DNS rebinding), and no foreign Origin. On the unix socket: no Origin at
 * all; it is not reachable from a page, but a forwarded one is.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { ServeError } from "../base/serve-error.ts";
import { excerpt } from "./problems.ts";

/** Answers why a request is refused; undefined: it is not. */
export type Guard = (request: IncomingMessage) => ServeError | undefined;

/** Both: what HTTP itself asks for, so that everything behind has one Host and a path. */
const malformed = ({ url, httpVersion, headersDistinct }: IncomingMessage): ServeError | undefined => {
  const hosts = headersDistinct["host"]?.length ?? 0;
  if (hosts > 1 || (hosts === 0 && httpVersion === "1.1"))
    return new ServeError("request-malformed", `the request has ${hosts === 0 ? "no" : "more than one"} Host header.`);
  // A full URL is for proxies, and names another host than Host does.
  if (url === undefined || !/^(\/|\*$)/.test(url))
    return new ServeError("request-malformed", `the request asks for "${excerpt(url ?? "")}", which is no path.`);
  return undefined;
};

export const guardSocket: Guard = (request) => {
  const { origin } = request.headers;
  if (origin !== undefined) {
    return new ServeError("origin-refused", `requests from web pages (Origin "${excerpt(origin)}") are refused.`);
  }
  return malformed(request);
};

/** @param hosts names and addresses without a port, in lower case. The address that a client has connected to is always known. */
export const guardTcp = ({ token, hosts }: { readonly token: string; readonly hosts: readonly string[] }): Guard => {
  const expected = digest(token);
  return (request) => {
    const { host = "", origin, authorization = "" } = request.headers;
    const known = new Set([...hosts, request.socket.localAddress?.replace(/^::ffff:/, "")]);
    if (!known.has(hostnameOf(host))) {
      const names = [...known].join(", ");
      return new ServeError(
        "origin-refused",
        `this listener does not answer for the Host "${excerpt(host)}", only for ${names}.`,
      );
    }
    if (origin !== undefined && !isOrigin(origin, host))
      return new ServeError("origin-refused", `requests from the Origin "${excerpt(origin)}" are refused.`);
    const given = /^Bearer +(\S+)$/i.exec(authorization)?.[1];
    if (given === undefined || !timingSafeEqual(digest(given), expected)) {
      return new ServeError(
        "unauthorized",
        "send `authorization: Bearer <token>`; the token is in the file `token` of the instance's state folder.",
      );
    }
    return malformed(request);
  };
};

const digest = (text: string): Buffer => createHash("sha256").update(text).digest();

/** `[::1]:80` → `::1`, `Localhost:80` → `localhost`. */
const hostnameOf = (host: string): string =>
  (/^\[(.+)\](?::\d+)?$/.exec(host)?.[1] ?? host.replace(/:\d+$/, "")).toLowerCase();

/** Whether a page of this very listener asks: another port of the same host is a stranger. */
const isOrigin = (origin: string, host: string): boolean =>
  URL.canParse(origin) && new URL(origin).host === host.toLowerCase();
