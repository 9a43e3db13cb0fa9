import { expect, test } from "vitest";
import { declaresBatches, installCallerFactory, processRecord, setBatchOverrides } from "./process-record.ts";

test("two copies of the package in one process share one record, made on first use", async () => {
  const key = Symbol.for("maitred/1");
  expect(key in globalThis).toBe(false);
  expect(declaresBatches()).toBe(false);
  const specifier = "./process-record.ts?copy=2";
  const other: typeof import("./process-record.ts") = await import(/* @vite-ignore */ specifier);
  expect(other.processRecord).not.toBe(processRecord);
  expect(other.processRecord()).toBe(processRecord());

  const factory = () => {
    throw new Error("not called here");
  };
  other.installCallerFactory(factory);
  expect(processRecord().callerFactory).toBe(factory);
  installCallerFactory(undefined);
  setBatchOverrides({ maxBatchSize: 4, batchWaitTimeoutMs: undefined });
  expect(other.processRecord().batchOverrides.maxBatchSize).toBe(4);
});
