import { describe, expect, it } from "vitest";
import { isSelected, readOptions } from "./options.ts";

describe("the command line of the bench", () => {
  it("runs everything in full, as a table, unless it is told otherwise", () => {
    const all = { kind: "run", output: "table", effort: "full", isStrict: false, selectors: [] };
    expect(readOptions([])).toEqual(all);
    expect(readOptions(["--json", "--quick", "--strict", "control", "nginx"])).toEqual({
      kind: "run",
      output: "json",
      effort: "quick",
      isStrict: true,
      selectors: ["control", "nginx"],
    });
  });

  it("names an option that there is not", () => {
    expect(readOptions(["--quik"])).toMatchObject({ kind: "wrong", message: expect.stringContaining("--quik") });
  });

  it("selects rows by group, by part of the name in any case, and all without a selector", () => {
    const row = { name: "10 MB request bodies" };
    expect(isSelected([], "data", row)).toBe(true);
    expect(isSelected(["data"], "data", row)).toBe(true);
    expect(isSelected(["control", "mb REQUEST"], "data", row)).toBe(true);
    expect(isSelected(["control"], "data", row)).toBe(false);
  });
});
