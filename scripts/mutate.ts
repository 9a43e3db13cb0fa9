/**
 * `npm run mutate`: plants the mistakes of scripts/mutants.ts, one at a time, in a scratch copy of the repository, and runs the tests there
 * until the first fails. Prints by which test each was caught. Exit status 0: all were; 1: one survives, or the tests fail without any.
 * `npm run mutate -- fence` plants only those whose name holds the word; `--list` names them.
 */
import { type SpawnOptions, spawn } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { MUTANTS, type Mutant, mutated } from "./mutants.ts";

/** Where decisions are proven: the pure core, long poll, controller on a real store, and the simulator. */
const SUITES = ["src/core", "src/longpoll", "src/controller", "src/sim"];
const COPIED = ["src", "tests", "scripts", "package.json", "tsconfig.json", "vitest.config.ts", "examples", "bin"];

interface Report {
  readonly success: boolean;
  readonly numPassedTests: number;
  readonly testResults: readonly {
    readonly name: string;
    readonly message: string;
    readonly assertionResults: readonly { readonly status: string; readonly fullName: string }[];
  }[];
}

const USAGE = `usage: npm run mutate [-- [--list] [words of a mutant's name]]

  --list  names the mutants and plants none

  npm run mutate             plants every one; 3 minutes or more
  npm run mutate -- fence    plants those whose name holds the word

Exit status: 0 each was caught, 1 one survived, 2 usage.
`;

const main = async (args: readonly string[]): Promise<number> => {
  const asked = readOptions(args);
  if (typeof asked === "string") {
    console.error(`${asked}\n\n${USAGE}`);
    return 2;
  }
  if (asked.values.help === true) {
    console.log(USAGE);
    return 0;
  }
  const wanted = asked.positionals.join(" ");
  const mutants = MUTANTS.filter(({ name }) => name.includes(wanted));
  if (asked.values.list === true) {
    for (const { name, harm } of mutants) console.log(`${name}: ${harm}`);
    return 0;
  }
  if (mutants.length === 0) {
    console.error(`no mutant's name holds "${wanted}". See: npm run mutate -- --list`);
    return 2;
  }
  const copy = mkdtempSync(join(tmpdir(), "maitred-mutate-"));
  process.once("exit", () => rmSync(copy, { recursive: true, force: true }));
  for (const name of COPIED) cpSync(name, join(copy, name), { recursive: true });
  symlinkSync(resolve("node_modules"), join(copy, "node_modules"));
  return plantAll(copy, mutants);
};

const readOptions = (args: readonly string[]) => {
  try {
    const options = { list: { type: "boolean" }, help: { type: "boolean", short: "h" } } as const;
    return parseArgs({ args: [...args], allowPositionals: true, options });
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
};

const plantAll = async (copy: string, mutants: readonly Mutant[]): Promise<number> => {
  process.stderr.write("without a mutant …\n");
  const bare = catcherOf(await runTests(copy), copy);
  if (bare !== undefined) {
    console.error(`the tests fail without any mutant, so nothing can be said: ${bare}`);
    return 1;
  }
  let survivors = 0;
  for (const [index, mutant] of mutants.entries()) {
    process.stderr.write(`${index + 1} of ${mutants.length}: ${mutant.name} …\n`);
    const mend = plant(copy, mutant);
    const report = await runTests(copy);
    mend();
    const catcher = catcherOf(report, copy);
    if (catcher === undefined) survivors += 1;
    console.log(
      catcher === undefined
        ? `SURVIVES  ${mutant.name}: ${report.numPassedTests} tests passed with it. ${mutant.harm}.`
        : `caught    ${mutant.name}: by ${catcher}`,
    );
  }
  console.log(`${mutants.length - survivors} caught, ${survivors} survived`);
  return survivors === 0 ? 0 : 1;
};

/** Answers how to take it out again. */
const plant = (copy: string, { edits }: Mutant): (() => void) => {
  const files = new Map(
    edits.map(({ file }) => [join(copy, file), edits.filter((edit) => edit.file === file)] as const),
  );
  const sources = new Map([...files.keys()].map((path) => [path, readFileSync(path, "utf8")]));
  for (const [path, own] of files) writeFileSync(path, mutated(sources.get(path) ?? "", own));
  return () => {
    for (const [path, source] of sources) writeFileSync(path, source);
  };
};

const runTests = async (cwd: string): Promise<Report> => {
  const output = join(cwd, "report.json");
  const vitest = join(cwd, "node_modules/vitest/vitest.mjs");
  const args = [vitest, "run", "--bail=1", "--reporter=json", `--outputFile=${output}`, ...SUITES];
  await ended(process.execPath, args, { cwd, stdio: "ignore" });
  return JSON.parse(readFileSync(output, "utf8")) as Report;
};

const ended = (command: string, args: readonly string[], options: SpawnOptions): Promise<void> =>
  new Promise((done, failed) => {
    const child = spawn(command, args, options);
    const end = () => child.kill("SIGTERM");
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, end);
    child.once("error", failed);
    child.once("exit", (status, signal) => {
      for (const it of ["SIGINT", "SIGTERM"] as const) process.removeListener(it, end);
      if (signal === null && status !== null) done();
      else failed(new Error(`the tests were ended by ${signal}`));
    });
  });

/** `file: name of the test`; of a file that does not even load, its message. */
const catcherOf = (report: Report, copy: string): string | undefined => {
  for (const { name, message, assertionResults } of report.testResults) {
    const file = name.slice(copy.length + 1);
    const failed = assertionResults.find(({ status }) => status === "failed");
    if (failed !== undefined) return `${file}: ${failed.fullName}`;
    if (message !== "") throw new Error(`${file} cannot be loaded with the mutant in place: ${message}`);
  }
  return undefined;
};

main(process.argv.slice(2)).then(
  (status) => process.exit(status),
  (error: unknown) => {
    console.error(String(error));
    process.exit(1);
  },
);
