import { expect, test } from "vitest";
import type { z } from "zod";
import { ServeError } from "../base/serve-error.ts";
import { problemOf, schemaError } from "./problems.ts";
import {
  backendConfigSchema,
  createBackendSchema,
  createEndpointSchema,
  deploySchema,
  setTrafficSchema,
} from "./schemas.ts";

const messageFor = (schema: z.ZodType, body: unknown): string => {
  const parsed = schema.safeParse(body, { reportInput: true });
  if (parsed.success) throw new Error("the body was taken");
  return problemOf(schemaError(parsed.error, schema), 'backend "resnet"').detail;
};

test("a misspelt key is named, with the key that was meant, then with all that there are", () => {
  expect(messageFor(backendConfigSchema, { numReplica: 3 })).toMatch(
    /^backend "resnet": unknown key "numReplica"\. Did you mean "numReplicas"\? Keys are: numReplicas, .*, codeVersion\.$/,
  );
  expect(messageFor(backendConfigSchema, { xyzzy: 3, numReplica: 3 })).toMatch(
    /^backend "resnet": unknown key "xyzzy"; unknown key "numReplica"\. Did you mean "numReplicas"\? Keys are: /,
  );
});

test("a number in quotes is told to lose them", () => {
  expect(messageFor(backendConfigSchema, { numReplicas: "3" })).toBe(
    'backend "resnet": numReplicas must be a number, got "3" (string): remove the quotes.',
  );
});

test("all problems of a body come together, each with its path", () => {
  const message = messageFor(createBackendSchema, {
    module: "file:///a.ts",
    config: { numReplicas: 0, maxSurge: -1, resources: { cpus: 2 } },
  });
  expect(message).toContain("numReplicas must be at least 1, got 0 (number)");
  expect(message).toContain("maxSurge must not be negative, got -1 (number)");
  expect(message).toContain('unknown key "resources.cpus". Did you mean "cpu"? Keys are: cpu, memoryBytes');
});

test("weights are numbers that are not negative", () => {
  expect(messageFor(setTrafficSchema, { weights: { a: -1 } })).toContain("weights.a must not be negative");
});

test("an endpoint has a backend or traffic, not both", () => {
  const both = { backend: "a", traffic: { a: 1 } };
  expect(messageFor(createEndpointSchema, both)).toContain("needs either backend or traffic: one of them, not both");
});

test("of very many problems the first are told, and how many there are", () => {
  const body = Object.fromEntries(Array.from({ length: 5_000 }, (_, index) => [`nothing${index}`, 1]));
  const message = messageFor(backendConfigSchema, { ...body, numReplicas: "3" });
  expect(message).toContain('numReplicas must be a number, got "3" (string): remove the quotes');
  expect(message).toContain('unknown key "nothing0"');
  expect(message).toMatch(/; and 4981 more problems\.$/);
});

test("a name that can be no tag is refused where it is a key, and shown in part when it is long", () => {
  expect(messageFor(setTrafficSchema, { weights: { "a/b": 1 } })).toMatch(
    /^backend "resnet": weights\.a\/b is a name that must be 1 to 63/,
  );
  const long = messageFor(setTrafficSchema, { weights: { ["x".repeat(5_000)]: 1 } });
  expect(long.length).toBeLessThan(400);
});

test("what no process can be given is refused", () => {
  const config = { env: { A: "x\0y" }, cwd: "/a\0", nodeArgs: ["\0"], numReplicas: 1_000_000 };
  const message = messageFor(createBackendSchema, { module: "file:a.ts", config });
  for (const part of ["module must be a file:/// URL", "env.A must not hold a NUL", "cwd must not hold a NUL"])
    expect(message).toContain(part);
  expect(message).toContain("nodeArgs.0 must not hold a NUL");
  expect(message).toContain("numReplicas must be at most 10000");
});

test("an unknown method lists the known ones", () => {
  expect(messageFor(createEndpointSchema, { backend: "a", methods: ["GIT"] })).toContain('must be one of "GET"');
});

test("a cure names requests, and for the client library its calls; tags and words of user code stay", () => {
  const message = 'no backend is called "createBackend". Create it with createBackend, or look at listBackends.';
  expect(problemOf(new ServeError("backend-unknown", message))).toMatchObject({
    detail: 'no backend is called "createBackend". Create it with PUT /v1/backends/{tag}, or look at GET /v1/status.',
    message,
  });
  const own = problemOf(new ServeError("start-failed", 'backend "a": start() threw: setTraffic is not here.'));
  expect(own).toMatchObject({ detail: expect.stringContaining("setTraffic is not here") });
  expect(own).not.toHaveProperty("message");
});

test("an error of ours keeps its code, details and status; a bug shows nothing of itself", () => {
  const known = problemOf(new ServeError("backend-unknown", "no such backend.", { details: { tag: "a" } }));
  expect(known).toMatchObject({ status: 404, code: "backend-unknown", details: { tag: "a" } });
  const bug = problemOf(new Error("secret of the house"));
  expect(bug).toMatchObject({ status: 500, code: "internal" });
  expect(JSON.stringify(bug)).not.toContain("secret");
});

test("a key of one backend of an app is named with its whole path, and with the key that was meant", () => {
  const message = messageFor(deploySchema, {
    backends: { "iris:v1": { module: "file:///a.ts", config: { numReplica: 3 } }, "no name": { module: "a.ts" } },
    endpoints: { iris: { rout: "/", backend: "iris:v1" } },
  });
  expect(message).toContain('unknown key "backends.iris:v1.config.numReplica". Did you mean "numReplicas"?');
  expect(message).toContain("backends.no name");
  expect(message).toContain('unknown key "endpoints.iris.rout". Did you mean "route"?');
});
