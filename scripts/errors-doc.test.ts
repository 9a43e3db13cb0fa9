import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { ERROR_CODES } from "../src/model/error-codes.ts";
import { errorsDoc } from "./errors-doc.ts";

test("docs/errors.md is what `node scripts/errors-doc.ts --write` makes", () => {
  expect(readFileSync(new URL("../docs/errors.md", import.meta.url), "utf8")).toBe(errorsDoc());
});

test("every code has one row with its status and a sentence", () => {
  const rows = errorsDoc()
    .split("\n")
    .filter((line) => line.startsWith("| `"));
  expect(rows).toHaveLength(Object.keys(ERROR_CODES).length);
  for (const row of rows) expect(row).toMatch(/^\| `[a-z-]+` \| [45]\d\d \| (yes)? \| [A-Za-z].*\. \|$/);
});
