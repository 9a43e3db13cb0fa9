/**
 * A vitest reporter that ends the output with one line that any machine reads: `12 passed, 0 failed, 1 skipped`.
 * It counts what ran, not what vitest planned: a test file that does not load and an error outside any test are
 * failures too. The line is written when the process exits, so that nothing can follow it.
 */
import { writeSync } from "node:fs";
import type { Reporter, SerializedError, TestModule } from "vitest/node";

export class ClosingLine implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly SerializedError[]): void {
    const line = closingLine(modules, unhandledErrors);
    process.once("exit", () => writeSync(1, `${line}\n`));
  }
}

export function closingLine(modules: readonly TestModule[], unhandledErrors: readonly SerializedError[]): string {
  const tests = modules.flatMap((module) => [...module.children.allTests()]);
  const count = (state: "passed" | "failed" | "skipped") =>
    tests.filter((test) => test.result().state === state).length;
  const suiteErrors = modules.flatMap((module) => [
    ...module.errors(),
    ...[...module.children.allSuites()].flatMap((suite) => suite.errors()),
  ]);
  const failed = count("failed") + suiteErrors.length + unhandledErrors.length;
  const skipped = count("skipped");
  return `${count("passed")} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`;
}
