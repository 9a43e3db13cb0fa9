/** Configuration of batches for code that declares none; a file of its own, because a declaration counts for the whole process. */
import { afterAll, afterEach, expect, test } from "vitest";
import { ReplicaLab } from "../../tests/harness/replica-lab.ts";

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
