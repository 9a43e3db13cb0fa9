/**
 * Which endpoint answers a path: exact routes first, then `:param`, then `*` with the longest prefix. Immutable; built anew at each
 * change. The routes were checked when the endpoints were created; one that this version cannot read is left out and named.
 */
import { addRoute, createRouter, findRoute } from "rou3";
import { parseRoute, type RouteSegment } from "../core/routes.ts";
import { HTTP_METHODS } from "../model/endpoint.ts";
import type { EndpointClosure } from "../model/longpoll.ts";

export interface Route {
  readonly endpoint: EndpointClosure;
  /** Undefined: every method. */
  readonly methods: ReadonlySet<string> | undefined;
  /** For the header `Allow`. */
  readonly allow: string;
  /** What `stripPrefix` cuts, as a number of segments; undefined = nothing. */
  readonly strippedSegments: number | undefined;
}

export interface RouteMatch {
  readonly route: Route;
  readonly params: Readonly<Record<string, string>>;
}

const NO_PARAMS: Readonly<Record<string, string>> = Object.freeze({});
/** Loops a request back to who sent it, credentials included: nothing behind a proxy wants them. */
const REFUSED_METHODS: ReadonlySet<string> = new Set(["TRACE", "TRACK", "CONNECT"]);

export class RouteTable {
  /** Tags of endpoints whose route could not be read. */
  readonly skipped: readonly string[];
  readonly routes: readonly Route[];
  readonly #exact = new Map<string, RouteMatch>();
  readonly #patterns = createRouter<Route>();

  constructor(endpoints: readonly EndpointClosure[]) {
    const skipped: string[] = [];
    const routes: Route[] = [];
    for (const endpoint of endpoints) {
      const { route: text } = endpoint.spec;
      if (text === undefined) continue;
      const parsed = parseRoute(text);
      if (parsed.kind === "invalid") {
        skipped.push(endpoint.tag);
        continue;
      }
      const route = routeOf(endpoint, parsed.segments);
      routes.push(route);
      if (parsed.segments.every(({ kind }) => kind === "literal")) {
        this.#exact.set(parsed.shape, { route, params: NO_PARAMS });
      } else addRoute(this.#patterns, "", patternOf(parsed.segments), route);
    }
    this.skipped = skipped;
    this.routes = routes;
  }

  /** @param path without query, percent-encoded as it came. */
  find(path: string): RouteMatch | undefined {
    const exact = this.#exact.get(path) ?? (path.endsWith("/") ? this.#exact.get(path.slice(0, -1)) : undefined);
    if (exact !== undefined) return exact;
    const found = findRoute(this.#patterns, "", path);
    return found === undefined ? undefined : { route: found.data, params: paramsOf(found.params) };
  }
}

export const allows = ({ methods }: Route, method: string): boolean =>
  methods === undefined ? !REFUSED_METHODS.has(method) : methods.has(method);

/** The target that the handler sees: `/api/a?b` behind `/api/*` with `stripPrefix` is `/a?b`. */
export function strippedTarget(target: string, { strippedSegments }: Route): string {
  if (strippedSegments === undefined) return target;
  let end = 0;
  for (let count = 0; count < strippedSegments; count += 1) {
    const next = target.indexOf("/", end + 1);
    const query = target.indexOf("?");
    end = next < 0 || (query >= 0 && next > query) ? (query < 0 ? target.length : query) : next;
  }
  const rest = target.slice(end);
  return rest.startsWith("/") ? rest : `/${rest}`;
}

function routeOf(endpoint: EndpointClosure, segments: readonly RouteSegment[]): Route {
  const { methods, stripPrefix } = endpoint.spec;
  // Who answers GET answers HEAD (RFC 9110 9.1).
  const listed = methods?.includes("GET") === true ? [...methods, "HEAD"] : methods;
  const known = listed === undefined ? undefined : new Set<string>(listed);
  const hasWildcard = segments.at(-1)?.kind === "wildcard";
  return {
    endpoint,
    methods: known,
    allow: [...(known ?? HTTP_METHODS)].join(", "),
    strippedSegments: stripPrefix && hasWildcard ? segments.length - 1 : undefined,
  };
}

/** The library's patterns know more signs than ours. */
const patternOf = (segments: readonly RouteSegment[]): string =>
  `/${segments
    .map((segment) => {
      if (segment.kind === "parameter") return `:${segment.name}`;
      return segment.kind === "wildcard" ? "*" : segment.text.replace(/[\\:*?+(){}]/g, "\\$&");
    })
    .join("/")}`;

function paramsOf(found: Readonly<Record<string, string>> | undefined): Readonly<Record<string, string>> {
  if (found === undefined) return NO_PARAMS;
  const params: Record<string, string> = {};
  // A name of digits is a capture of `*`: the rest of the path is in the URL.
  for (const name of Object.keys(found)) if (!/^\d/.test(name)) params[name] = decoded(found[name]!);
  return params;
}

function decoded(text: string): string {
  if (!text.includes("%")) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    // Not UTF-8, or no escape at all: the handler gets what the client wrote.
    return text;
  }
}
