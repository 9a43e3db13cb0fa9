/** Calls that name code: what is looked at before they are saved, how often, and what is saved when nobody can look. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { appBackend, createBackend, deploy, update } from "../../tests/harness/calls.ts";
import { ControllerLab } from "../../tests/harness/controller-lab.ts";
import { ManualClock } from "../../tests/harness/manual-clock.ts";
import { waitFor } from "../../tests/harness/wait-for.ts";
import { PROBE_LINK_WAIT_MS } from "../model/code-limits.ts";
import type { ErrorBody } from "../model/error-codes.ts";
import type { ProbeAnswer, ProbedOffers, ProbeOrder } from "../model/probe.ts";
import type { BackendRecord } from "../model/records.ts";
import { LinkProbes } from "./controller.ts";

const DEADLINE_MS = 10_000;
const OFFERS: ProbedOffers = { door: "function", methods: [], batches: "no", reconfigures: "no" };

/** Answers when it is told to. */
class ScriptedProbe {
  readonly orders: ProbeOrder[] = [];
  files = "f1";
  offers = OFFERS;
  error: ErrorBody | undefined;
  gate: Promise<void> = Promise.resolve();

  async probe(order: ProbeOrder): Promise<ProbeAnswer> {
    this.orders.push(order);
    const { files, offers, error } = this;
    await this.gate;
    if (error !== undefined) return { kind: "failed", error };
    const targets = order.targets.map(() => ({ kind: "possible", offers }) as const);
    return { kind: "loaded", code: { files, entry: order.module }, targets };
  }
}

describe("a call that names code", () => {
  let lab: ControllerLab;
  let probe: ScriptedProbe;
  beforeEach(() => {
    lab = new ControllerLab({ speed: 20 });
    probe = new ScriptedProbe();
  });
  afterEach(() => lab.close());

  const lead = async () => {
    await lab.startAgent();
    return lab.lead({ probe });
  };
  const saved = async (tag: string) => (await lab.saved()).get(`backends/${tag}`) as BackendRecord | undefined;

  test("is saved with what its code is, and the replicas are started with it", async () => {
    const controller = await lead();
    await lab.settle(controller, createBackend("a"));
    expect(await saved("a")).toMatchObject({ identity: { files: "f1", from: "kept" } });
    const rows = [...(await lab.saved())].filter(([key]) => key.startsWith("assign/"));
    expect(rows.map(([, value]) => value)).toMatchObject([{ spec: { identity: { files: "f1" } } }]);
    expect((await controller.status()).backends).toMatchObject([{ codeFrom: "kept", digest: expect.any(String) }]);
  });

  test("is refused with the sentence of the probe, and nothing is saved", async () => {
    const controller = await lead();
    const before = [...(await lab.saved()).keys()];
    probe.error = { code: "module-load-failed", message: "module /app.ts:3 threw while it was imported: no licence" };
    await expect(lab.submit(controller, createBackend("a"))).rejects.toMatchObject(probe.error);
    expect([...(await lab.saved()).keys()]).toEqual(before);
  });

  test("is refused when the code cannot take its settings", async () => {
    const controller = await lead();
    const wrong = createBackend("a", { maxBatchSize: 4, userConfig: { a: 1 } });
    await expect(lab.submit(controller, wrong)).rejects.toMatchObject({ code: "config-invalid" });
    probe.offers = { ...OFFERS, batches: "maybe", reconfigures: "yes" };
    expect(await lab.settle(controller, wrong)).toMatchObject({ state: "reached" });
  });

  test("is not looked at again when its goal is known, whatever has become of the code", async () => {
    const controller = await lead();
    const id = lab.drawId();
    await lab.settle(controller, createBackend("a"), id);
    probe.error = { code: "module-not-found", message: "it is gone" };
    expect(await lab.submit(controller, createBackend("a"), id)).toMatchObject({ id, state: "reached" });
    expect(probe.orders).toHaveLength(1);
  });

  test("is not looked at when it would be refused anyway", async () => {
    const controller = await lead();
    await expect(lab.submit(controller, createBackend("no tag"))).rejects.toMatchObject({ code: "tag-invalid" });
    const wrong = createBackend("a", { numReplicas: 0 });
    await expect(lab.submit(controller, wrong)).rejects.toMatchObject({ code: "config-invalid" });
    expect(probe.orders).toEqual([]);
  });

  test("creates nothing on a tag whose files have changed, and is an alias when they have not", async () => {
    const controller = await lead();
    await lab.settle(controller, createBackend("a"));
    expect(await lab.settle(controller, createBackend("a"))).toMatchObject({ state: "reached" });
    probe.files = "f2";
    await expect(lab.submit(controller, createBackend("a"))).rejects.toMatchObject({
      code: "backend-exists",
      message: expect.stringMatching(
        /exists with other code: the files of .* were \w{8} then and are \w{8} now\..*another tag/,
      ),
    });
    expect(await saved("a")).toMatchObject({ rollout: 1, identity: { files: "f1" } });
  });

  test("keeps its code through updates of its configuration: what lies in the folder by then is not asked", async () => {
    const controller = await lead();
    await lab.settle(controller, createBackend("a"));
    const before = await saved("a");
    probe.files = "f2";
    await lab.settle(controller, update("a", { nodeArgs: ["--expose-gc"], env: { A: "1" } }));
    expect(await saved("a")).toMatchObject({ rollout: 2, identity: { files: "f1" } });
    expect((await saved("a"))?.identity?.digest).not.toBe(before?.identity?.digest);
    await lab.settle(controller, update("a", { nodeArgs: [] }));
    expect((await saved("a"))?.identity).toEqual(before?.identity);
    expect(probe.orders).toHaveLength(1);
  });

  test("rolls by deploy when the files have changed, and not when they have not", async () => {
    const controller = await lead();
    await lab.settle(controller, deploy("app", { a: appBackend() }));
    await lab.settle(controller, deploy("app", { a: appBackend() }));
    expect(await saved("a")).toMatchObject({ rollout: 1, identity: { files: "f1" } });
    probe.files = "f2";
    expect(await lab.settle(controller, deploy("app", { a: appBackend() }))).toMatchObject({ state: "reached" });
    expect(await saved("a")).toMatchObject({ rollout: 2, identity: { files: "f2" } });
  });

  test("one module in one kind of process is loaded once, for all backends of a deploy", async () => {
    const controller = await lead();
    const module = (name: string, env = {}) => ({
      code: { kind: "export", module: "file:///app.ts", export: name, args: [name] } as const,
      config: { env },
    });
    const backends = { a: module("A"), b: module("B"), c: module("C", { MODEL: "large" }) };
    await lab.settle(controller, deploy("app", backends));
    expect(probe.orders.map(({ targets, runtime }) => [targets, runtime.env])).toEqual([
      [
        [
          { ...backends.a.code, args: [null] },
          { ...backends.b.code, args: [null] },
        ],
        {},
      ],
      [[{ ...backends.c.code, args: [null] }], { MODEL: "large" }],
    ]);
    const digests = await Promise.all(["a", "b", "c"].map(async (tag) => (await saved(tag))?.identity?.digest));
    expect(new Set(digests).size).toBe(3);
  });

  test("that takes long is answered probe-pending, and asked again it gets what the same probe finds", async () => {
    const controller = await lead();
    const opened = Promise.withResolvers<void>();
    probe.gate = opened.promise;
    const id = lab.drawId();
    const late = { code: "probe-pending", retryable: true };
    await expect(lab.submit(controller, createBackend("a"), id)).rejects.toMatchObject(late);
    await expect(lab.submit(controller, createBackend("a"), id)).rejects.toMatchObject(late);
    expect(await saved("a")).toBeUndefined();
    opened.resolve();
    expect(await lab.settle(controller, createBackend("a"), id)).toMatchObject({ id, state: "reached" });
    expect(probe.orders).toHaveLength(1);
  });

  test("of a controller that dies while the code is looked at is made by the next one, once", async () => {
    await lab.startAgent();
    const first = lab.startController({ probe });
    await waitFor("it leads", () => first.epochs.length > 0, DEADLINE_MS);
    probe.gate = new Promise(() => {});
    const id = lab.drawId();
    const lost = expect(lab.submit(first.controller, createBackend("a"), id)).rejects.toMatchObject({
      retryable: true,
    });
    await waitFor("the code is looked at", () => probe.orders.length === 1, DEADLINE_MS);
    await first.controller.stop();
    await lost;
    expect(await saved("a")).toBeUndefined();
    probe.gate = Promise.resolve();
    const second = await lab.lead({ probe });
    expect(await lab.settle(second, createBackend("a"), id)).toMatchObject({ id, state: "reached" });
    expect((await second.status()).processes.filter(({ kind }) => kind === "replica")).toHaveLength(1);
  });
});

describe("probes over the link to the agent", () => {
  const order = { module: "file:///app.ts" } as ProbeOrder;
  const answer: ProbeAnswer = { kind: "failed", error: { code: "module-not-found", message: "gone" } };
  const open = () => {
    const clock = new ManualClock();
    const sent: number[] = [];
    return { clock, sent, probes: new LinkProbes(clock, (id) => sent.push(id)) };
  };

  test("wait for the link, and are sent again over the next one", async () => {
    const { sent, probes } = open();
    const first = probes.probe(order);
    expect(sent).toEqual([]);
    probes.linkUp();
    expect(sent).toEqual([1]);
    probes.linkDown();
    const second = probes.probe(order);
    probes.linkUp();
    expect(sent).toEqual([1, 1, 2]);
    probes.answered(2, answer);
    probes.answered(1, answer);
    // The answer to the same order from the agent before: nobody waits for it any more.
    probes.answered(1, answer);
    expect(await Promise.all([first, second])).toEqual([answer, answer]);
  });

  test("are given up when there is no agent for long, and then asked anew", async () => {
    const { clock, sent, probes } = open();
    probes.linkUp();
    const lost = probes.probe(order);
    probes.linkDown();
    clock.advance(PROBE_LINK_WAIT_MS - 1);
    probes.linkUp();
    probes.linkDown();
    clock.advance(PROBE_LINK_WAIT_MS);
    await expect(lost).rejects.toMatchObject({ code: "probe-unavailable", retryable: true });
    const next = probes.probe(order);
    probes.linkUp();
    expect(sent).toEqual([1, 1, 2]);
    probes.answered(2, answer);
    expect(await next).toEqual(answer);
  });
});
