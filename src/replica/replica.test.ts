/** The life of a replica that runs: configuration, health, drain, end. */
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { ManualClock } from "../../tests/harness/manual-clock.ts";
import { ReplicaLab, type StartedReplica } from "../../tests/harness/replica-lab.ts";
import { httpHead, resultOf, textOf } from "../../tests/harness/wire-client.ts";
import { batch } from "../api/api.ts";
import { type BackendConfigInput, resolveBackendConfig } from "../model/backend-config.ts";

const lab = new ReplicaLab();
afterEach(() => lab.close());
afterAll(() => lab.remove());

const never = () => new Promise<never>(() => {});

const configure = (started: StartedReplica, configRevision: number, config: BackendConfigInput) =>
  started.link.events.onConfigure?.(configRevision, resolveBackendConfig({ gracefulShutdownWaitLoopMs: 0, ...config }));

describe("configuration", () => {
  class Tuned {
    readonly seen: unknown[] = [];
    reconfigure(config: { fail?: string; value?: number }) {
      if (config.fail !== undefined) throw new Error(config.fail);
      this.seen.push(config.value);
    }
    read() {
      return this.seen;
    }
  }
  const start = () => lab.start({ exports: { default: Tuned }, config: { userConfig: { value: 1 } } });

  test("a newer userConfig is given to the code and acknowledged", async () => {
    const started = await start();
    configure(started, 2, { userConfig: { value: 2 } });
    await started.reported("revision 2", ({ configRevision }) => configRevision === 2);
    expect(resultOf(await (await started.connect()).call("read"))).toEqual([1, 2]);
  });

  test("a change of something else is acknowledged without a reconfigure", async () => {
    const started = await start();
    configure(started, 2, { userConfig: { value: 1 }, maxConcurrentQueries: 3 });
    await started.reported("revision 2", ({ configRevision }) => configRevision === 2);
    expect(resultOf(await (await started.connect()).call("read"))).toEqual([1]);
  });

  test("an older or a known revision changes nothing", async () => {
    const started = await start();
    configure(started, 3, { userConfig: { value: 3 } });
    configure(started, 2, { userConfig: { value: 2 } });
    configure(started, 3, { userConfig: { value: 4 } });
    await started.reported("revision 3", ({ configRevision }) => configRevision === 3);
    expect(resultOf(await (await started.connect()).call("read"))).toEqual([1, 3]);
  });

  test("a reconfigure that throws is reported, and the replica serves on with what it had", async () => {
    const started = await start();
    configure(started, 2, { userConfig: { fail: "threshold too high" } });
    const report = await started.reported("the error", ({ error }) => error !== undefined);
    expect(report).toMatchObject({
      state: "ready",
      configRevision: 1,
      error: {
        code: "reconfigure-failed",
        message: expect.stringMatching(
          /^backend "b:v1": reconfigure\(\) threw: threshold too high \(\/.*replica\.test\.ts:\d+:\d+\)$/,
        ),
        details: { configRevision: 2 },
      },
    });
    expect(resultOf(await (await started.connect()).call("read"))).toEqual([1]);
    configure(started, 3, { userConfig: { value: 3 } });
    expect(await started.reported("revision 3", ({ configRevision }) => configRevision === 3)).toMatchObject({
      error: undefined,
    });
  });

  test("what comes while it starts is applied when it has started", async () => {
    const gate = Promise.withResolvers<void>();
    class Slow extends Tuned {
      start() {
        return gate.promise;
      }
    }
    const starting = lab.start({ exports: { default: Slow }, config: { userConfig: { value: 1 } } });
    const started = lab.latest();
    configure(started, 2, { userConfig: { value: 2 } });
    gate.resolve();
    await starting;
    await started.reported("revision 2", ({ configRevision }) => configRevision === 2);
    expect(resultOf(await (await started.connect()).call("read"))).toEqual([1, 2]);
  });

  test("batch sizes of the configuration count more than those in the code", async () => {
    const sizes: number[] = [];
    const predict = batch(
      (rows: number[]) => {
        sizes.push(rows.length);
        return rows;
      },
      { maxBatchSize: 4, batchWaitTimeoutMs: 10_000 },
    );
    const started = await lab.start({ exports: { predict }, code: { export: "*" }, config: { maxBatchSize: 2 } });
    const client = await started.connect();
    await Promise.all([client.call("predict", 1), client.call("predict", 2)]);
    configure(started, 2, { maxBatchSize: 1 });
    await started.reported("revision 2", ({ configRevision }) => configRevision === 2);
    await client.call("predict", 3);
    expect(sizes).toEqual([2, 1]);
  });
});

describe("health", () => {
  test.each([
    [
      "throws",
      () => {
        throw new Error("lost the GPU");
      },
    ],
    ["does not answer in time", never],
  ])("a checkHealth that %s makes the replica unhealthy, a good one healthy again", async (_what, bad) => {
    let isBad = true;
    let hanging = 0;
    const checkHealth = () => {
      if (!isBad) return undefined;
      hanging += 1;
      // The second answer of the one that hangs would never come.
      return bad === never ? new Promise<void>((resolve) => setTimeout(resolve, 30)) : bad();
    };
    const started = await lab.start({
      exports: { default: { call: () => "x", checkHealth } },
      config: { healthCheckIntervalMs: 5, healthCheckTimeoutMs: 10 },
    });
    await started.reported("unhealthy", ({ health }) => health === "unhealthy");
    expect(hanging).toBeGreaterThan(0);
    isBad = false;
    await started.reported("healthy", ({ health }) => health === "healthy");
    expect(textOf(await (await started.connect()).send(httpHead()).answer)).toBe("x");
  });
});

describe("drain", () => {
  test("open queries are finished, new ones refused, routers told, the code closed; then it ends with 0", async () => {
    const gate = Promise.withResolvers<string>();
    let closed = 0;
    const target = {
      call: () => gate.promise,
      close: async () => {
        closed += 1;
      },
    };
    const started = await lab.start({ exports: { default: target } });
    const client = await started.connect();
    const open = client.send(httpHead());
    await client.send(httpHead({ timeoutMs: 0 })).answer;
    started.link.events.onIntent?.({ kind: "drain", timeoutMs: 10_000 });
    await expect.poll(() => client.goAways).toEqual([2]);
    expect((await client.send(httpHead()).answer).refused).toBe("draining");
    expect(started.link.last?.state).toBe("draining");
    expect(closed).toBe(0);

    const late = started.connectAs(started.hello);
    await late.greeted;
    await expect.poll(() => late.goAways).toEqual([0]);

    gate.resolve("answered");
    expect(textOf(await open.answer)).toBe("answered");
    // It waits for its routers to go.
    expect(closed).toBe(0);
    client.close();
    late.close();
    expect(await started.exited).toBe(0);
    expect(closed).toBe(1);
  });

  test("a query for a method that is not there leaves nothing behind that a drain would wait for (defect 17 of the ancestor)", async () => {
    const started = await lab.start({ exports: { default: { call: () => 1, predict: () => 2 } } });
    const client = await started.connect();
    const { failure } = await client.call("predikt");
    expect(failure?.code).toBe("method-unknown");
    started.link.events.onIntent?.({ kind: "drain", timeoutMs: 600_000 });
    await expect.poll(() => client.goAways).toEqual([1]);
    client.close();
    expect(await started.exited).toBe(0);
  });

  test("it does not wait longer than it was told", async () => {
    const started = await lab.start({ exports: { default: never } });
    const client = await started.connect();
    client.send(httpHead());
    await client.send(httpHead({ timeoutMs: 0 })).answer;
    started.link.events.onIntent?.({ kind: "drain", timeoutMs: 20 });
    expect(await started.exited).toBe(0);
    await client.closed;
  });

  test("with nothing to do it still waits for late queries as long as its configuration says", async () => {
    const clock = new ManualClock();
    const config = { gracefulShutdownWaitLoopMs: 500 };
    const started = await lab.start({ exports: { default: () => 1 }, config, clock });
    let status: number | undefined;
    void started.exited.then((code) => {
      status = code;
    });
    void started.replica.drain(10_000);
    clock.advance(499);
    await new Promise((resolve) => setImmediate(resolve));
    expect([status, started.link.last?.state]).toEqual([undefined, "draining"]);
    clock.advance(1);
    expect(await started.exited).toBe(0);
  });

  test("a close() that throws or never ends does not keep it", async () => {
    for (const close of [
      never,
      () => {
        throw new Error("x");
      },
    ]) {
      const started = await lab.start({ exports: { default: { call() {}, close } } });
      await started.replica.drain(20);
      expect(await started.exited).toBe(0);
    }
  });

  test("an agent that does not know it ends it too", async () => {
    const started = await lab.start({ exports: { default: () => 1 } });
    started.link.events.onRefused?.("not to run here");
    expect(await started.exited).toBe(0);
  });

  test("a replica that has not started yet just ends", async () => {
    const starting = lab.start({ exports: never });
    const started = lab.latest();
    await started.replica.drain(1_000);
    expect(await started.exited).toBe(0);
    void starting;
  });

  test("waiting batches start at once", async () => {
    const predict = batch((rows: number[]) => rows, { maxBatchSize: 10, batchWaitTimeoutMs: 60_000 });
    const started = await lab.start({ exports: { predict }, code: { export: "*" } });
    const client = await started.connect();
    const open = client.call("predict", 1);
    await client.send(httpHead({ timeoutMs: 0 })).answer;
    void started.replica.drain(10_000);
    expect(resultOf(await open)).toBe(1);
  });
});

test("an exception outside any query ends it with 1, and the reason is reported", async () => {
  const started = await lab.start({ exports: { default: () => 1 } });
  await started.replica.crash(new Error("in a timer"));
  expect(await started.exited).toBe(1);
  expect(started.link.last?.error).toMatchObject({
    code: "handler-failed",
    message: expect.stringContaining("in a timer"),
  });
});
