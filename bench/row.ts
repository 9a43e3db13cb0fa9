/**
 * A row: a measured value beside that of a peer measured in the same run, and the bound that it must keep. Pure: what is measured, and
 * how, is the comparison's (comparison.ts). A row whose peer cannot run here says neither that it holds nor that it does not.
 */
import { assertNever } from "../src/base/assert.ts";

/** Which reading of which side of the comparison. */
export interface Source {
  readonly side: string;
  readonly reading: string;
}

export type Limit = { readonly atMost: number } | { readonly atLeast: number };

/** `ratio`: of value / peer's · `added`: of value - peer's, in the row's unit · `value`: of the value alone · `none`: only to know. */
export type Bound =
  | ({ readonly on: "ratio" } & Limit)
  | ({ readonly on: "added" } & Limit)
  | ({ readonly on: "value" } & Limit)
  | { readonly on: "none" };

export interface RowSpec {
  readonly name: string;
  readonly unit: string;
  readonly value: Source;
  readonly peer?: (Source & { readonly name: string }) | undefined;
  readonly must: Bound;
}

/** One measured row; the line of `--json`, where what is absent is null. */
export interface Row {
  readonly row: string;
  readonly value: number | undefined;
  readonly unit: string;
  readonly peer: string | undefined;
  readonly peerValue: number | undefined;
  /** value / peerValue. */
  readonly ratio: number | undefined;
  readonly must: string | undefined;
  readonly holds: boolean | undefined;
}

export type Medians = (source: Source) => number | undefined;

export const rowOf = ({ name, unit, value: source, peer, must }: RowSpec, medians: Medians): Row => {
  const value = medians(source);
  const peerValue = peer === undefined ? undefined : medians(peer);
  const held = heldValue(must, value, peerValue);
  return {
    row: name,
    value,
    unit,
    peer: peer?.name,
    peerValue,
    ratio: quotient(value, peerValue),
    must: textOf(must),
    holds: must.on === "none" || held === undefined ? undefined : keeps(must, held),
  };
};

/** `{"row":…,"holds":null}`: every line has every field. */
export const jsonOf = (row: Row): string =>
  JSON.stringify(row, (_key, value: unknown) => (value === undefined ? null : value));

export const tableOf = (rows: readonly Row[]): string => {
  const cells = [
    ["row", "value", "unit", "peer", "peer's", "ratio", "must", "holds"],
    ...rows.map((row) => [
      row.row,
      shown(row.value),
      row.unit,
      row.peer ?? "-",
      shown(row.peerValue),
      row.ratio === undefined ? "-" : row.ratio.toFixed(2),
      row.must ?? "-",
      row.must === undefined ? "-" : row.holds === undefined ? "?" : row.holds ? "yes" : "NO",
    ]),
  ];
  const widths = cells[0]?.map((_, column) => Math.max(...cells.map((line) => line[column]?.length ?? 0))) ?? [];
  const padded = (line: readonly string[]) => line.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ");
  return cells.map((line) => padded(line).trimEnd()).join("\n");
};

const heldValue = (must: Bound, value: number | undefined, peerValue: number | undefined): number | undefined => {
  switch (must.on) {
    case "ratio":
      return quotient(value, peerValue);
    case "added":
      return value === undefined || peerValue === undefined ? undefined : value - peerValue;
    case "value":
    case "none":
      return value;
    default:
      return assertNever(must);
  }
};

const keeps = (limit: Limit, value: number): boolean =>
  "atMost" in limit ? value <= limit.atMost : value >= limit.atLeast;

const textOf = (must: Bound): string | undefined => {
  if (must.on === "none") return undefined;
  const what = must.on === "added" ? "value - peer's" : must.on;
  return "atMost" in must ? `${what} <= ${must.atMost}` : `${what} >= ${must.atLeast}`;
};

const quotient = (value: number | undefined, peerValue: number | undefined): number | undefined =>
  value === undefined || peerValue === undefined || peerValue === 0 ? undefined : value / peerValue;

/** Three digits that count: 41,200 or 21.3. */
const shown = (value: number | undefined): string =>
  value === undefined
    ? "-"
    : Math.abs(value) >= 1_000
      ? Math.round(value).toLocaleString("en")
      : String(Number(value.toPrecision(3)));
