/**
 * `npm run bench`: where we stand. Results on stdout, each `--json` line as soon as it is measured; progress on stderr. Nothing here is a
 * test: numbers of one machine prove nothing on another. Everything that it starts carries its mark and is ended with it, also when it
 * is interrupted or nobody reads its output any more.
 */
import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { endMarked, MARK_VARIABLE } from "../tests/harness/processes.ts";
import { type Bench, type Comparison, measureRows } from "./comparison.ts";
import { EFFORTS, isSelected, type Options, readOptions, USAGE } from "./options.ts";
import { jsonOf, type Row, type RowSpec, tableOf } from "./row.ts";
import { COMPARISONS } from "./rows.ts";
import { programPath } from "./tools.ts";

type RunOptions = Extract<Options, { kind: "run" }>;

/** 128 + the number of the signal, as shells say it. */
const STATUS_OF_SIGNAL = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;

interface Selected {
  readonly comparison: Comparison;
  readonly rows: readonly RowSpec[];
}

const main = async (options: Options): Promise<number> => {
  if (options.kind === "help") return print(USAGE, 0);
  if (options.kind === "wrong") return complain(`${options.message}\n${USAGE}`);
  const selected = select(options.selectors);
  if (selected.length === 0) return complain(`No row is selected by ${options.selectors.join(" ")}; see --list.\n`);
  if (options.output === "names") return print(namesOf(selected), 0);
  return measure(selected, options);
};

const select = (selectors: readonly string[]): readonly Selected[] =>
  COMPARISONS.map((comparison) => ({
    comparison,
    rows: comparison.rows.filter((row) => isSelected(selectors, comparison.group, row)),
  })).filter(({ rows }) => rows.length > 0);

const namesOf = (selected: readonly Selected[]): string =>
  selected.flatMap(({ comparison, rows }) => rows.map(({ name }) => `${comparison.group}: ${name}\n`)).join("");

const measure = async (selected: readonly Selected[], options: RunOptions): Promise<number> => {
  const place = openPlace();
  try {
    const effort = EFFORTS[options.effort];
    if (programPath("wrk") === undefined) {
      say("wrk is not installed, our own load is used. Install it: apt-get install wrk");
    }
    const { rows, failures } = await measureAll(
      selected,
      { effort, folder: place.folder, signal: place.signal, say },
      options,
    );
    if (options.output === "table") print(`${tableOf(rows)}\n`, 0);
    if (failures > 0) say(`${failures} comparisons could not be measured`);
    return failures > 0 || (options.isStrict && rows.some(({ holds }) => holds === false)) ? 1 : 0;
  } finally {
    await place.close();
  }
};

const measureAll = async (selected: readonly Selected[], bench: Bench, { output }: RunOptions) => {
  const measured: Row[] = [];
  let failures = 0;
  for (const { comparison, rows } of selected) {
    if (bench.signal.aborted) break;
    bench.say(`── ${rows.map(({ name }) => name).join(" · ")}`);
    try {
      for (const row of await measureRows(comparison, rows, bench)) {
        measured.push(row);
        if (output === "json") print(`${jsonOf(row)}\n`, 0);
      }
    } catch (error) {
      failures += 1;
      bench.say(`could not be measured: ${error instanceof Error ? error.stack : String(error)}`);
    }
  }
  return { rows: measured, failures };
};

/** A folder and a mark of this run. Whoever ends the run early comes by here too. */
const openPlace = () => {
  // Whoever has given this process a mark finds by it what the bench has started.
  const { [MARK_VARIABLE]: mark = randomBytes(6).toString("hex") } = process.env;
  const folder = mkdtempSync(join(tmpdir(), "maitred-bench-"));
  const folders = { TMPDIR: "tmp", XDG_STATE_HOME: "state", MAITRED_RUN_ROOT: "run" } as const;
  for (const [variable, name] of Object.entries(folders)) {
    mkdirSync(join(folder, name), { mode: 0o700 });
    process.env[variable] = join(folder, name);
  }
  process.env[MARK_VARIABLE] = mark;
  // An instance that ends with the bench says on the terminal what an operator should know; a row is no operator.
  process.env["MAITRED_LOG_LEVEL"] ??= "error";
  const close = async (): Promise<void> => {
    await endMarked(mark);
    rmSync(folder, { recursive: true, force: true });
  };
  const over = new AbortController();
  const endEarly = (status: number): void => {
    if (over.signal.aborted) return;
    over.abort();
    const exit = (): never => process.exit(status);
    close().then(exit, exit);
  };
  for (const signal of ["SIGHUP", "SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => endEarly(STATUS_OF_SIGNAL[signal]));
  }
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", () => endEarly(1)); // nobody reads any more
  }
  return { folder, signal: over.signal, close };
};

const print = (text: string, status: number): number => {
  process.stdout.write(text);
  return status;
};

const complain = (text: string): number => {
  process.stderr.write(text);
  return 2;
};

const say = (text: string): void => {
  process.stderr.write(`${text}\n`);
};

process.exitCode = await main(readOptions(process.argv.slice(2)));
