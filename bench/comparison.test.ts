import { describe, expect, it } from "vitest";
import { type Bench, type Comparison, measureRows } from "./comparison.ts";
import type { RowSpec } from "./row.ts";
import type { Tool } from "./tools.ts";

const row = (peer: string): RowSpec => ({
  name: `against ${peer}`,
  unit: "ms",
  value: { side: "ours", reading: "ms" },
  peer: { side: peer, reading: "ms", name: peer },
  must: { on: "ratio", atMost: 2 },
});

const ABSENT: Tool = { name: "nobody", install: "apt-get install nobody", isInstalled: () => false };

/** A comparison whose sides answer 1, 2, 3 … and note when they are asked; "absent" needs a tool that is not there. */
const noting = () => {
  const asked: string[] = [];
  const opened: string[][] = [];
  let closed = 0;
  const side = (name: string) => async () => {
    asked.push(name);
    return { ms: asked.filter((it) => it === name).length };
  };
  const comparison: Comparison = {
    group: "data",
    rows: [row("peer"), row("absent")],
    needs: { absent: ABSENT },
    open: async (_bench, sides) => {
      opened.push([...sides]);
      return {
        sides: { ours: side("ours"), peer: side("peer") },
        close: async () => {
          closed += 1;
        },
      };
    },
  };
  return { comparison, asked, opened, closed: () => closed };
};

const benchOf = (rounds: number, end = new AbortController()) => {
  const said: string[] = [];
  const effort = { rounds, seconds: 0, large: 0, created: 0 };
  const bench: Bench = { effort, folder: "", signal: end.signal, say: (text) => said.push(text) };
  return { bench, said };
};

describe("a comparison", () => {
  it("measures its sides in turns, once to warm up, and takes the median of the rounds", async () => {
    const { comparison, asked, closed } = noting();
    const { bench } = benchOf(3);
    const rows = await measureRows(comparison, [row("peer")], bench);
    expect(asked.join(" ")).toBe("ours peer ours peer ours peer ours peer");
    // 1 was to warm up: the median of 2, 3 and 4.
    expect(rows).toEqual([expect.objectContaining({ value: 3, peerValue: 3, ratio: 1, holds: true })]);
    expect(closed()).toBe(1);
  });

  it("leaves out a side whose tool is not installed, says how to install it, and leaves its rows undecided", async () => {
    const { comparison, opened } = noting();
    const { bench, said } = benchOf(1);
    const rows = await measureRows(comparison, comparison.rows, bench);
    expect(opened).toEqual([["ours", "peer"]]);
    expect(rows.map(({ holds }) => holds)).toEqual([true, undefined]);
    expect(rows[1]).toMatchObject({ value: 2, peerValue: undefined, ratio: undefined });
    expect(said.join("\n")).toContain("apt-get install nobody");
  });

  it("is closed when a side cannot be measured, and when the run is ended", async () => {
    const broken = noting();
    const failing: Comparison = {
      ...broken.comparison,
      open: async (...args) => ({
        ...(await broken.comparison.open(...args)),
        sides: { ours: () => Promise.reject(new Error("broken")) },
      }),
    };
    await expect(measureRows(failing, [row("peer")], benchOf(1).bench)).rejects.toThrow("broken");
    expect(broken.closed()).toBe(1);

    const { comparison, asked, closed } = noting();
    const end = new AbortController();
    end.abort();
    await expect(measureRows(comparison, [row("peer")], benchOf(1, end).bench)).rejects.toThrow();
    expect([asked.length, closed()]).toEqual([0, 1]);
  });
});
