/** The life of a proxy: what it starts from, what it keeps, how replicas come and go behind it, how it ends. */
import { afterAll, afterEach, expect, test } from "vitest";
import { ask } from "../../tests/harness/http.ts";
import { closureOf, ProxyLab } from "../../tests/harness/proxy-lab.ts";
import { waitFor } from "../../tests/harness/wait-for.ts";
import { parseSnapshots } from "../router/snapshots.ts";

const lab = new ProxyLab();
afterEach(() => lab.close());
afterAll(() => lab.remove());

test("it keeps its last snapshots, and its next life serves from them without a controller", async () => {
  const first = await lab.serve({ door: () => "served", route: "/iris" });
  await expect.poll(() => first.saved).toMatchObject({ instanceId: "i-1", router: { version: 1 } });
  const next = await lab.start({ saved: first.saved, controller: "is silent" });
  expect(next.link.last).toMatchObject({ state: "ready", address: `tcp:127.0.0.1:${next.role.port}` });
  expect(await ask(`${next.url}/iris`)).toMatchObject({ status: 200, text: "served" });
  expect(await ask(`${next.url}/nowhere`)).toMatchObject({ status: 404 });
});

test.each([
  ["of another instance", (saved: object) => ({ ...saved, instanceId: "i-2" })],
  ["of another version", (saved: { router?: object }) => ({ ...saved, router: { ...saved.router, version: 99 } })],
  ["of nonsense", () => ({ instanceId: "i-1", router: "nonsense" })],
  ["that are no object", () => 7],
])("snapshots %s are not served from", async (_what, spoil) => {
  const first = await lab.serve({ door: () => "served", route: "/iris" });
  await expect.poll(() => first.saved).toMatchObject({ router: {} });
  const next = await lab.start({ saved: spoil(first.saved as { router: object }), controller: "is silent" });
  expect(await ask(`${next.url}/iris`)).toMatchObject({ status: 503 });
  next.publish();
  expect(await ask(`${next.url}/iris`)).toMatchObject({ status: 404 });
  await expect.poll(() => next.link.last?.state).toBe("ready");
});

test("what waits to be written is written when it ends", async () => {
  const proxy = await lab.serve({ door: () => "x", route: "/late" });
  proxy.role.stop();
  const { router } = proxy.saved as { readonly router: unknown };
  expect(parseSnapshots(router)?.endpoints.map(({ spec }) => spec.route)).toEqual(["/late"]);
});

test("routes that change are followed at once", async () => {
  const proxy = await lab.serve({ door: () => "x", route: "/a" });
  expect(await ask(`${proxy.url}/a`)).toMatchObject({ status: 200 });
  proxy.publish(closureOf("e", proxy.backends, { route: "/b" }));
  expect(await ask(`${proxy.url}/a`)).toMatchObject({ status: 404 });
  expect(await ask(`${proxy.url}/b`)).toMatchObject({ status: 200 });
});

test("replicas are replaced one after the other, and not a request is lost", async () => {
  const exports = { default: async () => new Promise((resolve) => setTimeout(resolve, Math.random() * 4, "ok")) };
  const proxy = await lab.start();
  let current = [await lab.replicas.start({ exports }), await lab.replicas.start({ exports })];
  const publish = () => proxy.publish(closureOf("e", current, { route: "/*" }));
  publish();
  const outcomes: Record<string, number> = {};
  let isOver = false;
  const client = async () => {
    while (!isOver) {
      const outcome = await fetch(proxy.url, { method: "POST", body: "x" }).then(
        async (response) => `${response.status} ${await response.text()}`,
        (error: unknown) => String(error),
      );
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
    }
  };
  const count = () => outcomes["200 ok"] ?? 0;
  const answered = (more: number) => {
    const until = count() + more;
    return waitFor(`${more} more answers`, () => count() >= until, 5_000);
  };
  const clients = Array.from({ length: 16 }, client);
  for (let round = 0; round < 6; round += 1) {
    const [leaving, staying] = current;
    const coming = await lab.replicas.start({ exports });
    // Half of the time the routers hear of the drain only by the replica itself.
    current = [staying!, coming];
    if (round % 2 === 0) publish();
    const drained = leaving!.replica.drain(5_000);
    await answered(20);
    if (round % 2 === 1) publish();
    await drained;
    expect(await leaving!.exited).toBe(0);
  }
  isOver = true;
  await Promise.all(clients);
  expect(Object.keys(outcomes)).toEqual(["200 ok"]);
});

test("two proxies that both want all of a limit of 1 get 40 to 60 % each, however many clients each has", async () => {
  const door = () => new Promise((resolve) => setImmediate(resolve, "ok"));
  const replica = await lab.replicas.start({ exports: { default: door }, config: { maxConcurrentQueries: 1 } });
  const closure = closureOf("e", [replica], { route: "/*" });
  const backends = Object.fromEntries(
    Object.entries(closure.backends).map(([tag, backend]) => [tag, { ...backend, maxConcurrentQueries: 1 }]),
  );
  const proxies = [await lab.start(), await lab.start()];
  for (const proxy of proxies) proxy.publish({ ...closure, backends });
  const answered = [0, 0];
  const total = () => answered[0]! + answered[1]!;
  const client = async (index: number) => {
    while (total() < 1_500) {
      const { status } = await fetch(proxies[index]!.url);
      expect(status).toBe(200);
      answered[index] = answered[index]! + 1;
    }
  };
  await Promise.all([...Array.from({ length: 24 }, () => client(0)), ...Array.from({ length: 4 }, () => client(1))]);
  for (const count of answered) expect(count / total()).toBeGreaterThan(0.4);
});

test("a port that is in use is a failed start, reported and loud", async () => {
  const blocker = await lab.start();
  const port = blocker.role.port!;
  // Not a proxy of the node: a listener that shares its port with nobody.
  blocker.role.stop();
  const { createServer } = await import("node:net");
  const server = createServer();
  await new Promise<void>((resolve) => server.listen({ port, host: "127.0.0.1" }, resolve));
  try {
    const proxy = await lab.start({ port });
    expect(await proxy.exited).toBe(1);
    expect(proxy.link.last?.error).toMatchObject({
      code: "port-in-use",
      message: expect.stringContaining(String(port)),
    });
  } finally {
    server.close();
  }
});
