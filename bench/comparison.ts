/**
 * A comparison: sides that are measured in turns, row, peer, row, peer …, so that whatever else the machine does meets both; and the
 * rows that its readings make. After one round to warm up, each reading is the median over the rounds. A side whose tool is not
 * installed is left out, and its rows stay undecided.
 */
import { assert } from "../src/base/assert.ts";
import { median } from "./measure.ts";
import { type Row, type RowSpec, rowOf, type Source } from "./row.ts";
import type { Tool } from "./tools.ts";

/** What one side measured in one round, by name. */
export type Readings = Readonly<Record<string, number>>;

/** Measures one round. */
export type Side = () => Promise<Readings>;

/** How long this run may take for what. */
export interface Effort {
  readonly rounds: number;
  /** Of one side in one round. */
  readonly seconds: number;
  /** Backends and endpoints of an instance that counts as large. */
  readonly large: number;
  /** Backends that are created one after the other. */
  readonly created: number;
}

export interface Bench {
  readonly effort: Effort;
  /** A folder of this run, gone when it ends. */
  readonly folder: string;
  /** The run is being ended: nothing more is to be started. */
  readonly signal: AbortSignal;
  /** A line of progress. */
  readonly say: (text: string) => void;
}

export interface Opened {
  readonly sides: Readonly<Record<string, Side>>;
  close(): Promise<void>;
}

export interface Comparison {
  readonly group: "control" | "data" | "start";
  readonly rows: readonly RowSpec[];
  /** Sides that need a tool. */
  readonly needs?: Readonly<Record<string, Tool>> | undefined;
  /** Starts what is measured; `sides` names those that will be asked for. */
  open(bench: Bench, sides: ReadonlySet<string>): Promise<Opened>;
}

export const measureRows = async (
  comparison: Comparison,
  rows: readonly RowSpec[],
  bench: Bench,
): Promise<readonly Row[]> => {
  const sides = sidesOf(comparison, rows, bench);
  const readings = await measureSides(comparison, sides, bench);
  const medians = ({ side, reading }: Source): number | undefined => {
    if (!sides.has(side)) return undefined;
    const values = (readings.get(side) ?? []).map((one) => one[reading]).filter((value) => value !== undefined);
    assert(values.length === bench.effort.rounds, `side ${side} has a reading ${reading} in each round`);
    return median(values);
  };
  return rows.map((row) => rowOf(row, medians));
};

const sidesOf = ({ needs }: Comparison, rows: readonly RowSpec[], { say }: Bench): ReadonlySet<string> => {
  const sides = new Set(
    rows.flatMap(({ value, peer }) => (peer === undefined ? [value.side] : [value.side, peer.side])),
  );
  for (const side of sides) {
    const tool = needs?.[side];
    if (tool === undefined || tool.isInstalled()) continue;
    say(`${tool.name} is not installed, so the rows against it stay undecided. Install it: ${tool.install}`);
    sides.delete(side);
  }
  return sides;
};

const measureSides = async (
  comparison: Comparison,
  names: ReadonlySet<string>,
  bench: Bench,
): Promise<ReadonlyMap<string, readonly Readings[]>> => {
  const readings = new Map([...names].map((name) => [name, [] as Readings[]]));
  if (names.size === 0) return readings;
  const { rounds } = bench.effort;
  const { sides, close } = await comparison.open(bench, names);
  try {
    for (let round = 0; round <= rounds; round += 1) {
      for (const [name, measured] of readings) {
        bench.signal.throwIfAborted();
        const side = sides[name];
        assert(side !== undefined, `the comparison opens its side ${name}`);
        const reading = await side();
        bench.say(`${round === 0 ? "warming up" : `round ${round} of ${rounds}`}: ${name} ${shownOf(reading)}`);
        if (round > 0) measured.push(reading);
      }
    }
  } finally {
    await close();
  }
  return readings;
};

const shownOf = (readings: Readings): string =>
  Object.entries(readings)
    .map(([name, value]) => `${name} ${value.toPrecision(4)}`)
    .join(", ");
