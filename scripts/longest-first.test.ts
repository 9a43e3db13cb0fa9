import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { LONG_FILES, longestFirst } from "./longest-first.ts";

const repository = join(import.meta.dirname, "..");

test.each(LONG_FILES)("%s is there", (file) => {
  expect(existsSync(join(repository, file))).toBe(true);
});

test("long files come first, in the order of the list, and the others stay as they were", () => {
  const [first, second] = LONG_FILES.map((file) => `/checkout/${file}`);
  const files = ["/checkout/b.test.ts", second!, "/checkout/a.test.ts", first!];
  expect(longestFirst(files, (file) => file)).toEqual([first, second, "/checkout/b.test.ts", "/checkout/a.test.ts"]);
});
