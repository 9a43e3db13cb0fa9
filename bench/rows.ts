/** One measured line: a value, the peer of the same run that it is held against, and the bound that it must keep, if there is one. */
export interface Row {
  readonly row: string;
  readonly value: number;
  readonly unit: string;
  readonly peer: string | undefined;
  readonly peerValue: number | undefined;
  /** value / peerValue. */
  readonly ratio: number | undefined;
  /** `<= 1500`: on the value. undefined: only to know where we stand. */
  readonly must: string | undefined;
  readonly holds: boolean | undefined;
}

export const rowOf = (
  about: Pick<Row, "row" | "value" | "unit">,
  held: { readonly peer?: { readonly name: string; readonly value: number }; readonly atMost?: number } = {},
): Row => ({
  ...about,
  peer: held.peer?.name,
  peerValue: held.peer?.value,
  ratio: held.peer === undefined ? undefined : about.value / held.peer.value,
  must: held.atMost === undefined ? undefined : `<= ${held.atMost}`,
  holds: held.atMost === undefined ? undefined : about.value <= held.atMost,
});

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
      row.holds === undefined ? "-" : row.holds ? "yes" : "NO",
    ]),
  ];
  const widths = cells[0]?.map((_, column) => Math.max(...cells.map((line) => line[column]?.length ?? 0))) ?? [];
  return cells
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
};

/** Three digits that count: 41,200 or 21.3. */
const shown = (value: number | undefined): string =>
  value === undefined ? "-" : value >= 1_000 ? Math.round(value).toLocaleString("en") : value.toPrecision(3);
