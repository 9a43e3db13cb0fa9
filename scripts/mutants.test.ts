/** The mutants of scripts/mutants.ts can still be planted: their places exist, and what comes out is a program. */
import { readFileSync } from "node:fs";
import { parseSync } from "oxc-parser";
import { describe, expect, test } from "vitest";
import { MUTANTS, mutated } from "./mutants.ts";

describe.each(MUTANTS)("the mutant $name", ({ edits }) => {
  test.each([...new Set(edits.map(({ file }) => file))])("has its place in %s", (file) => {
    const source = readFileSync(file, "utf8");
    const mutant = mutated(
      source,
      edits.filter((edit) => edit.file === file),
    );
    expect(mutant).not.toBe(source);
    expect(parseSync(file, mutant).errors).toEqual([]);
  });
});
