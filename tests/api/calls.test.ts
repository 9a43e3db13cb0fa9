/** Calls through handles: in an instance of real processes, and in the process of a test (`maitred/testing`). */
import { type LocalAppServer, localHandle, startLocal } from "maitred/testing";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { backend, type Client, defineApp, type Handle, ref } from "../../src/index.ts";
import { Calls, type Deep, type greet, type Outer, type web } from "../fixtures/apps/calls.ts";
import { fixture } from "../harness/echo.ts";
import { useLab } from "../harness/lab.ts";
import { describeCalls } from "./calls.contract.ts";
import { type CallsApp, describeCallsApp } from "./calls-app.contract.ts";

// Handlers that fail on purpose would fill the output with their stacks.
vi.stubEnv("MAITRED_LOG_LEVEL", "silent");

const module = fixture("apps/calls.ts");
const CALLS = backend<typeof Calls>({ module, export: "Calls" });
const OUTER = backend<typeof Outer>({ module, export: "Outer", args: [ref<typeof Calls>("calls")] });
const DEEP = backend<typeof Deep>({ module, export: "Deep", args: [ref<typeof Outer>("outer")] });
const GREET = backend<typeof greet>({ module, export: "greet" });
const WEB = backend<typeof web>({ module, export: "web" });
const CONFIG = { userConfig: { factor: 3 } };
const ONE_AT_A_TIME = { maxConcurrentQueries: 1, maxQueuedQueries: 3 };

describe("in an instance", () => {
  const lab = useLab("file");
  let app: CallsApp;
  let client: Client;
  let url: string;

  beforeAll(async () => {
    ({ client, url } = await lab().start());
    await Promise.all([
      client.createBackend("calls", CALLS, CONFIG),
      client.createBackend("outer", OUTER),
      client.createBackend("deep", DEEP),
      client.createBackend("greet", GREET),
      client.createBackend("web", WEB),
      client.createBackend("single", CALLS, ONE_AT_A_TIME),
    ]);
    await Promise.all([
      client.createEndpoint("calls", { backend: "calls", route: "/calls", expose: ["paired"] }),
      client.createEndpoint("brief", { backend: "calls", route: "/brief", timeoutMs: 300 }),
      client.createEndpoint("outer", { backend: "outer" }),
      client.createEndpoint("deep", { backend: "deep", route: "/deep" }),
      client.createEndpoint("greet", { backend: "greet" }),
      client.createEndpoint("web", { backend: "web", route: "/web/*" }),
      client.createEndpoint("single", { backend: "single", route: "/single" }),
    ]);
    app = {
      calls: client.getHandle<typeof Calls>("calls"),
      outer: client.getHandle<typeof Outer>("outer"),
      deep: client.getHandle<typeof Deep>("deep"),
      greet: client.getHandle<typeof greet>("greet"),
      web: client.getHandle<typeof web>("web"),
      single: client.getHandle<typeof Calls>("single"),
      url,
    };
  }, 60_000);

  describeCalls(() => app.calls);
  describeCallsApp(() => app);

  test("the batches of running code follow its configuration: what waits starts, what comes goes by the new words", async () => {
    const waitsLong = { maxBatchSize: 50, batchWaitTimeoutMs: 60_000 };
    await client.createBackend("batches", CALLS, waitsLong);
    await client.createEndpoint("batches", { backend: "batches" });
    const handle = client.getHandle<typeof Calls>("batches");
    const { replicaTag } = await handle.facts();
    const waiting = [1, 2, 3, 4].map((item) => handle.together(item)); // its code says three at most
    await handle.notes();
    await client.updateBackendConfig("batches", { maxBatchSize: 2 });
    const all = [1, 2, 3, 4];
    expect(await Promise.all(waiting)).toEqual([all, all, all, all]);
    expect(await Promise.all([handle.together(5), handle.together(6)])).toEqual([
      [5, 6],
      [5, 6],
    ]);
    expect((await handle.facts()).replicaTag).toBe(replicaTag);
  });
});

const localApp = defineApp({
  backends: {
    calls: { run: CALLS, config: CONFIG },
    outer: { run: OUTER },
    deep: { run: DEEP },
    greet: { run: GREET },
    web: { run: WEB },
    single: { run: CALLS, config: ONE_AT_A_TIME },
  },
  endpoints: {
    calls: { backend: "calls", route: "/calls", expose: ["paired"] },
    brief: { backend: "calls", route: "/brief", timeoutMs: 300 },
    outer: { backend: "outer" },
    deep: { backend: "deep", route: "/deep" },
    greet: { backend: "greet" },
    web: { backend: "web", route: "/web/*" },
    single: { backend: "single", route: "/single" },
  },
});

describe("in an app of startLocal", () => {
  let server: LocalAppServer<typeof localApp>;
  let app: CallsApp;

  beforeAll(async () => {
    server = await startLocal(localApp);
    const { url } = server;
    app = {
      ...{ calls: server.handle("calls"), outer: server.handle("outer"), greet: server.handle("greet") },
      ...{ web: server.handle("web"), single: server.handle("single"), deep: server.handle("deep"), url },
    };
  });
  afterAll(() => server.close());

  describeCalls(() => app.calls);
  describeCallsApp(() => app);
});

describe("behind a localHandle", () => {
  const byClass = localHandle(Calls, { config: CONFIG });
  afterAll(() => byClass[Symbol.asyncDispose]());

  describeCalls((): Handle<typeof Calls> => byClass);
});
