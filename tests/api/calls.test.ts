/** Calls through handles: in an instance of real processes, and in the process of a test (`maitred/testing`). */
import { type LocalAppServer, localHandle, startLocal } from "maitred/testing";
import { afterAll, beforeAll, describe, vi } from "vitest";
import { backend, defineApp, type Handle, ref } from "../../src/index.ts";
import { Calls, type greet, type Outer, type web } from "../fixtures/apps/calls.ts";
import { fixture } from "../harness/echo.ts";
import { useLab } from "../harness/lab.ts";
import { type CallsApp, describeCalls, describeCallsApp } from "./calls.contract.ts";

// Handlers that fail on purpose would fill the output with their stacks.
vi.stubEnv("MAITRED_LOG_LEVEL", "silent");

const module = fixture("apps/calls.ts");
const CALLS = backend<typeof Calls>({ module, export: "Calls" });
const OUTER = backend<typeof Outer>({ module, export: "Outer", args: [ref<typeof Calls>("calls")] });
const GREET = backend<typeof greet>({ module, export: "greet" });
const WEB = backend<typeof web>({ module, export: "web" });
const CONFIG = { userConfig: { factor: 3 } };
const ONE_AT_A_TIME = { maxConcurrentQueries: 1, maxQueuedQueries: 3 };

describe("in an instance", () => {
  const lab = useLab("file");
  let app: CallsApp;

  beforeAll(async () => {
    const { client, url } = await lab().start();
    await Promise.all([
      client.createBackend("calls", CALLS, CONFIG),
      client.createBackend("outer", OUTER),
      client.createBackend("greet", GREET),
      client.createBackend("web", WEB),
      client.createBackend("single", CALLS, ONE_AT_A_TIME),
    ]);
    await Promise.all([
      client.createEndpoint("calls", { backend: "calls", route: "/calls" }),
      client.createEndpoint("outer", { backend: "outer" }),
      client.createEndpoint("greet", { backend: "greet" }),
      client.createEndpoint("web", { backend: "web", route: "/web/*" }),
      client.createEndpoint("single", { backend: "single" }),
    ]);
    app = {
      calls: client.getHandle<typeof Calls>("calls"),
      outer: client.getHandle<typeof Outer>("outer"),
      greet: client.getHandle<typeof greet>("greet"),
      web: client.getHandle<typeof web>("web"),
      single: client.getHandle<typeof Calls>("single"),
      url,
    };
  }, 60_000);

  describeCalls(() => app.calls);
  describeCallsApp(() => app);
});

const localApp = defineApp({
  backends: {
    calls: { run: CALLS, config: CONFIG },
    outer: { run: OUTER },
    greet: { run: GREET },
    web: { run: WEB },
    single: { run: CALLS, config: ONE_AT_A_TIME },
  },
  endpoints: {
    calls: { backend: "calls", route: "/calls" },
    outer: { backend: "outer" },
    greet: { backend: "greet" },
    web: { backend: "web", route: "/web/*" },
    single: { backend: "single" },
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
      ...{ web: server.handle("web"), single: server.handle("single"), url },
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
