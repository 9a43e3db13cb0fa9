/** What user code may throw at import so that whoever asks it anything gets another exception, or nothing to print: one sentence all the same. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";

const UNPRINTABLE = "a value that cannot be printed was thrown.";
const HELPERS = `
const no = () => { throw new Error("asked too much"); };
const bad = (key: string) => Object.defineProperty(new Error("hidden"), key, { get: no });
const round = new Error("round");
round.cause = round;
`;

const THROWN: readonly (readonly [string, string])[] = [
  ["null", "null."],
  ["undefined", "undefined."],
  ["Symbol('s')", "Symbol(s)."],
  ["bad('message')", UNPRINTABLE],
  ["bad('stack')", "hidden."],
  ["bad('code')", "hidden."],
  // Node asks these two itself, and hands on what that throws.
  ["bad('name')", "asked too much."],
  ["new Proxy({}, { get: no, has: no, getPrototypeOf: no, ownKeys: no })", "asked too much."],
  ["Object.assign(new Error(), { message: {}, stack: Symbol(), code: 1, name: Symbol() })", "[object Object]."],
  ["new AggregateError([new Error('one'), 'two'])", "AggregateError: one; two."],
  ["new RangeError()", "RangeError."],
  ["round", "round."],
];

test("whatever a module throws is told in one sentence", () => {
  const folder = mkdtempSync(join(tmpdir(), "maitred-thrown-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const paths = THROWN.map(([thrown], index) => {
    const path = join(folder, `${index}.mts`);
    writeFileSync(path, `${HELPERS}throw ${thrown};`);
    return path;
  });
  // vitest imports modules in a way of its own.
  const script = `
    const { nodeModuleLoader } = await import(${JSON.stringify(new URL("module-loader.ts", import.meta.url).href)});
    const found = [];
    for (const path of ${JSON.stringify(paths)}) {
      found.push(await nodeModuleLoader().load(path).catch(({ code, message }) => ({ code, message })));
    }
    console.log(JSON.stringify(found));`;
  const output = execFileSync(process.execPath, ["--no-warnings", "--input-type=module", "--eval", script], {
    encoding: "utf8",
    timeout: 15_000,
  });
  const told = (JSON.parse(output) as readonly { code: string; message: string }[]).map(({ code, message }) => [
    code,
    /^module \S+\.mts(?::\d+)? threw while it was imported: (?<what>.*?) Mend /.exec(message)?.groups?.["what"] ??
      message,
  ]);
  expect(told).toEqual(THROWN.map(([, says]) => ["module-load-failed", says]));
});
