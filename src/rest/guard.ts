/**
 * The three conditions of a TCP listener: the bearer token (compared in constant time), a Host that we answer for (against DNS
 * rebinding), and no foreign Origin. Checked before anything of the request is parsed.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import type { FastifyInstance } from "fastify";
import { ServeError } from "../base/serve-error.ts";

export const guardTcp = (
  app: FastifyInstance,
  rules: { readonly token: string; readonly hosts: readonly string[] },
): void => {
  const expected = digest(rules.token);
  app.addHook("onRequest", async (request) => {
    const host = hostnameOf(request.headers.host ?? "");
    if (!rules.hosts.includes(host)) {
      throw new ServeError(
        "origin-refused",
        `this listener does not answer for the Host "${request.headers.host ?? ""}".`,
      );
    }
    const { origin } = request.headers;
    if (origin !== undefined && !isOwnOrigin(origin, rules.hosts)) {
      throw new ServeError("origin-refused", `requests from the Origin ${origin} are refused.`);
    }
    const given = /^Bearer (.+)$/.exec(request.headers.authorization ?? "")?.[1];
    if (given === undefined || !timingSafeEqual(digest(given), expected)) {
      throw new ServeError(
        "unauthorized",
        "send `authorization: Bearer <token>`; the token is in the file `token` of the instance's state folder.",
      );
    }
  });
};

const digest = (text: string): Buffer => createHash("sha256").update(text).digest();

/** `[::1]:80` → `::1`, `localhost:80` → `localhost`. */
const hostnameOf = (host: string): string => /^\[(.+)\](?::\d+)?$/.exec(host)?.[1] ?? host.replace(/:\d+$/, "");

const isOwnOrigin = (origin: string, hosts: readonly string[]): boolean =>
  URL.canParse(origin) && hosts.includes(hostnameOf(new URL(origin).host));
