/**
 * Calls that are wrong, through each of their doors: the client library, the command line and REST. Each is refused with the same code
 * and one sentence, and afterwards the instance is as it was.
 */
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { backend, type Client, ServeError } from "../../src/index.ts";
import { ERROR_CODES, type ErrorCode } from "../../src/model/error-codes.ts";
import { censusOf, settled } from "../harness/census.ts";
import { expectRefusal, maitred } from "../harness/command.ts";
import { ECHO, fixture } from "../harness/echo.ts";
import { sendLargeBody } from "../harness/exchange.ts";
import { expectProblem } from "../harness/http.ts";
import { type Started, useLab } from "../harness/lab.ts";
import { commandOf, markedPids } from "../harness/processes.ts";
import { rest, restSocketOf } from "../harness/rest.ts";
import { waitFor } from "../harness/wait-for.ts";

const lab = useLab("file");
const echoModule = fixture("apps/echo.ts");
const ECHO_WORD = `${echoModule.pathname}#echo`;
const ECHO_BODY = { module: echoModule.href, export: "echo" };

let instance: Started;
let before: Awaited<ReturnType<typeof worldOf>>;

beforeAll(async () => {
  instance = await lab().start();
  const { client } = instance;
  await client.createBackend("echo", backend(ECHO));
  await client.createBackend("other", backend(ECHO));
  await client.createEndpoint("echo", { route: "/echo", backend: "echo" });
  before = await worldOf();
}, 60_000);

const worldOf = async () => {
  const status = await settled(lab(), instance);
  const { endpoints, backends, goals } = status;
  return {
    endpoints,
    backends,
    goals: goals.length,
    who: censusOf(status, ["agent", "controller", "proxy", "replica"]),
  };
};

interface Wrong {
  readonly what: string;
  readonly code: ErrorCode;
  readonly says: RegExp;
  readonly client: (client: Client) => Promise<unknown>;
  readonly command: readonly string[];
  readonly rest: {
    readonly method: "PUT" | "PATCH" | "POST" | "DELETE";
    readonly path: string;
    readonly body?: unknown;
  };
}

const WRONG: readonly Wrong[] = [
  {
    what: "an unknown config key",
    code: "config-invalid",
    says: /backend "new".*numReplica\b.*numReplicas/,
    client: (client) => client.createBackend("new", backend(ECHO), { numReplica: 2 } as never),
    command: ["backend", "create", "new", ECHO_WORD, "--set", "numReplica=2"],
    rest: { method: "PUT", path: "/v1/backends/new", body: { ...ECHO_BODY, config: { numReplica: 2 } } },
  },
  {
    what: "a config value of the wrong type",
    code: "config-invalid",
    says: /backend "echo".*numReplicas.*"three".*string/,
    client: (client) => client.updateBackendConfig("echo", { numReplicas: "three" } as never),
    command: ["backend", "update", "echo", "--set", "numReplicas=three"],
    rest: { method: "PATCH", path: "/v1/backends/echo/config", body: { numReplicas: "three" } },
  },
  {
    what: "a config value out of its range",
    code: "config-invalid",
    says: /backend "echo".*maxConcurrentQueries/,
    client: (client) => client.updateBackendConfig("echo", { maxConcurrentQueries: 0 }),
    command: ["backend", "update", "echo", "--set", "maxConcurrentQueries=0"],
    rest: { method: "PATCH", path: "/v1/backends/echo/config", body: { maxConcurrentQueries: 0 } },
  },
  {
    what: "a batch size for code without a batch",
    code: "config-invalid",
    says: /backend "echo".*maxBatchSize/,
    client: (client) => client.updateBackendConfig("echo", { maxBatchSize: 4 }),
    command: ["backend", "update", "echo", "--set", "maxBatchSize=4"],
    rest: { method: "PATCH", path: "/v1/backends/echo/config", body: { maxBatchSize: 4 } },
  },
  {
    what: "weights that do not sum to 1",
    code: "weights-invalid",
    says: /endpoint "echo".*0\.9/,
    client: (client) => client.setTraffic("echo", { echo: 0.5, other: 0.4 }),
    command: ["traffic", "set", "echo", "echo=50%", "other=40%"],
    rest: { method: "PUT", path: "/v1/endpoints/echo/traffic", body: { weights: { echo: 0.5, other: 0.4 } } },
  },
  {
    what: "an unknown backend in traffic",
    code: "backend-unknown",
    says: /"echo".*"echoo".*Create it first/,
    client: (client) => client.setTraffic("echo", { echo: 0.5, echoo: 0.5 }),
    command: ["traffic", "set", "echo", "echo=50%", "echoo=50%"],
    rest: { method: "PUT", path: "/v1/endpoints/echo/traffic", body: { weights: { echo: 0.5, echoo: 0.5 } } },
  },
  {
    what: "an unknown backend as a shadow",
    code: "backend-unknown",
    says: /"nobody"/,
    client: (client) => client.shadowTraffic("echo", "nobody", 0.5),
    command: ["shadow", "set", "echo", "nobody=50%"],
    rest: { method: "PUT", path: "/v1/endpoints/echo/shadows/nobody", body: { proportion: 0.5 } },
  },
  {
    what: "an unknown endpoint",
    code: "endpoint-unknown",
    says: /"ecco"/,
    client: (client) => client.setTraffic("ecco", { echo: 1 }),
    command: ["traffic", "set", "ecco", "echo=100%"],
    rest: { method: "PUT", path: "/v1/endpoints/ecco/traffic", body: { weights: { echo: 1 } } },
  },
  {
    what: "a backend tag that exists with another value",
    code: "backend-exists",
    says: /"echo"/,
    client: (client) => client.createBackend("echo", backend({ module: fixture("apps/model.ts"), export: "Model" })),
    command: ["backend", "create", "echo", `${fixture("apps/model.ts").pathname}#Model`],
    rest: {
      method: "PUT",
      path: "/v1/backends/echo",
      body: { module: fixture("apps/model.ts").href, export: "Model" },
    },
  },
  {
    what: "an endpoint tag that exists with another value",
    code: "endpoint-exists",
    says: /"echo"/,
    client: (client) => client.createEndpoint("echo", { route: "/elsewhere", backend: "echo" }),
    command: ["endpoint", "create", "echo", "--route", "/elsewhere", "--backend", "echo"],
    rest: { method: "PUT", path: "/v1/endpoints/echo", body: { route: "/elsewhere", backend: "echo" } },
  },
  {
    what: "a route that another endpoint answers",
    code: "route-taken",
    says: /\/echo.*"echo"/,
    client: (client) => client.createEndpoint("second", { route: "/echo", backend: "echo" }),
    command: ["endpoint", "create", "second", "--route", "/echo", "--backend", "echo"],
    rest: { method: "PUT", path: "/v1/endpoints/second", body: { route: "/echo", backend: "echo" } },
  },
  {
    what: "a route without a slash",
    code: "route-invalid",
    says: /"second".*echo.*\//,
    client: (client) => client.createEndpoint("second", { route: "echo2" as "/echo2", backend: "echo" }),
    command: ["endpoint", "create", "second", "--route", "echo2", "--backend", "echo"],
    rest: { method: "PUT", path: "/v1/endpoints/second", body: { route: "echo2", backend: "echo" } },
  },
  {
    what: "a tag with a slash",
    code: "tag-invalid",
    says: /"models\/iris".*letters, digits/,
    client: (client) => client.createBackend("models/iris", backend(ECHO)),
    command: ["backend", "create", "models/iris", ECHO_WORD],
    rest: { method: "PUT", path: "/v1/backends/models%2Firis", body: ECHO_BODY },
  },
  {
    what: "the deletion of a backend that an endpoint names",
    code: "backend-in-use",
    says: /"echo"/,
    client: (client) => client.deleteBackend("echo"),
    command: ["backend", "delete", "echo"],
    rest: { method: "DELETE", path: "/v1/backends/echo" },
  },
];

/** Words that only the client library has; who sends requests or types commands has others. */
const CLIENT_CALLS =
  /\b(status|stop|shutdown|explain|deploy|plan|connect)\(\)|\b(create|list|delete|restart|update)(Backend|Endpoint)\w*|\b(set|shadow)Traffic\b|\bgetHandle\b/;

describe.each(WRONG)("$what", ({ code, says, client, command, rest: { method, path, body } }) => {
  afterEach(async () => {
    expect(await worldOf()).toEqual(before);
  });

  test("is refused by the client library", async () => {
    const error = await client(instance.client).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(ServeError);
    expect((error as ServeError).code).toBe(code);
    expect((error as ServeError).message).toMatch(says);
  });

  test("is refused by the command line", async () => {
    const refused = await maitred([...command, "--instance", instance.name]);
    const sentence = expectRefusal(refused, { status: 1, code });
    expect(sentence).toMatch(says);
    expect(sentence).not.toMatch(CLIENT_CALLS);
  });

  test("is refused by REST", async () => {
    const answer = await rest(instance, path, { method, ...(body === undefined ? {} : { body }) });
    const sentence = expectProblem(answer, { status: ERROR_CODES[code].status, code });
    expect(sentence).toMatch(says);
    expect(sentence).not.toMatch(CLIENT_CALLS);
  });
});

describe("code that does not load or start", () => {
  const create = (target: string, ...more: readonly string[]) =>
    maitred(["backend", "create", "broken", target, ...more, "--instance", instance.name]);

  const REFUSED: readonly (readonly [string, string, ErrorCode, RegExp])[] = [
    ["a module that does not exist", "refused/does-not-exist.ts", "module-not-found", /does-not-exist\.ts/],
    ["a module that plain Node refuses", "refused/enum.ts", "module-unsupported-syntax", /enum/],
    ["an import that throws", "refused/throws-at-import.ts", "module-load-failed", /no licence found/],
    [
      "an import that ends the process",
      "refused/exits-at-import.ts",
      "module-load-failed",
      /ended the process \(exit 7\)/,
    ],
    [
      "an export that is not there",
      "apps/echo.ts#ecko",
      "export-not-found",
      /no export "ecko"; .*Did you mean "echo"\?/,
    ],
    ["an export that cannot be served", "refused/default-number.ts", "target-invalid", /is a number/],
  ];

  // The world is looked at after each test: nothing was saved of any of these.
  test.each(REFUSED)("%s is refused before anything is saved", async (_what, target, code, says) => {
    expect(expectRefusal(await create(fixture(target).pathname + fixture(target).hash), { status: 1, code })).toMatch(
      says,
    );
  });

  test("settings that the code cannot take are refused before anything is saved", async () => {
    const target = `${fixture("apps/echo.ts").pathname}#echo`;
    const refused = await create(target, "--set", "maxBatchSize=4", "--set", 'userConfig={"a":1}');
    const says = expectRefusal(refused, { status: 1, code: "config-invalid" });
    expect(says).toMatch(/maxBatchSize is set, but the code declares no batch\(\)/);
    expect(says).toMatch(/userConfig is set, and the code has no reconfigure\(\) to take it/);
  });

  test("an import that never ends is refused when startTimeoutMs is over, and nothing of it is left", async () => {
    const target = fixture("refused/import-never-ends.ts").pathname;
    const refused = expectRefusal(await create(target, "--set", "startTimeoutMs=1500"), {
      status: 1,
      code: "module-load-failed",
    });
    expect(refused).toMatch(/its import did not end within 1\.5 s/);
    const isLeft = (pid: number) => /import-never-ends|sleep 613/.test(commandOf(pid));
    await waitFor("no process of it is left", () => !markedPids(lab().mark).some(isLeft), 5_000);
  });

  test("a start that throws fails the goal of createBackend, and deleting it leaves nothing", async () => {
    const failed = await create(fixture("refused/start-throws.ts").pathname, "--set", "maxStartAttempts=1");
    expect(expectRefusal(failed, { status: 1, code: "goal-failed" })).toMatch(/the weights are not on this disk/);
    await instance.client.deleteBackend("broken");
    const { goals: _goals, ...rest } = await worldOf();
    const { goals: _before, ...restBefore } = before;
    expect(rest).toEqual(restBefore);
    before = await worldOf();
  });
});

describe("a backend whose creation failed", () => {
  const create = (target: string) =>
    maitred(["backend", "create", "mended", target, "--set", "maxStartAttempts=1", "--instance", instance.name]);

  test("says what to do, and can then be created from other code under the same tag", async () => {
    const broken = fixture("refused/start-throws.ts").pathname;
    const says = /create it again, or delete it\./;
    expect(expectRefusal(await create(broken), { status: 1, code: "goal-failed" })).toMatch(says);
    expect(expectRefusal(await create(broken), { status: 1, code: "goal-failed" })).toMatch(says);
    expect(await create(`${fixture("apps/echo.ts").pathname}#echo`)).toMatchObject({ status: 0 });
    expectRefusal(await create(broken), { status: 1, code: "backend-exists" });
    await instance.client.deleteBackend("mended");
    before = await worldOf();
  });
});

describe("REST requests that are wrong as such", () => {
  test("a body that is not JSON is refused", async () => {
    const answer = await rest(instance, "/v1/backends/new", {
      method: "PUT",
      headers: { "content-type": "application/json" },
      body: "{ module: ",
    });
    expectProblem(answer, { status: 400, code: "body-invalid" });
  });

  test.each(["with its length", "in chunks"] as const)("a body of 100 MB is refused (%s)", async (framing) => {
    const body = { line: "PUT /v1/backends/new", bytes: 100_000_000, framing };
    const text = await sendLargeBody({ path: restSocketOf(instance) }, body);
    expect(text).toMatch(/^HTTP\/1\.1 413 .*application\/problem\+json.*"code":"body-too-large"/s);
    expect(text).toContain(
      '"detail":"the body is larger than 900000 bytes. Put large values into a file and pass its path."',
    );
  });

  test("a request from a foreign Origin is refused", async () => {
    const answer = await rest(instance, "/v1/shutdown", {
      method: "POST",
      headers: { origin: "https://evil.example" },
    });
    expect(expectProblem(answer, { status: 403, code: "origin-refused" })).toMatch(/evil\.example/);
  });

  test("an unknown path is refused", async () => {
    expectProblem(await rest(instance, "/v1/nothing"), { status: 404, code: "route-not-found" });
  });

  test.each(["/v1/goals/none", "/v1/goals/none?waitMs=1", "/v1/explain/none"])(
    "%s of what is not there names the request that lists what is",
    async (path) => {
      const code = path.includes("goals") ? "goal-unknown" : "target-unknown";
      const sentence = expectProblem(await rest(instance, path), { status: 404, code });
      expect(sentence).toMatch(/GET \/v1\/(goals|status) lists/);
      expect(sentence).not.toMatch(CLIENT_CALLS);
    },
  );

  afterEach(async () => {
    expect(await worldOf()).toEqual(before);
  });
});
