/** The metrics of a running instance: every stage counts, the numbers add up, and what dies, hangs or floods cannot spoil them. */
import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { backend } from "../../src/index.ts";
import { ADMIN_NAME, DOOR_NAME, METRIC_NAMES, metricInfo, NO_NAME } from "../../src/model/metrics.ts";
import { stateFiles } from "../../src/model/places.ts";
import type { Counted } from "../fixtures/apps/counted.ts";
import { processesOf, theOne } from "../harness/census.ts";
import { expectRefusal, maitred } from "../harness/command.ts";
import { fixture } from "../harness/echo.ts";
import type { Scrape } from "../harness/exposition.ts";
import { ask } from "../harness/http.ts";
import { type Started, useLab } from "../harness/lab.ts";
import { kill } from "../harness/processes.ts";
import { RawHttp } from "../harness/raw-http.ts";
import { fullScrape, metricsUrlOf, scrape } from "../harness/scrape.ts";
import { waitFor } from "../harness/wait-for.ts";

const DEADLINE_MS = 10_000;
const COUNTED = { module: fixture("apps/counted.ts"), export: "Counted" } as const;

const lab = useLab("file");
let instance: Started;
let url: string;

beforeAll(async () => {
  instance = await lab().start({ metrics: { port: 0 } });
  url = await metricsUrlOf(instance);
  const { client } = instance;
  for (const tag of ["main", "copy"]) await client.createBackend(tag, backend(COUNTED));
  await client.createBackend("narrow", backend(COUNTED), { maxConcurrentQueries: 1, maxQueuedQueries: 1 });
  await client.createEndpoint("main", {
    route: "/main",
    backend: "main",
    expose: ["square"],
    methods: ["GET", "POST"],
  });
  await client.shadowTraffic("main", "copy", 1);
  await client.createEndpoint("narrow", { route: "/narrow", backend: "narrow" });
}, 60_000);

const get = async (path: string, count = 1): Promise<readonly number[]> => {
  const answers = await Promise.all(Array.from({ length: count }, () => ask(`${instance.url}${path}`)));
  return answers.map(({ status }) => status);
};

const waits = (what: string, is: (now: Scrape) => boolean): Promise<Scrape> =>
  waitFor(
    what,
    async () => {
      const now = await scrape(url);
      return is(now) && now;
    },
    DEADLINE_MS,
  );

test("every request is counted once at each stage, by how it ended", async () => {
  expect(await get("/main", 20)).toEqual(Array(20).fill(200));
  expect(await get("/main?status=302", 2)).toEqual([302, 302]);
  expect(await get("/main?error=404", 3)).toEqual([404, 404, 404]);
  expect(await get("/main?status=503")).toEqual([503]);
  expect(await get("/main?throw", 2)).toEqual([500, 500]);
  expect(await get("/nowhere", 4)).toEqual([404, 404, 404, 404]);
  expect(await get("/-/healthz", 5)).toEqual([200, 200, 200, 200, 200]);
  expect((await ask(`${instance.url}/main`, { method: "DELETE" })).status).toBe(405);
  expect(await new RawHttp(instance.url).send("GET / HTTP/1.1\r\n\r\n").answers()).toMatchObject([{ status: 400 }]);
  expect(await new RawHttp(instance.url).send("NONSENSE\r\n\r\n").closed()).toMatch(/^HTTP\/1.1 400 /);
  const leaving = new RawHttp(instance.url).send("GET /main?waitMs=60000 HTTP/1.1\r\nhost: a\r\n\r\n");
  await waits("the slow one runs", (now) => now.sum("maitred_wire_in_flight", { backend: "main" }) === 1);
  leaving.close();
  await waits(
    "it is noticed that the client left",
    (now) => now.sum("maitred_http_requests_total", { status: "gone" }) === 1,
  );

  const now = await fullScrape(url);
  const requests = (labels: Readonly<Record<string, string>>) => now.sum("maitred_http_requests_total", labels);
  expect({
    good: requests({ endpoint: "main", status: "2xx" }),
    elsewhere: requests({ endpoint: "main", status: "3xx" }),
    // Three that the handler refused and one with a method that the endpoint does not answer.
    refused: requests({ endpoint: "main", status: "4xx" }),
    broken: requests({ endpoint: "main", status: "5xx" }),
    gone: requests({ endpoint: "main", status: "gone" }),
    unrouted: requests({ endpoint: NO_NAME }),
    admin: requests({ endpoint: ADMIN_NAME, status: "2xx" }),
  }).toEqual({ good: 20, elsewhere: 2, refused: 4, broken: 3, gone: 1, unrouted: 5, admin: 5 });
  for (const endpoint of ["main", NO_NAME, ADMIN_NAME]) {
    expect(now.sum("maitred_http_request_seconds", { endpoint })).toBe(requests({ endpoint }));
  }
  const problems = now.values("maitred_http_problems_total", "code");
  expect(Object.fromEntries(problems.map((code) => [code, now.sum("maitred_http_problems_total", { code })]))).toEqual({
    "handler-failed": 2,
    "http-error": 3,
    "method-not-allowed": 1,
    "request-malformed": 2,
    "route-not-found": 4,
  });

  const main = { from: "proxy", endpoint: "main" };
  expect(now.sum("maitred_router_queries_total", { ...main, outcome: "answered" })).toBe(23);
  expect(now.sum("maitred_router_queries_total", { ...main, outcome: "failed" })).toBe(5);
  expect(now.sum("maitred_router_queries_total", { ...main, outcome: "cancelled" })).toBe(1);
  expect(now.sum("maitred_router_query_seconds", main)).toBe(29);
  expect(now.sum("maitred_router_sent_total", { backend: "main" })).toBe(29);
  expect(now.sum("maitred_router_wait_seconds", { backend: "main" })).toBe(29);
  expect(now.sum("maitred_router_failures_total", { code: "handler-failed" })).toBe(2);

  const door = { backend: "main", method: DOOR_NAME };
  const handled = (outcome: string) => now.sum("maitred_handler_queries_total", { ...door, outcome });
  expect(["ok", "refused", "error", "cancelled", "expired"].map(handled)).toEqual([22, 3, 3, 1, 0]);
  expect(now.sum("maitred_handler_seconds", door)).toBe(29);
}, 30_000);

test("a shadow is counted by itself: every copy sent has run, and those that failed are told", async () => {
  // The copy of the one whose client left goes on to its end.
  const now = await waits("one copy runs", (seen) => seen.sum("maitred_wire_in_flight", { backend: "copy" }) === 1);
  const shadows = (outcome: string) => now.sum("maitred_router_shadows_total", { backend: "copy", outcome });
  // Those failed whose handler threw; a Response is an answer, whatever its status.
  expect(["sent", "dropped", "returned", "failed"].map(shadows)).toEqual([29, 0, 0, 5]);
  expect(now.sum("maitred_router_sent_total", { backend: "copy" })).toBe(0);
  expect(now.sum("maitred_handler_queries_total", { backend: "copy" })).toBe(28);
});

test("handles of a program count for it; refused, waiting and turned away queries are told apart", async () => {
  const narrow = instance.client.getHandle<typeof Counted>("narrow");
  const leave = new AbortController();
  const holds = narrow.options({ signal: leave.signal })(undefined, { query: { waitMs: "60000" } });
  holds.catch(() => {}); // it is cancelled below
  await waits("the program's query runs", (now) => now.sum("maitred_replica_running", { backend: "narrow" }) === 1);
  const second = get("/narrow");
  await waits("a request waits", (now) => now.sum("maitred_router_waiting", { backend: "narrow" }) === 1);
  expect(await get("/narrow")).toEqual([503]);
  leave.abort();
  expect(await second).toEqual([200]);

  const now = await fullScrape(url);
  const of = { backend: "narrow" };
  expect(now.sum("maitred_router_sent_total", { ...of, from: "program" })).toBe(1);
  expect(now.sum("maitred_router_sent_total", { ...of, from: "proxy" })).toBe(1);
  expect(now.sum("maitred_router_refusals_total", { ...of, from: "proxy", reason: "busy" })).toBe(1);
  expect(now.sum("maitred_replica_refusals_total", { ...of, reason: "busy" })).toBe(1);
  expect(now.sum("maitred_router_failures_total", { from: "proxy", code: "queue-full" })).toBe(1);
  expect(now.sum("maitred_http_problems_total", { code: "queue-full" })).toBe(1);
  const ended = (outcome: string) =>
    now.sum("maitred_router_queries_total", { from: "program", endpoint: "narrow", outcome });
  expect(["answered", "failed", "cancelled"].map(ended)).toEqual([0, 0, 1]);
  expect(now.sum("maitred_process_up", { kind: "program" })).toBe(1);
  expect(now.sum("maitred_replica_limit", of)).toBe(1);
  expect(now.sum("maitred_router_waiting", of)).toBe(0);

  // A program tells what it has counted when it closes its connection.
  const other = await lab().connect(instance.name);
  expect(await other.getHandle<typeof Counted>("narrow").double(3)).toBe(6);
  await other.close();
  const byPrograms = (seen: Scrape) => seen.sum("maitred_router_sent_total", { ...of, from: "program" });
  await waits("its last word has come", (seen) => byPrograms(seen) === 2);
  expect((await fullScrape(url)).sum("maitred_process_up", { kind: "program" })).toBe(1);
});

test("a batch says why it was started, and what a replica told last is kept when it has gone", async () => {
  const square = async (number: number) =>
    (await ask(`${instance.url}/main`, { body: number, headers: { "x-serve-call-method": "square" } })).json();
  await instance.client.shadowTraffic("main", "copy", 0);
  expect(await Promise.all([1, 2, 3, 4].map(square))).toEqual([1, 4, 9, 16]);
  await instance.client.updateBackendConfig("main", { batchWaitTimeoutMs: 1 });
  expect(await square(5)).toBe(25);
  await instance.client.updateBackendConfig("main", { batchWaitTimeoutMs: 60_000 });
  const waiting = square(6);
  await waits("an item waits", (now) => now.sum("maitred_replica_running", { backend: "main" }) === 1);
  await instance.client.restartBackend("main");
  expect(await waiting).toBe(36);

  const now = await waits(
    "the old replica has gone",
    (seen) => seen.values("maitred_replica_limit", "process").filter((name) => name.startsWith("main#")).length === 1,
  );
  const released = (reason: string) => now.sum("maitred_batches_total", { backend: "main", reason });
  expect(["full", "timer", "drain", "changed"].map(released)).toEqual([1, 1, 1, 0]);
  expect(now.sum("maitred_batch_items", { backend: "main" })).toBe(3);
  expect(now.total("maitred_batch_items", { backend: "main" })).toBe(6);
  expect(now.sum("maitred_batch_wait_seconds", { backend: "main" })).toBe(3);
  expect(now.sum("maitred_handler_queries_total", { backend: "main", method: "square", outcome: "ok" })).toBe(6);
  expect(now.sum("maitred_handler_queries_total", { backend: "main", method: DOOR_NAME })).toBe(29);
  expect(now.sum("maitred_actor_starts_total", { kind: "replica", backend: "main" })).toBe(2);
  expect(now.sum("maitred_actor_exits_total", { backend: "main", reason: "ordered" })).toBe(1);
}, 30_000);

test("a replica that is killed: its query is run again and counted as that, and no sum falls", async () => {
  const before = await fullScrape(url);
  const answer = get("/main?waitMs=500");
  const running = await waits("it runs", (now) => now.sum("maitred_replica_running", { backend: "main" }) === 1);
  const [victim] = running.values("maitred_replica_limit", "process").filter((name) => name.startsWith("main#"));
  const { pid } = processesOf(await instance.status(), "replica").find(({ name }) => name === victim) ?? {};
  kill(pid ?? 0);
  expect(await answer).toEqual([200]);

  const now = await waits(
    "it is back",
    (seen) => seen.sum("maitred_process_restarts", { process: victim ?? "" }) === 1,
  );
  expect(now.sum("maitred_router_retries_total", { backend: "main" })).toBe(1);
  expect(now.sum("maitred_router_ejections_total", { backend: "main", reason: "unreachable" })).toBeGreaterThan(0);
  expect(now.sum("maitred_actor_exits_total", { backend: "main", reason: "unexpected" })).toBe(1);
  const full = await fullScrape(url);
  for (const metric of ["maitred_handler_queries_total", "maitred_router_sent_total", "maitred_http_requests_total"]) {
    expect(full.sum(metric)).toBeGreaterThanOrEqual(before.sum(metric));
  }
  expect(full.sum("maitred_router_sent_total", { backend: "main" })).toBe(
    before.sum("maitred_router_sent_total", { backend: "main" }) + 1,
  );
}, 30_000);

test("10,000 random paths are 10,000 requests and no new series", async () => {
  await ask(`${instance.url}/unknown`);
  const before = await fullScrape(url);
  const connection = new RawHttp(instance.url);
  const count = 10_000;
  for (let sent = 0; sent < count; sent += 100) {
    const paths = Array.from({ length: 100 }, (_, index) => `/${Math.random()}/${sent + index}?${Math.random()}`);
    connection.send(paths.map((path) => `GET ${path} HTTP/1.1\r\nhost: a\r\nx-request-id: ${sent}\r\n\r\n`).join(""));
  }
  const unrouted = { endpoint: NO_NAME, status: "4xx" };
  const wanted = before.sum("maitred_http_requests_total", unrouted) + count;
  const now = await waits("all are counted", (seen) => seen.sum("maitred_http_requests_total", unrouted) === wanted);
  connection.close();
  const seriesOf = ({ metrics }: Scrape) => [...metrics.values()].reduce((all, { samples }) => all + samples.length, 0);
  expect(seriesOf(now)).toBe(seriesOf(before));
}, 30_000);

describe("what does not answer", () => {
  test("a stopped replica does not hang a scrape: it is said to be silent, its counts stay, its gauges go", async () => {
    const before = await fullScrape(url);
    const { pid, name } = processesOf(await instance.status(), "replica").find(({ name: it }) =>
      it.startsWith("narrow#"),
    )!;
    kill(pid ?? 0, "SIGSTOP");
    try {
      for (const _ of [1, 2]) {
        const now = await fullScrape(url, [name]);
        expect(now.sum("maitred_process_up", { process: name })).toBe(0);
        expect(now.values("maitred_replica_limit", "process")).not.toContain(name);
        expect(now.values("maitred_process_cpu_seconds_total", "process")).not.toContain(name);
        const handled = { backend: "narrow" };
        expect(now.sum("maitred_handler_queries_total", handled)).toBe(
          before.sum("maitred_handler_queries_total", handled),
        );
      }
    } finally {
      kill(pid ?? 0, "SIGCONT");
    }
    const after = await fullScrape(url);
    expect(after.sum("maitred_process_up", { process: name })).toBe(1);
    expect(after.values("maitred_replica_limit", "process")).toContain(name);
  }, 30_000);

  test("an agent that is killed: the next one answers on the same port, with the sums of this one", async () => {
    await instance.client.deleteBackend("copy", { force: true });
    const before = await fullScrape(url);
    expect(before.sum("maitred_handler_queries_total", { backend: "copy" })).toBe(28);
    kill(theOne(await instance.status(), "agent").pid);
    const now = await waitFor("the next agent answers a scrape", () => fullScrape(url), DEADLINE_MS);
    for (const name of METRIC_NAMES) {
      const { kind, source } = metricInfo(name);
      // Gauges are of now; the controller and the wire go on counting, nobody asks the replicas for anything.
      if (kind === "gauge" || source === "controller" || /^maitred_(wire|process)_/.test(name)) continue;
      for (const backend of before.values(name, "backend")) {
        const of = (seen: Scrape) => ({ name, backend, sum: seen.sum(name, { backend }) });
        expect(of(now)).toEqual(of(before));
      }
      expect({ name, sum: now.sum(name) }).toEqual({ name, sum: before.sum(name) });
    }
    expect(await metricsUrlOf(instance)).toBe(url);
  }, 30_000);
});

test("the command line asks for metrics, says where they are, and beyond loopback wants the token", async () => {
  const name = lab().name("exposed");
  const start = ["start", "--instance", name, "--port", "0", "--metrics-host", "0.0.0.0", "--metrics-port"];
  type Started = { readonly stateDir: string; readonly metrics: readonly [string] };
  const { stateDir, metrics } = (await maitred([...start, "0", "--json"])).json<Started>();
  const [exposed] = metrics;
  expect(exposed).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/metrics$/);
  for (const command of [["status"], ["start"]]) {
    expect((await maitred([...command, "--instance", name])).stdout).toContain(`\nmetrics ${exposed}\n`);
  }
  const token = readFileSync(stateFiles(stateDir).token, "utf8").trim();
  expect((await ask(exposed)).status).toBe(401);
  const found = await scrape(exposed, { headers: { authorization: `Bearer ${token}` } });
  expect(found.metrics.get("maitred_info")?.samples).toMatchObject([{ labels: { instance: name, node: "local" } }]);

  const other = await maitred([...start, "1"]);
  expect(expectRefusal(other, { status: 1, code: "instance-exists" })).toContain("--metrics-port 1 (it has ");
  expect(await maitred(["shutdown", "--instance", name, "--yes"])).toMatchObject({ status: 0 });
}, 30_000);
