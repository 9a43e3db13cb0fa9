import { describe, expect, it } from "vitest";
import { jsonOf, type RowSpec, rowOf, type Source, tableOf } from "./row.ts";

const spec: RowSpec = {
  name: "requests",
  unit: "µs",
  value: { side: "ours", reading: "cpu" },
  peer: { side: "theirs", reading: "cpu", name: "nginx" },
  must: { on: "ratio", atMost: 2 },
};
const measured =
  (ours: number | undefined, theirs: number | undefined) =>
  ({ side }: Source) =>
    side === "ours" ? ours : theirs;

describe("a row", () => {
  it("has eight fields in its line of JSON, with the ratio to its peer", () => {
    expect(JSON.parse(jsonOf(rowOf(spec, measured(30, 20))))).toEqual({
      row: "requests",
      value: 30,
      unit: "µs",
      peer: "nginx",
      peerValue: 20,
      ratio: 1.5,
      must: "ratio <= 2",
      holds: true,
    });
  });

  it("is undecided, not false, when its peer was not measured", () => {
    const row = JSON.parse(jsonOf(rowOf(spec, measured(30, undefined)))) as Record<string, unknown>;
    expect(row).toMatchObject({ value: 30, peerValue: null, ratio: null, must: "ratio <= 2", holds: null });
    expect(tableOf([rowOf(spec, measured(30, undefined))])).toMatch(/ratio <= 2 {2}\?$/);
  });

  it.each([
    [{ on: "ratio", atMost: 2 }, 41, 20, "ratio <= 2", false],
    [{ on: "ratio", atLeast: 0.5 }, 10, 20, "ratio >= 0.5", true],
    [{ on: "ratio", atLeast: 0.5 }, 9, 20, "ratio >= 0.5", false],
    [{ on: "added", atMost: 0.3 }, 1.2, 1, "value - peer's <= 0.3", true],
    [{ on: "added", atMost: 0.3 }, 1.4, 1, "value - peer's <= 0.3", false],
    [{ on: "value", atMost: 50 }, 51, undefined, "value <= 50", false],
  ] as const)("keeps %j: %d against %d", (must, ours, theirs, text, holds) => {
    expect(rowOf({ ...spec, must }, measured(ours, theirs))).toMatchObject({ must: text, holds });
  });

  it("without a bound neither holds nor fails", () => {
    const row = rowOf({ ...spec, must: { on: "none" } }, measured(30, 20));
    expect(row.must).toBeUndefined();
    expect(row.holds).toBeUndefined();
  });
});

describe("the table", () => {
  it("has a line for each row and says NO where one does not hold", () => {
    const lines = tableOf([rowOf(spec, measured(30_000, 20)), rowOf(spec, measured(30, 20))]).split("\n");
    expect(lines).toHaveLength(3);
    expect(lines[1]).toMatch(/^requests {2}30,000 +µs +nginx +20 +1500\.00 +ratio <= 2 +NO$/);
    expect(lines[2]).toMatch(/yes$/);
  });
});
