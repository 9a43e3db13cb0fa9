/** REST as any HTTP client sees it: on the unix socket, and on TCP behind the token and the rules for Host and Origin. */
import { readFileSync, statSync } from "node:fs";
import { createServer } from "node:net";
import { dirname } from "node:path";
import { Validator } from "@seriousme/openapi-schema-validator";
import { beforeAll, describe, expect, test } from "vitest";
import { backend, serve } from "../../src/index.ts";
import { stateFiles } from "../../src/model/places.ts";
import { maitred } from "../harness/command.ts";
import { ECHO, fixture } from "../harness/echo.ts";
import { exchange } from "../harness/exchange.ts";
import { expectError } from "../harness/expect-error.ts";
import { type Answer, type Ask, ask, expectProblem } from "../harness/http.ts";
import { START_DEADLINE_MS, useLab } from "../harness/lab.ts";
import { runFolderOf } from "../harness/places.ts";
import { rest, restSocketOf } from "../harness/rest.ts";

const lab = useLab("file");
const ECHO_BODY = { module: fixture("apps/echo.ts").href, export: "echo" };

interface Goal {
  readonly id: string;
  readonly state: string;
}

interface OpenApi {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, { readonly properties?: object }>> };
}

interface Operation {
  readonly operationId: string;
  readonly summary: string;
  readonly responses: Readonly<Record<string, unknown>>;
}

/** What a reference within the document leads to. */
const targetOf = (document: OpenApi, reference: string): unknown =>
  reference
    .replace(/^#\//, "")
    .split("/")
    .reduce<unknown>((at, key) => (at as Record<string, unknown> | undefined)?.[key], document);

let instance: { readonly runDir: string };
let stateDir: string;
let name: string;
let api: string;

beforeAll(async () => {
  name = lab().name("rest");
  const port = await freePort();
  api = `http://127.0.0.1:${port}`;
  const args = ["start", "--instance", name, "--port", "0", "--api", `127.0.0.1:${port}`, "--json"];
  const started = await maitred(args, { deadlineMs: START_DEADLINE_MS });
  expect(started).toMatchObject({ status: 0, stderr: "" });
  ({ stateDir } = started.json<{ stateDir: string }>());
  instance = { runDir: runFolderOf(stateDir) };
}, 60_000);

describe("on the unix socket", () => {
  test("socket and folder are the user's alone", () => {
    expect(statSync(restSocketOf(instance)).mode & 0o777).toBe(0o600);
    expect(statSync(dirname(restSocketOf(instance))).mode & 0o777).toBe(0o700);
  });

  test("a change answers 202 with its goal and where to follow it", async () => {
    const answer = await rest(instance, "/v1/backends/echo", { method: "PUT", body: ECHO_BODY });
    const goal = answer.json<Goal>();
    expect(answer).toMatchObject({ status: 202, headers: { location: `/v1/goals/${goal.id}` } });
    const settled = await rest(instance, `/v1/goals/${goal.id}?waitMs=15000`);
    expect(settled.json()).toMatchObject({ id: goal.id, state: "reached" });
    expect((await rest(instance, "/v1/goals")).json<Goal[]>().map(({ id }) => id)).toContain(goal.id);
  });

  test("the Idempotency-Key is the goal id, and the same key again changes nothing", async () => {
    const put = () =>
      rest(instance, "/v1/endpoints/echo", {
        method: "PUT",
        body: { route: "/echo", backend: "echo" },
        headers: { "idempotency-key": "open-echo" },
      });
    expect((await put()).json()).toMatchObject({ id: "open-echo" });
    expect((await rest(instance, "/v1/goals/open-echo?waitMs=15000")).json()).toMatchObject({ state: "reached" });
    expect((await put()).json()).toMatchObject({ id: "open-echo", state: "reached" });
  });

  test("traffic, shadows, scale, restart and deletion", async () => {
    const reached = async (path: string, options: Ask): Promise<void> => {
      const answer = await rest(instance, path, options);
      expect(answer).toMatchObject({ status: 202 });
      const settled = await rest(instance, `/v1/goals/${answer.json<Goal>().id}?waitMs=15000`);
      expect(settled.json()).toMatchObject({ state: "reached" });
    };
    await reached("/v1/backends/second", { method: "PUT", body: ECHO_BODY });
    await reached("/v1/endpoints/echo/traffic", { method: "PUT", body: { weights: { echo: 0.5, second: 0.5 } } });
    await reached("/v1/endpoints/echo/shadows/second", { method: "PUT", body: { proportion: 0.1 } });
    await reached("/v1/backends/second/config", { method: "PATCH", body: { numReplicas: 2 } });
    await reached("/v1/backends/second/restart", { method: "POST" });
    const status = (await rest(instance, "/v1/status")).json<{ endpoints: unknown; backends: unknown }>();
    expect(status.endpoints).toMatchObject([
      { tag: "echo", traffic: { echo: 0.5, second: 0.5 }, shadows: { second: 0.1 } },
    ]);
    expect(status.backends).toMatchObject([{ tag: "echo" }, { tag: "second", replicas: { wanted: 2, running: 2 } }]);
    await reached("/v1/endpoints/echo/traffic", { method: "PUT", body: { weights: { echo: 1 } } });
    await reached("/v1/endpoints/echo/shadows/second", { method: "PUT", body: { proportion: 0 } });
    await reached("/v1/backends/second", { method: "DELETE" });
  });

  test("the status has the promised fields", async () => {
    const status = (await rest(instance, "/v1/status")).json<Record<string, unknown>>();
    expect(status).toMatchObject({ schemaVersion: expect.any(Number), instance: name });
    for (const field of ["endpoints", "backends", "goals", "processes"]) expect(status[field]).toBeInstanceOf(Array);
    for (const one of status["processes"] as readonly unknown[]) {
      expect(one).toMatchObject({
        name: expect.any(String),
        kind: expect.stringMatching(/^(agent|controller|proxy|replica)$/),
        node: expect.any(String),
        pid: expect.any(Number),
        state: expect.any(String),
        incarnation: expect.any(Number),
        restarts: expect.any(Number),
        uptimeMs: expect.any(Number),
      });
    }
  });

  test("the OpenAPI document names every route, with the fields that are validated", async () => {
    const document = (await rest(instance, "/v1/openapi.json")).json<OpenApi>();
    expect(document.openapi).toMatch(/^3\.1/);
    const routes = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );
    expect(routes).toEqual(
      expect.arrayContaining([
        "PUT /v1/backends/{tag}",
        "PATCH /v1/backends/{tag}/config",
        "POST /v1/backends/{tag}/restart",
        "DELETE /v1/backends/{tag}",
        "PUT /v1/endpoints/{tag}",
        "DELETE /v1/endpoints/{tag}",
        "PUT /v1/endpoints/{tag}/traffic",
        "PUT /v1/endpoints/{tag}/shadows/{backend}",
        "GET /v1/goals/{id}",
        "PUT /v1/apps/{name}",
        "POST /v1/plan",
        "GET /v1/explain/{target}",
        "GET /v1/status",
        "POST /v1/shutdown",
      ]),
    );
    const { components } = document;
    expect(components.schemas["BackendConfig"]?.properties).toHaveProperty("maxConcurrentQueries");
    expect(JSON.stringify(document.paths["/v1/backends/{tag}/config"])).toContain("#/components/schemas/BackendConfig");
  });

  test("programs can make a client of the OpenAPI document: it is valid, its references lead somewhere, every operation has a name and a summary", async () => {
    const document = (await rest(instance, "/v1/openapi.json")).json<OpenApi>();
    expect(await new Validator().validate(structuredClone(document) as object as Record<string, unknown>)).toEqual({
      valid: true,
    });
    const references = [...JSON.stringify(document).matchAll(/"\$ref":"([^"]*)"/g)].map(([, reference]) => reference!);
    expect(references).toContain("#/components/schemas/JsonValue");
    expect(references.filter((reference) => targetOf(document, reference) === undefined)).toEqual([]);
    expect(JSON.stringify(document)).not.toMatch(/"\$(defs|schema)":/);
    const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, told]) => ({ at: `${method.toUpperCase()} ${path}`, ...told })),
    );
    for (const operation of operations) {
      expect(operation).toMatchObject({
        operationId: expect.stringMatching(/^[a-z][A-Za-z]+$/),
        summary: expect.stringMatching(/^[A-Z].*\.$/),
      });
    }
    expect(new Set(operations.map(({ operationId }) => operationId)).size).toBe(operations.length);
    const named = Object.fromEntries(operations.map(({ at, operationId }) => [at, operationId]));
    expect(named).toMatchObject({ "PUT /v1/backends/{tag}": "createBackend", "POST /v1/plan": "plan" });
    for (const { at, responses } of operations) {
      const isChange = !at.startsWith("GET") && !/plan|longpoll/.test(at);
      expect(Object.keys(responses)).toEqual([isChange ? "202" : "200", "default"]);
    }
  });

  test("a long poll can be followed with any HTTP client", async () => {
    const body = {
      client: "test",
      kind: "program",
      name: "a test",
      subscribe: ["echo"],
      applied: { epoch: 0, counter: 0 },
    };
    expect((await rest(instance, "/v1/longpoll", { body })).json()).toMatchObject({
      kind: "news",
      snapshot: { epoch: expect.any(Number), counter: expect.any(Number) },
      endpoints: [{ tag: "echo", traffic: { echo: 1 }, backends: { echo: { replicas: [{}] } } }],
    });
  });
});

describe("what the API does not have", () => {
  test("a method that a path does not answer is 405 with those that it does", async () => {
    const answer = await rest(instance, "/v1/backends/echo", { method: "POST", body: ECHO_BODY });
    expectProblem(answer, { status: 405, code: "method-not-allowed" });
    expect(answer.headers["allow"]).toMatch(/^PUT, DELETE$/);
  });

  test("a query parameter or a body that nobody asked for is refused", async () => {
    const query = await rest(instance, "/v1/endpoints/echo?force=true", { method: "DELETE" });
    expect(expectProblem(query, { status: 400, code: "config-invalid" })).toMatch(/unknown key "force"/);
    const body = await rest(instance, "/v1/shutdown", { method: "POST", body: { dryRun: true } });
    expect(expectProblem(body, { status: 400, code: "config-invalid" })).toMatch(/unknown key "dryRun"/);
  });

  test("a body that is not JSON is refused, whatever it is called", async () => {
    const answer = await rest(instance, "/v1/endpoints/echo/traffic", {
      method: "PUT",
      headers: { "content-type": "text/plain" },
      body: '{"weights":{}}',
    });
    expect(expectProblem(answer, { status: 400, code: "body-invalid" })).toMatch(/application\/json/);
  });

  test("content-type JSON without a body is no body", async () => {
    const headers = { "content-type": "application/json" };
    const answer = await rest(instance, "/v1/endpoints/nobody", { method: "DELETE", headers });
    expect(answer).toMatchObject({ status: 202 });
  });

  test("a body that is nested thousands of levels deep is refused", async () => {
    const body = `{"userConfig":${"[".repeat(5_000)}${"]".repeat(5_000)}}`;
    const headers = { "content-type": "application/json" };
    const answer = await rest(instance, "/v1/backends/echo/config", { method: "PATCH", headers, body });
    expect(expectProblem(answer, { status: 400, code: "body-invalid" })).toMatch(/nested more than 200 levels/);
  });

  test("a wait that is no number is refused with what was sent", async () => {
    const answer = await rest(instance, "/v1/goals/open-echo?waitMs=soon");
    expect(expectProblem(answer, { status: 400, code: "config-invalid" })).toMatch(/waitMs .*got "soon"/);
  });
});

describe("on TCP", () => {
  const token = (): string => readFileSync(stateFiles(stateDir).token, "utf8").trim();
  const call = (headers: Readonly<Record<string, string>>): Promise<Answer> => ask(`${api}/v1/status`, { headers });

  test("the token lies where only the user reads it", () => {
    expect(statSync(stateFiles(stateDir).token).mode & 0o777).toBe(0o600);
    expect(token()).toMatch(/^\S{20,}$/);
  });

  test("with the token a request is answered", async () => {
    expect(await call({ authorization: `Bearer ${token()}` })).toMatchObject({ status: 200 });
  });

  test.each([
    ["no token", {}],
    ["a wrong token", { authorization: "Bearer 0000" }],
    ["the token as another scheme", { authorization: "Basic 0000" }],
  ])("%s is refused", async (_what, headers) => {
    expectProblem(await call(headers), { status: 401, code: "unauthorized" });
  });

  test("a foreign Host is refused, even with the token", async () => {
    const answer = await call({ authorization: `Bearer ${token()}`, host: "rebound.example" });
    expectProblem(answer, { status: 403, code: "origin-refused" });
  });

  test("a foreign Origin is refused, even with the token", async () => {
    const answer = await call({ authorization: `Bearer ${token()}`, origin: "https://evil.example" });
    expectProblem(answer, { status: 403, code: "origin-refused" });
  });

  test.each([
    ["the name in capitals", { host: "LOCALHOST:1" }],
    ["the scheme in small letters", {}],
    ["a page of the listener itself", { host: "localhost:8", origin: "http://localhost:8" }],
  ])("%s is no reason to refuse", async (_what, headers) => {
    expect(await call({ authorization: `bearer ${token()}`, ...headers })).toMatchObject({ status: 200 });
  });

  test("a page on another port of the same host is foreign", async () => {
    const answer = await call({
      authorization: `Bearer ${token()}`,
      host: "localhost:8",
      origin: "http://localhost:3",
    });
    expectProblem(answer, { status: 403, code: "origin-refused" });
  });

  const authorized = (line: string, ...rest: readonly string[]): string =>
    [`${line} HTTP/1.1`, "host: localhost", `authorization: Bearer ${token()}`, ...rest].join("\r\n");
  const RAW: readonly (readonly [string, () => string, number, string])[] = [
    ["noise", () => "hello there\r\n\r\n", 400, "request-malformed"],
    ["a head of 64 KB", () => `GET / HTTP/1.1\r\nx: ${"y".repeat(65_536)}\r\n\r\n`, 431, "headers-too-large"],
    ["no Host", () => "GET /v1/status HTTP/1.1\r\n\r\n", 403, "origin-refused"],
    [
      "two Hosts",
      () =>
        authorized(
          "PUT /v1/apps/{name}",
          "POST /v1/plan",
          "GET /v1/explain/{target}",
          "GET /v1/status",
          "host: evil.example\r\n\r\n",
        ),
      400,
      "request-malformed",
    ],
    ["a URL instead of a path", () => authorized("GET http://a.example/v1/status", "\r\n"), 400, "request-malformed"],
    ["CONNECT", () => authorized("CONNECT /:80", "\r\n"), 405, "method-not-allowed"],
    ["a wrong escape without the token", () => "GET /%ff HTTP/1.1\r\nhost: localhost\r\n\r\n", 401, "unauthorized"],
    ["a wrong escape", () => authorized("GET /v1/goals/%ff", "\r\n"), 400, "request-malformed"],
    ["a path of 400", () => authorized(`DELETE /v1/backends/${"x".repeat(400)}`, "\r\n"), 400, "tag-invalid"],
    [
      "chunks that are none",
      () =>
        authorized(
          "PUT /v1/backends/x",
          "content-type: application/json",
          "transfer-encoding: chunked\r\n\r\nzz\r\n\r\n",
        ),
      400,
      "request-malformed",
    ],
    [
      "100 MB without the token",
      () => "PUT /v1/backends/x HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100000000\r\n\r\n{",
      401,
      "unauthorized",
    ],
  ];
  test.each(RAW)("%s is refused with a problem", async (_what, bytes, status, code) => {
    const port = Number(new URL(api).port);
    const text = await exchange({ host: "127.0.0.1", port }, ({ write }) => write(bytes()));
    expect(text).toMatch(new RegExp(`^HTTP/1\\.1 ${status} .*content-type: application/problem\\+json`, "s"));
    expect(text).toMatch(new RegExp(`"code":"${code}"`));
  });

  test("the client library connects by address and token", async () => {
    const client = await serve.connect({ address: api, token: token() });
    try {
      await client.createBackend("by-address", backend(ECHO));
      expect((await client.listBackends()).map(({ tag }) => tag)).toContain("by-address");
    } finally {
      await client.close();
    }
    await expectError(serve.connect({ address: api, token: "wrong" }), "unauthorized");
  });
});

const freePort = async (): Promise<number> => {
  const server = createServer();
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const address = server.address();
  await new Promise((resolve) => {
    server.close(resolve);
  });
  return typeof address === "object" && address !== null ? address.port : 0;
};
