/** What Node itself says about files that it does not load, and what we make of it: real files, loaded by a real Node. */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { REFUSED_MODULES as CASES } from "../../tests/harness/refused-modules.ts";
import { exportNotFound, targetInvalid } from "./module-errors.ts";

interface Loaded {
  readonly code: string;
  readonly message: string;
}

let root: string;
let loaded: readonly Loaded[];

beforeAll(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), "maitred-modules-")));
  const paths = CASES.map((item, index) => {
    const folder = join(root, String(index));
    for (const [name, text] of Object.entries({ "package.json": '{ "type": "module" }', ...item.files })) {
      mkdirSync(dirname(join(folder, name)), { recursive: true });
      writeFileSync(join(folder, name), text);
    }
    return join(folder, item.load ?? "app.ts");
  });
  // vitest resolves and compiles by itself; what Node says only Node can tell.
  const loader = pathToFileURL(join(import.meta.dirname, "../adapters/module-loader.ts")).href;
  const script = `
    const { nodeModuleLoader } = await import(${JSON.stringify(loader)});
    const found = [];
    for (const path of ${JSON.stringify(paths)}) {
      found.push(await nodeModuleLoader().load(path).then(() => ({ code: "loaded" }), ({ code, message }) => ({ code, message })));
    }
    console.log(JSON.stringify(found));`;
  const output = execFileSync(process.execPath, ["--no-warnings", "--input-type=module", "--eval", script], {
    encoding: "utf8",
    timeout: 15_000,
  });
  loaded = JSON.parse(output) as Loaded[];
});

afterAll(() => rmSync(root, { recursive: true }));

describe("one sentence with a cure for", () => {
  test.each(CASES.map((item, index) => [item.name, item, index] as const))("%s", (_name, item, index) => {
    const { code, message } = loaded[index]!;
    expect({ code, message }).toMatchObject({ code: item.code, message: expect.stringMatching(/^module .*[.?]$/) });
    const [first, ...rest] = item.says;
    expect(message).toContain(`module ${root}/${index}/${first}`);
    for (const part of rest) expect(message).toContain(part);
    expect(message).not.toMatch(/\n| {4}at |node:internal/);
  });
});

test("an export that is not there is named together with those that are", () => {
  expect(exportNotFound({ file: "/srv/iris.ts", wanted: "Irsi", exports: ["Iris", "helper"] })).toEqual({
    code: "export-not-found",
    message: 'module /srv/iris.ts has no export "Irsi"; it exports "Iris", "helper". Did you mean "Iris"?',
  });
  expect(exportNotFound({ file: "/srv/iris.ts", wanted: "default", exports: [] }).message).toBe(
    "module /srv/iris.ts has no default export; it exports nothing.",
  );
});

test("an export that cannot be served is named with what it is", () => {
  expect(targetInvalid({ file: "/srv/iris.ts", export: "limit", got: "a number" }).message).toBe(
    'module /srv/iris.ts: export "limit" is a number. A backend is a function, a class, or an object with call(), fetch() or methods.',
  );
});
