/** How queries are split and copied, seen from HTTP: shares, shard keys, shadows. Runs on a healthy instance and on a crashing one. */
import { beforeAll, describe, expect, test } from "vitest";
import { backend } from "../../src/index.ts";
import { ECHO, fixture, type Ledger, openLedger } from "../harness/echo.ts";
import { ask } from "../harness/http.ts";
import { type Started, type StartInLab, useLab } from "../harness/lab.ts";
import { waitFor } from "../harness/wait-for.ts";

const SHADOW_DEADLINE_MS = 5_000;
/** A true share misses 5 standard deviations once in two million runs. */
const SIGMAS = 5;

export const describeTraffic = (options: Pick<StartInLab, "env">): void => {
  const lab = useLab("file");
  let instance: Started;
  let ledgers: Readonly<Record<"v1" | "v2", Ledger>>;

  beforeAll(async () => {
    instance = await lab().start({ proxies: 2, env: options.env });
    ledgers = { v1: openLedger(lab().folder("ledger-v1")), v2: openLedger(lab().folder("ledger-v2")) };
    for (const tag of ["v1", "v2"] as const) {
      await instance.client.createBackend(tag, backend(ECHO), { env: { LEDGER: ledgers[tag].folder } });
    }
    await instance.client.createEndpoint("split", { route: "/split", backend: "v1" });
  }, 60_000);

  const send = (id: string, headers: Readonly<Record<string, string>> = {}) =>
    ask(`${instance.url}/split`, { body: {}, headers: { "x-request-id": id, ...headers } });

  const sendMany = async (prefix: string, count: number, headers?: Readonly<Record<string, string>>) => {
    const answers = [];
    for (let sent = 0; sent < count; sent += 20) {
      const ids = Array.from({ length: Math.min(20, count - sent) }, (_, index) => `${prefix}-${sent + index}`);
      answers.push(...(await Promise.all(ids.map((id) => send(id, headers)))));
    }
    return answers.map((answer) => answer.json<{ backendTag: string; isShadow: boolean; id: string }>());
  };
  const idsAt = (tag: "v1" | "v2", prefix: string): readonly string[] =>
    ledgers[tag].all().filter((id) => id.startsWith(`${prefix}-`));

  const endpoint = async () => (await instance.client.listEndpoints()).find(({ tag }) => tag === "split");

  test("a share of the queries goes where the weights say, from the moment the call resolves", async () => {
    await instance.client.setTraffic("split", { v1: 0.75, v2: 0.25 });
    const count = 400;
    const toV2 = (await sendMany("share", count)).filter(({ backendTag }) => backendTag === "v2").length;
    const deviation = Math.sqrt(count * 0.25 * 0.75);
    expect(Math.abs(toV2 - count * 0.25)).toBeLessThan(SIGMAS * deviation);

    await instance.client.setTraffic("split", { v2: 1 });
    expect((await sendMany("all", 40)).filter(({ backendTag }) => backendTag !== "v2")).toEqual([]);
  });

  test("queries of one shard key go to one backend, at every proxy", async () => {
    await instance.client.setTraffic("split", { v1: 0.5, v2: 0.5 });
    const seen = new Set<string>();
    for (const key of Array.from({ length: 12 }, (_, index) => `customer-${index}`)) {
      const tags = new Set(
        (await sendMany("shard", 6, { "x-serve-shard-key": key })).map(({ backendTag }) => backendTag),
      );
      expect(tags.size).toBe(1);
      for (const tag of tags) seen.add(tag);
    }
    expect([...seen].toSorted()).toEqual(["v1", "v2"]);
  });

  describe("shadows", () => {
    test("a shadow sees the same queries, marked as copies, and its answers are seen by nobody", async () => {
      const { client } = instance;
      await client.setTraffic("split", { v1: 1 });
      await client.shadowTraffic("split", "v2", 1);
      const answers = await sendMany("shadow", 40);
      expect(answers.filter(({ backendTag, isShadow }) => backendTag !== "v1" || isShadow)).toEqual([]);
      const sent = answers.map(({ id }) => id).toSorted();
      await waitFor("the shadow has seen all", () => idsAt("v2", "shadow").length >= 40, SHADOW_DEADLINE_MS);
      expect(idsAt("v2", "shadow").toSorted()).toEqual(sent);
    });

    test("setTraffic keeps shadows", async () => {
      await instance.client.setTraffic("split", { v1: 0.9, v2: 0.1 });
      expect(await endpoint()).toMatchObject({ traffic: { v1: 0.9, v2: 0.1 }, shadows: { v2: 1 } });
      await instance.client.setTraffic("split", { v1: 1 });
      expect(await endpoint()).toMatchObject({ traffic: { v1: 1 }, shadows: { v2: 1 } });
    });

    test("a proportion is a proportion, and 0 removes the shadow", async () => {
      const { client } = instance;
      await client.shadowTraffic("split", "v2", 0.25);
      await sendMany("quarter", 200);
      const deviation = Math.sqrt(200 * 0.25 * 0.75);
      const least = 200 * 0.25 - SIGMAS * deviation;
      await waitFor("the shadow has seen its share", () => idsAt("v2", "quarter").length > least, SHADOW_DEADLINE_MS);
      expect(idsAt("v2", "quarter").length).toBeLessThan(200 * 0.25 + SIGMAS * deviation);

      await client.shadowTraffic("split", "v2", 0);
      expect(await endpoint()).toMatchObject({ shadows: {} });
      await sendMany("none", 40);
      expect(idsAt("v2", "none")).toEqual([]);
    });

    test("a shadow that fails or stands still harms no query", async () => {
      const { client } = instance;
      const module = fixture("apps/bad-shadow.ts");
      await client.createBackend("bad", backend({ module, export: "fails" }));
      await client.createBackend("stuck", backend({ module, export: "sticks" }), { maxConcurrentQueries: 1 });
      await client.shadowTraffic("split", "bad", 1);
      await client.shadowTraffic("split", "stuck", 1);
      expect((await sendMany("harm", 60)).filter(({ backendTag }) => backendTag !== "v1")).toEqual([]);
      await client.shadowTraffic("split", "bad", 0);
      await client.shadowTraffic("split", "stuck", 0);
      await client.deleteBackend("bad", { force: true });
      await client.deleteBackend("stuck", { force: true });
    });
  });
};
