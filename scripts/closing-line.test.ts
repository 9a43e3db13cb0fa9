import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";

const repository = join(import.meta.dirname, "..");
let folder: string | undefined;

afterEach(() => {
  if (folder !== undefined) rmSync(folder, { recursive: true });
  folder = undefined;
});

/** A real vitest run over the given files; its exit status and the last line that it printed. */
function runVitest(files: Readonly<Record<string, string>>) {
  folder = mkdtempSync(join(tmpdir(), "maitred-closing-line-"));
  symlinkSync(join(repository, "node_modules"), join(folder, "node_modules"));
  const reporter = JSON.stringify(join(repository, "scripts/closing-line.ts"));
  const config = `import { ClosingLine } from ${reporter};
    export default { test: { reporters: ["default", new ClosingLine()] } };`;
  for (const [name, source] of Object.entries({ ...files, "vitest.config.ts": config })) {
    writeFileSync(join(folder, name), source);
  }
  const vitest = join(repository, "node_modules/vitest/vitest.mjs");
  const run = spawnSync(process.execPath, [vitest, "run"], { cwd: folder, encoding: "utf8", timeout: 15_000 });
  return { status: run.status, lastLine: run.stdout.trimEnd().split("\n").at(-1) };
}

test("the last line counts tests that passed, failed and were skipped", () => {
  const source = `import { expect, test } from "vitest";
    test("a", () => {}); test("b", () => expect(1).toBe(2)); test.skip("c", () => {}); test("d", () => {});`;
  expect(runVitest({ "a.test.ts": source })).toEqual({ status: 1, lastLine: "2 passed, 1 failed, 1 skipped" });
});

test("a file that does not load and an error outside any test count as failures", () => {
  const files = {
    "broken.test.ts": `import "./nowhere.ts";`,
    "stray.test.ts": `import { test } from "vitest"; test("a", () => { void Promise.reject(new Error("stray")); });`,
  };
  expect(runVitest(files)).toEqual({ status: 1, lastLine: "1 passed, 2 failed" });
});

test("a clean run says so", () => {
  const files = { "a.test.ts": `import { test } from "vitest"; test("a", () => {});` };
  expect(runVitest(files)).toEqual({ status: 0, lastLine: "1 passed, 0 failed" });
});
