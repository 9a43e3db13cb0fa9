/** Which route answers a path. */
import { describe, expect, test } from "vitest";
import { endpointOf } from "../../tests/harness/router-lab.ts";
import type { EndpointSpec } from "../model/endpoint.ts";
import { allows, RouteTable, strippedTarget } from "./route-table.ts";

const table = (routes: Readonly<Record<string, Partial<EndpointSpec>>>) =>
  new RouteTable(
    Object.entries(routes).map(([route, spec], index) =>
      endpointOf({}, { tag: `e${index}`, spec: { route, ...spec } }),
    ),
  );
const matched = (routes: readonly string[], path: string) => {
  const found = table(Object.fromEntries(routes.map((route) => [route, {}]))).find(path);
  return found === undefined ? undefined : { route: found.route.endpoint.spec.route, ...found.params };
};

const ROUTES = [
  "/",
  "/iris",
  "/iris/:id",
  "/iris/:id/raw",
  "/iris/new",
  "/files/*",
  "/files/deep/*",
  "/:any/:thing",
  "/a.b+c(d)/x",
];

test.each<readonly [string, object | undefined]>([
  ["/", { route: "/" }],
  ["/iris", { route: "/iris" }],
  ["/iris/", { route: "/iris" }],
  ["/iris/7", { route: "/iris/:id", id: "7" }],
  ["/iris/a%20b%2Fc", { route: "/iris/:id", id: "a b/c" }],
  ["/iris/%zz", { route: "/iris/:id", id: "%zz" }],
  ["/iris/new", { route: "/iris/new" }],
  ["/iris/7/raw", { route: "/iris/:id/raw", id: "7" }],
  ["/files", { route: "/files/*" }],
  ["/files/", { route: "/files/*" }],
  ["/files/a/b/c", { route: "/files/*" }],
  ["/files/deep/x", { route: "/files/deep/*" }],
  ["/files/deepest", { route: "/files/*" }],
  ["/what/ever", { route: "/:any/:thing", any: "what", thing: "ever" }],
  ["/a.b+c(d)/x", { route: "/a.b+c(d)/x" }],
  ["/aXb+c(d)/x", { route: "/:any/:thing", any: "aXb+c(d)", thing: "x" }],
  ["/Iris", undefined],
  ["/nowhere", undefined],
  ["/iris/7/other", undefined],
])("%s", (path, expected) => {
  expect(matched(ROUTES, path)).toEqual(expected);
});

test("/* answers every path", () => {
  for (const path of ["/", "/a", "/a/b", "//", "/%2e%2e"]) expect(matched(["/*"], path)).toEqual({ route: "/*" });
});

test("a pattern that has run into a dead end gives way to a shorter prefix", () => {
  expect(matched(["/a/:x/c", "/a/*"], "/a/b/d")).toEqual({ route: "/a/*" });
});

test("signs that mean something to the matcher are only signs", () => {
  for (const sign of ["+", "(a)", "$", ";", "=", "@", "!"]) expect(matched([`/x${sign}`], `/x${sign}`)).toBeDefined();
  expect(matched(["/:id/x+"], "/7/x+")).toEqual({ route: "/:id/x+", id: "7" });
  expect(matched(["/:id/x+"], "/7/x/x")).toBeUndefined();
});

test("a parameter cannot change what an object is", () => {
  const params = table({ "/:__proto__": {} }).find("/x")?.params;
  expect(Object.getPrototypeOf(params)).toBe(Object.prototype);
});

test("endpoints without a route, and routes that cannot be read, answer nothing", () => {
  const routes = new RouteTable([
    endpointOf({}, { tag: "hidden" }),
    endpointOf({}, { tag: "odd", spec: { route: "/a/*/b" } }),
    endpointOf({}, { tag: "good", spec: { route: "/good" } }),
  ]);
  expect(routes.skipped).toEqual(["odd"]);
  expect(routes.find("/good")?.route.endpoint.tag).toBe("good");
});

test("who answers GET answers HEAD; without a list all but those that loop requests back", () => {
  const [get, all] = table({ "/a": { methods: ["GET"] }, "/b": {} }).routes;
  expect(["GET", "HEAD", "POST"].map((method) => allows(get!, method))).toEqual([true, true, false]);
  expect(get?.allow).toBe("GET, HEAD");
  expect(["GET", "PROPFIND", "TRACE", "TRACK"].map((method) => allows(all!, method))).toEqual([
    true,
    true,
    false,
    false,
  ]);
});

describe("stripPrefix", () => {
  test.each([
    ["/api/*", "/api/flower?x=/1", "/flower?x=/1"],
    ["/api/*", "/api", "/"],
    ["/api/*", "/api/", "/"],
    ["/api/*", "/api?x=/1", "/?x=/1"],
    ["/a/b/*", "/a/b/c/d", "/c/d"],
    ["/a/:x/*", "/a/1/c", "/c"],
    ["/*", "/a/b", "/a/b"],
    ["/exact", "/exact", "/exact"],
  ])("%s cuts %s to %s", (route, target, expected) => {
    const [only] = table({ [route]: { stripPrefix: true } }).routes;
    expect(strippedTarget(target, only!)).toBe(expected);
  });

  test("without it nothing is cut", () => {
    expect(strippedTarget("/api/x", table({ "/api/*": {} }).routes[0]!)).toBe("/api/x");
  });
});
