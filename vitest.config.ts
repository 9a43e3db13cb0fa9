import { defineConfig } from "vitest/config";
import { ClosingLine } from "./scripts/closing-line.ts";

export default defineConfig({
  test: {
    include: ["{src,tests,examples,scripts}/**/*.test.ts"],
    // Tests start real processes and open real sockets: each file gets a process of its own.
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 20_000,
    hookTimeout: 20_000,
    reporters: ["default", new ClosingLine()],
  },
});
