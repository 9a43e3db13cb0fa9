/**
 * Routes of endpoints as text: `/iris`, `/users/:id`, `/files/*`. Parsed, checked, and reduced to a shape: two routes with one shape
 * match the same paths, so that only one endpoint may have it (`/a/:x` and `/a/:y` are one shape; `/a/b` beside them is another,
 * and more exact, one). A closing slash does not count.
 */

export type RouteSegment =
  | { readonly kind: "literal"; readonly text: string }
  | { readonly kind: "parameter"; readonly name: string }
  /** The rest of the path, at the end only. */
  | { readonly kind: "wildcard" };

export type ParsedRoute =
  | { readonly kind: "route"; readonly segments: readonly RouteSegment[]; readonly shape: string }
  /** `problem` continues the sentence `route "…" `. */
  | { readonly kind: "invalid"; readonly problem: string };

const PARAMETER = /^:[A-Za-z_][A-Za-z0-9_]*$/;
/** What may stand in a path as it is (RFC 3986 pchar), and percent-escapes. */
const LITERAL = /^(?:[A-Za-z0-9._~!$&'()+,;=:@-]|%[0-9A-Fa-f]{2})+$/;

export const parseRoute = (route: string): ParsedRoute => {
  if (!route.startsWith("/")) return invalid(`does not start with "/"; write "/${route.replace(/^\.?\/*/, "")}"`);
  if (route === "/-" || route.startsWith("/-/")) return invalid('starts with "/-/", which is kept for maitred itself');
  const texts = route === "/" ? [] : route.replace(/\/$/, "").slice(1).split("/");
  const segments: RouteSegment[] = [];
  for (const [index, text] of texts.entries()) {
    const segment = parseSegment(text, index === texts.length - 1 ? "last" : "inner");
    if (typeof segment === "string") return invalid(segment);
    segments.push(segment);
  }
  const names = segments.flatMap((segment) => (segment.kind === "parameter" ? [segment.name] : []));
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) return invalid(`names the parameter ":${twice}" twice`);
  return { kind: "route", segments, shape: `/${segments.map(shapeOf).join("/")}` };
};

/** The shape of a route that `parseRoute` takes; undefined for any other text. */
export const routeShape = (route: string): string | undefined => {
  const parsed = parseRoute(route);
  return parsed.kind === "route" ? parsed.shape : undefined;
};

const parseSegment = (text: string, place: "inner" | "last"): RouteSegment | string => {
  if (text === "") return 'has an empty part ("//")';
  if (text === "." || text === "..") return `has the part "${text}", which clients resolve before they send`;
  if (text === "*") return place === "last" ? { kind: "wildcard" } : 'has a "*" that is not its last part';
  if (text.startsWith(":")) {
    if (!PARAMETER.test(text)) {
      return `has the parameter "${text}"; write ":" and a name of letters, digits and _, such as ":id"`;
    }
    return { kind: "parameter", name: text.slice(1) };
  }
  if (text.includes("*")) return `has "*" inside the part "${text}"; a "*" stands alone, as the last part`;
  if (!LITERAL.test(text)) return `has the part "${text}" with characters that a path cannot hold; percent-encode them`;
  return { kind: "literal", text };
};

const shapeOf = (segment: RouteSegment): string => {
  if (segment.kind === "literal") return segment.text;
  return segment.kind === "parameter" ? ":" : "*";
};

const invalid = (problem: string): ParsedRoute => ({ kind: "invalid", problem });
