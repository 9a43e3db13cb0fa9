import { describe, expect, test } from "vitest";
import { parseRoute, routeShape } from "./routes.ts";

const problemOf = (route: string): string => {
  const parsed = parseRoute(route);
  return parsed.kind === "invalid" ? parsed.problem : `taken as ${parsed.shape}`;
};

describe("routes", () => {
  test("literals, parameters and a closing wildcard are parsed", () => {
    expect(parseRoute("/users/:id/files/*")).toEqual({
      kind: "route",
      shape: "/users/:/files/*",
      segments: [
        { kind: "literal", text: "users" },
        { kind: "parameter", name: "id" },
        { kind: "literal", text: "files" },
        { kind: "wildcard" },
      ],
    });
    expect(parseRoute("/")).toEqual({ kind: "route", shape: "/", segments: [] });
  });

  test("two routes that differ only in the names of their parameters have one shape", () => {
    expect(routeShape("/a/:x")).toBe(routeShape("/a/:y"));
    expect(routeShape("/a/")).toBe(routeShape("/a"));
  });

  test("an exact route, one with a parameter and a wildcard are three shapes", () => {
    expect(new Set([routeShape("/a/b"), routeShape("/a/:b"), routeShape("/a/*")]).size).toBe(3);
  });

  test.each([
    ["iris", 'does not start with "/"; write "/iris"'],
    ["./iris", 'does not start with "/"; write "/iris"'],
    ["/-/routes", 'starts with "/-/"'],
    ["/a//b", "empty part"],
    ["/a/../b", '".."'],
    ["/a/*/b", "not its last part"],
    ["/a/b*", "inside the part"],
    ["/a/:", "write"],
    ["/a/:1st", "write"],
    ["/:a/:a", '":a" twice'],
    ["/a?b=1", "percent-encode"],
    ["/ä", "percent-encode"],
    ["/a b", "percent-encode"],
  ])("%s is refused with what is wrong", (route, problem) => {
    expect(problemOf(route)).toContain(problem);
  });
});
