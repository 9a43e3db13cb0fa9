import { expect, test } from "vitest";
import { resolveEndpoint } from "./endpoint.ts";

test("methods that are named twice are in an endpoint once, in their order; none stay all", () => {
  const { spec } = resolveEndpoint({ backend: "a", methods: ["POST", "GET", "POST"], expose: ["ask", "ask"] });
  expect([spec.methods, spec.expose]).toEqual([["POST", "GET"], ["ask"]]);
  expect(resolveEndpoint({ backend: "a" }).spec.methods).toBeUndefined();
});
