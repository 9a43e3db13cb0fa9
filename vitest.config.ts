import { defineConfig } from "vitest/config";
import { ClosingLine } from "./scripts/closing-line.ts";
import { LongestFirst } from "./scripts/longest-first.ts";

export default defineConfig({
  test: {
    include: ["{src,tests,examples,scripts,chaos,bench}/**/*.test.ts"],
    // Tests start real processes and open real sockets: each file gets a process of its own.
    pool: "forks",
    // Most of them wait for processes most of the time: three at once keep two cores busy, and no more than that.
    maxWorkers: 3,
    sequence: { sequencer: LongestFirst },
    // onnxruntime-node reports its use, and leaves files in the temporary folder, unless it is told not to.
    env: { ORT_DISABLE_TELEMETRY: "1" },
    testTimeout: 20_000,
    hookTimeout: 20_000,
    reporters: ["default", new ClosingLine()],
  },
});
