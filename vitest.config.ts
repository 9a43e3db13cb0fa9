import { defineConfig } from "vitest/config";
import { ClosingLine } from "./scripts/closing-line.ts";

export default defineConfig({
  test: {
    include: ["{src,tests,examples,scripts,chaos,bench}/**/*.test.ts"],
    // Tests start real processes and open real sockets: each file gets a process of its own.
    pool: "forks",
    maxWorkers: 2,
    // onnxruntime-node reports its use, and leaves files in the temporary folder, unless it is told not to.
    env: { ORT_DISABLE_TELEMETRY: "1" },
    testTimeout: 20_000,
    hookTimeout: 20_000,
    reporters: ["default", new ClosingLine()],
  },
});
