/** The command line of the bench. */
import { parseArgs } from "node:util";
import type { Effort } from "./comparison.ts";
import type { RowSpec } from "./row.ts";

export const USAGE = `Usage: npm run bench -- [options] [control | data | start | part of a row's name] ...

Measures where maitred stands, each row beside a peer in the same run, median of five interleaved. Linux only.

  --json    one object a row on stdout: { row, value, unit, peer, peerValue, ratio, must, holds }
  --quick   one short round of each, of smaller instances: shows that it runs, proves nothing
  --strict  exit 1 when a row does not hold
  --list    names the rows and measures nothing
  --help    this text

Exit: 0 everything ran, 1 something could not be measured (with --strict: or does not hold), 2 usage.
`;

export type Options =
  | { readonly kind: "help" }
  | { readonly kind: "wrong"; readonly message: string }
  | {
      readonly kind: "run";
      readonly output: "json" | "table" | "names";
      readonly effort: "full" | "quick";
      readonly isStrict: boolean;
      /** Groups and parts of names; none: all rows. */
      readonly selectors: readonly string[];
    };

export const EFFORTS: Readonly<Record<"full" | "quick", Effort>> = {
  full: { rounds: 5, seconds: 2, large: 10_000, created: 1_000 },
  quick: { rounds: 1, seconds: 0.4, large: 500, created: 60 },
};

export const readOptions = (args: readonly string[]): Options => {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        json: { type: "boolean" },
        quick: { type: "boolean" },
        strict: { type: "boolean" },
        list: { type: "boolean" },
        help: { type: "boolean", short: "h" },
      },
    });
    if (values.help === true) return { kind: "help" };
    return {
      kind: "run",
      output: values.list === true ? "names" : values.json === true ? "json" : "table",
      effort: values.quick === true ? "quick" : "full",
      isStrict: values.strict === true,
      selectors: positionals,
    };
  } catch (error) {
    return { kind: "wrong", message: error instanceof Error ? error.message : String(error) };
  }
};

/** Whether one of the selectors means this row. */
export const isSelected = (selectors: readonly string[], group: string, { name }: Pick<RowSpec, "name">): boolean =>
  selectors.length === 0 ||
  selectors.some((selector) => selector === group || name.toLowerCase().includes(selector.toLowerCase()));
