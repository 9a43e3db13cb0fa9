/** Every defect of docs/ancestor-defects.md has a test that names it, and no test names one that is not there. */
import { globSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";

const numbersIn = (text: string, pattern: RegExp): number[] =>
  Array.from(text.matchAll(pattern), ([, number]) => Number(number));

test("each defect of the ancestor is named by a test", () => {
  const listed = numbersIn(readFileSync("docs/ancestor-defects.md", "utf8"), /^\| (\d+) \|/gm);
  expect(listed).toHaveLength(23);
  const named = globSync("{src,tests}/**/*.{test,contract}.ts").flatMap((file) =>
    numbersIn(readFileSync(file, "utf8"), /\(defect (\d+) of the ancestor\)"/g),
  );
  expect([...new Set(named)].sort((a, b) => a - b)).toEqual(listed);
});
