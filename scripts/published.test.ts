/** What `npm pack` would publish, unpacked into an app of its own, far from the checkout. */
import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { publint } from "publint";
import { formatMessage } from "publint/utils";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { expectRefusal, spawnNode } from "../tests/harness/command.ts";
import { START_DEADLINE_MS, useLab } from "../tests/harness/lab.ts";
import { waitFor } from "../tests/harness/wait-for.ts";
import { checkoutExports, publishedExports } from "./exports.ts";

const repository = join(import.meta.dirname, "..");
const checkedOutManifest = readFileSync(join(repository, "package.json"), "utf8");
let folder: string;
let app: string;
let installed: string;
const lab = useLab("file");

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "maitred-published-"));
  const checkout = join(folder, "checkout");
  for (const name of ["package.json", "tsconfig.json", "tsconfig.build.json", "bin", "scripts", "src", "LICENSE"]) {
    cpSync(join(repository, name), join(checkout, name), { recursive: true });
  }
  symlinkSync(join(repository, "node_modules"), join(checkout, "node_modules"));
  execFileSync("npm", ["pack", "--pack-destination", folder], { cwd: checkout, stdio: "pipe" });
  const manifest = JSON.parse(checkedOutManifest);
  execFileSync("tar", ["-xzf", `maitred-${manifest.version}.tgz`], { cwd: folder });
  expect(readFileSync(join(checkout, "package.json"), "utf8")).toBe(checkedOutManifest);

  app = join(folder, "app");
  installed = join(app, "node_modules/maitred");
  mkdirSync(dirname(installed), { recursive: true });
  cpSync(join(folder, "package"), installed, { recursive: true });
  for (const dependency of Object.keys(manifest.dependencies)) {
    const link = join(app, "node_modules", dependency);
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(join(repository, "node_modules", dependency), link);
  }
}, 60_000);

afterAll(() => rmSync(folder, { recursive: true }));

test("it holds JavaScript with declarations and no tests or sources", () => {
  expect(existsSync(join(installed, "dist/index.js"))).toBe(true);
  expect(existsSync(join(installed, "dist/index.d.ts"))).toBe(true);
  expect(existsSync(join(installed, "src"))).toBe(false);
  const dist = execFileSync("find", [join(installed, "dist"), "-name", "*.test.*"], { encoding: "utf8" });
  expect(dist).toBe("");
});

test("publint finds nothing wrong with it", async () => {
  const { messages, pkg } = await publint({ pkgDir: installed, pack: false });
  expect(messages.map((message) => formatMessage(message, pkg ?? {}))).toEqual([]);
});

test.each([
  ["maitred", () => import("maitred")],
  ["maitred/testing", () => import("maitred/testing")],
] as const)("an app imports the same names from %s as from the checkout", async (name, load) => {
  const program = `import * as module from "${name}"; console.log(JSON.stringify(Object.keys(module)));`;
  writeFileSync(join(app, "names.mjs"), program);
  const names = JSON.parse(execFileSync(process.execPath, ["names.mjs"], { cwd: app, encoding: "utf8" }));
  expect(names.toSorted()).toEqual(Object.keys(await load()).toSorted());
  expect(names).not.toEqual([]);
});

test("a user's unit test serves code in its own process", () => {
  writeFileSync(join(app, "package.json"), `{ "type": "module" }`);
  writeFileSync(
    join(app, "unit.test.ts"),
    `import assert from "node:assert/strict";
     import { test } from "node:test";
     import { batch, HttpError } from "maitred";
     import { localHandle, startLocal } from "maitred/testing";
     class Pairs {
       add = batch(async (items: number[]) => items.map((item) => item + items.length), { maxBatchSize: 2, batchWaitTimeoutMs: 1_000 });
       refuse() { throw new HttpError(409, "full"); }
     }
     test("a handle", async () => {
       const pairs = localHandle(new Pairs());
       assert.deepEqual(await Promise.all([pairs.add(1), pairs.add(2)]), [3, 4]);
       await assert.rejects(pairs.refuse(), (error) => error instanceof HttpError && error.status === 409);
     });
     test("HTTP", async () => {
       await using app = await startLocal(() => "hello");
       assert.equal(await (await fetch(app.url)).text(), "hello");
     });`,
  );
  const run = spawnSync(process.execPath, ["--test", "unit.test.ts"], { cwd: app, encoding: "utf8" });
  expect(run.stdout).toMatch(/pass 2\n.*fail 0\n/s);
  const tsc = join(repository, "node_modules/.bin/tsc");
  const flags = ["--noEmit", "--strict", "--exactOptionalPropertyTypes", "--module", "nodenext", "--target", "esnext"];
  const types = ["--types", "node", "--typeRoots", join(repository, "node_modules/@types")];
  expect(spawnSync(tsc, [...flags, ...types, "unit.test.ts"], { cwd: app, encoding: "utf8" }).stdout).toBe("");
});

test("its types compile in a user's strictest program, and say no where they should", () => {
  writeFileSync(join(app, "package.json"), `{ "type": "module" }`);
  writeFileSync(
    join(app, "hello.ts"),
    `import { defineApp, type ServeRequest } from "maitred";
     const hello = (request: ServeRequest) => request.query.get("name") ?? "world";
     export default defineApp({ backends: { hello: { run: hello } }, endpoints: { hello: { backend: "hello" } } });
     // @ts-expect-error a request has no such member
     export const wrong = (request: ServeRequest) => request.nothing;`,
  );
  const tsc = join(repository, "node_modules/.bin/tsc");
  const flags = ["--noEmit", "--strict", "--exactOptionalPropertyTypes", "--module", "nodenext", "--target", "esnext"];
  const types = ["--types", "node", "--typeRoots", join(repository, "node_modules/@types")];
  const run = spawnSync(tsc, [...flags, ...types, "hello.ts"], { cwd: app, encoding: "utf8" });
  expect(run.stdout).toBe("");
});

test("its command starts", () => {
  const command = join(installed, "bin/maitred.js");
  const output = execFileSync(process.execPath, [command, "--version"], { cwd: app, encoding: "utf8" });
  expect(output.trim()).toBe(JSON.parse(checkedOutManifest).version);
});

describe("the first program of README.md", () => {
  const readme = readFileSync(join(repository, "README.md"), "utf8");
  const program = /```ts\n(\/\/ hello\.ts\n.*?)```/s.exec(readme)?.[1] ?? "";
  const run = (manifest: string) => {
    writeFileSync(join(app, "package.json"), manifest);
    writeFileSync(join(app, "hello.ts"), program);
    const command = join(installed, "bin/maitred.js");
    return spawnNode([command, "run", "./hello.ts", "--port", "0", "--instance", lab().name("readme")], { cwd: app });
  };

  test.each([`{ "type": "module" }`, "{}"])(
    "is served from a project whose package.json is %s",
    async (manifest) => {
      const command = run(manifest);
      const url = await waitFor(
        "it says where it answers",
        () => /http:\/\/127\.0\.0\.1:\d+/.exec(command.stdout())?.[0],
        START_DEADLINE_MS,
      );
      expect(await (await fetch(`${url}/?name=Ada`)).text()).toBe("Hello, Ada!");
      command.kill("SIGINT");
      expect(await command.ended()).toMatchObject({ status: 0 });
    },
    40_000,
  );

  test("is refused where package.json says CommonJS, as `npm init` writes it, with the cure", async () => {
    const sentence = expectRefusal(await run(`{ "type": "commonjs" }`).ended(), { status: 1, code: "module-syntax" });
    expect(sentence).toContain("npm pkg set type=module");
  }, 40_000);
});

test("in a checkout `maitred` leads to the sources, and publishing changes nothing that cannot be changed back", () => {
  const { exports } = JSON.parse(checkedOutManifest);
  expect([exports["."], exports["./testing"]]).toEqual(["./src/index.ts", "./src/main/testing.ts"]);
  const published = publishedExports(exports);
  expect(published["."]).toEqual({ types: "./dist/index.d.ts", default: "./dist/index.js" });
  expect(published["./package.json"]).toBe("./package.json");
  expect(publishedExports(published)).toEqual(published);
  expect(checkoutExports(published)).toEqual(exports);
  expect(checkoutExports(exports)).toEqual(exports);
});
