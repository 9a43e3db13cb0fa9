/** Configuration of batches for code that declares none; a file of its own, because a declaration counts for the whole process. */
import { afterAll, afterEach, expect, test } from "vitest";
import { ReplicaLab } from "../../tests/harness/replica-lab.ts";
import { resolveBackendConfig } from "../model/backend-config.ts";

const lab = new ReplicaLab();
afterEach(() => lab.close());
afterAll(() => lab.remove());

test("code that declares no batch() does not start with a configuration of batches, and says which field to remove", async () => {
  class Model {
    predict() {}
  }
  const started = await lab.start({
    exports: { default: Model },
    config: { maxBatchSize: 4, batchWaitTimeoutMs: 5 },
  });
  expect(started.link.last).toMatchObject({
    state: "starting",
    error: {
      code: "config-invalid",
      message:
        'backend "b:v1": maxBatchSize is set, but the code declares no batch(). Remove maxBatchSize. batchWaitTimeoutMs is set, but the code declares no batch(). Remove batchWaitTimeoutMs.',
    },
  });
  expect(await started.exited).toBe(1);
});

test("a configuration of batches that comes while such code starts is refused when it has started, and is not acknowledged", async () => {
  const gate = Promise.withResolvers<void>();
  class Model {
    start() {
      return gate.promise;
    }
    predict() {}
  }
  const starting = lab.start({ exports: { default: Model } });
  const started = lab.latest();
  started.link.events.onConfigure?.(2, resolveBackendConfig({ maxBatchSize: 4 }));
  gate.resolve();
  await starting;
  expect(await started.reported("the refusal", ({ error }) => error !== undefined)).toMatchObject({
    state: "ready",
    configRevision: 1,
    error: {
      code: "config-invalid",
      message: 'backend "b:v1": maxBatchSize is set, but the code declares no batch(). Remove maxBatchSize.',
      details: { configRevision: 2 },
    },
  });
});
