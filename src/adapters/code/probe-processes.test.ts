/** Probes as real processes: what the digest of code depends on, what is found in it, and how probes end. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, utimesSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { CodeFolder } from "../../../tests/harness/code-folder.ts";
import { isAlive } from "../../../tests/harness/processes.ts";
import { waitFor } from "../../../tests/harness/wait-for.ts";
import type { BackendConfigInput } from "../../model/backend-config.ts";
import type { CodeRef } from "../../model/code-ref.ts";
import type { ProbeAnswer, ProbeOrder } from "../../model/probe.ts";
import { entries } from "../entries.ts";
import { probeProcesses } from "./probe-processes.ts";

const stateDir = mkdtempSync(join(tmpdir(), "maitred-state-"));
const probes = probeProcesses({
  ...{ entries: entries(), stateDir, cwd: process.cwd(), execArgv: [] },
  ...{ output: "nowhere", session: "own" },
});
const folders: CodeFolder[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) folder.remove();
});
afterAll(() => rmSync(stateDir, { recursive: true }));

const code = (files: Readonly<Record<string, string>>): CodeFolder => {
  const folder = new CodeFolder(files);
  folders.push(folder);
  return folder;
};

const look = (
  module: string,
  { timeoutMs = 20_000, targets = ["default"], keep = "nothing", config = {} }: Partial<Look> = {},
): Promise<ProbeAnswer> => {
  const { nodeArgs = [], env = {}, envFile, cwd } = config;
  const refs = targets.map((name): CodeRef => ({ kind: "export", module, export: name, args: [] }));
  return probes.probe({ module, targets: refs, runtime: { nodeArgs, env, envFile, cwd }, timeoutMs, keep });
};

interface Look {
  readonly timeoutMs: number;
  readonly targets: readonly string[];
  readonly keep: ProbeOrder["keep"];
  readonly config: BackendConfigInput;
}

const digestOf = async (module: string, how?: Partial<Look>): Promise<string> => {
  const answer = await look(module, how);
  if (answer.kind === "failed") throw new Error(answer.error.message);
  return answer.code.files;
};

const offersOf = async (module: string, targets: readonly string[]) => {
  const answer = await look(module, { targets });
  return answer.kind === "failed" ? answer.error : answer.targets;
};

const APP = {
  "package.json": '{ "type": "module", "imports": { "#names": "./lib/names.ts" } }',
  "app.ts": 'import { greet } from "./lib/greet.ts";\nexport default (): string => greet();',
  "lib/greet.ts":
    'import names from "./names.json" with { type: "json" };\nexport const greet = (): string => names[0]!;',
  "lib/names.json": '["Ada"]',
};

describe("the digest", () => {
  test("stays when files are touched, others come and go, or the folder moves; its own files and the lock file change it", async () => {
    const folder = code(APP);
    const digest = await digestOf(folder.url("app.ts"));
    utimesSync(join(folder.path, "lib/greet.ts"), 1, 1);
    folder.write({ "README.md": "read me", "lib/unused.ts": "export {};", "package.json": '{ "type": "module" }' });
    folder.moveTo(`${folder.path}-moved`);
    expect(await digestOf(folder.url("app.ts"))).toBe(digest);

    folder.write({ "lib/names.json": '["Grace"]' });
    const deeper = await digestOf(folder.url("app.ts"));
    folder.write({ "lib/names.json": '["Ada"]', "yarn.lock": "left-pad@1" });
    const locked = await digestOf(folder.url("app.ts"));
    expect(new Set([digest, deeper, locked]).size).toBe(3);
    folder.remove("yarn.lock");
    expect(await digestOf(folder.url("app.ts"))).toBe(digest);
  }, 60_000);

  test("covers imports that nobody awaits, linked packages, and not what lies in node_modules", async () => {
    const folder = code({
      ...APP,
      "app.ts":
        'import "packaged"; import { linked } from "linked"; void import("./later.ts"); export default () => linked;',
      "later.ts": "export default 1;",
      "packages/linked/index.js": "export const linked = 1;",
      "packages/linked/package.json": '{ "type": "module", "exports": "./index.js" }',
      "node_modules/packaged/index.js": "export default 1;",
      "node_modules/packaged/package.json": '{ "type": "module", "exports": "./index.js" }',
    });
    symlinkSync("../packages/linked", join(folder.path, "node_modules/linked"));
    const digest = await digestOf(folder.url("app.ts"));
    folder.write({ "node_modules/packaged/index.js": "export default 2;" });
    expect(await digestOf(folder.url("app.ts"))).toBe(digest);
    folder.write({ "later.ts": "export default 2;" });
    const later = await digestOf(folder.url("app.ts"));
    folder.write({ "later.ts": "export default 1;", "packages/linked/index.js": "export const linked = 2;" });
    expect(new Set([digest, later, await digestOf(folder.url("app.ts"))]).size).toBe(3);
  }, 60_000);

  test("covers what CommonJS requires, by Node and by tsx, and is the same with both", async () => {
    const folder = code({
      "package.json": "{}",
      "app.cjs": 'const { greet } = require("./lib"); module.exports = () => greet + require("./names.json")[0];',
      "lib/index.js": 'exports.greet = require("./word.js");',
      "lib/word.js": 'module.exports = "hello";',
      "names.json": '["Ada"]',
    });
    const digests = new Set<string>();
    for (const word of ["hello", "good day"]) {
      folder.write({ "lib/word.js": `module.exports = "${word}";` });
      const tsx = { config: { nodeArgs: ["--import", "tsx"] } };
      const [byNode, byTsx] = [await digestOf(folder.url("app.cjs")), await digestOf(folder.url("app.cjs"), tsx)];
      expect(byTsx).toBe(byNode);
      digests.add(byNode);
    }
    expect(digests.size).toBe(2);
  }, 60_000);

  test("is that of the place where a link leads", async () => {
    const folder = code({ "1/app.js": "export default () => 1;", "package.json": '{ "type": "module" }' });
    symlinkSync("1", join(folder.path, "current"));
    const answer = await look(folder.url("current/app.js"));
    expect(answer).toMatchObject({ kind: "loaded", code: { entry: folder.url("1/app.js") } });
    expect(await digestOf(folder.url("1/app.js"))).toBe(answer.kind === "loaded" && answer.code.files);
  }, 60_000);
});

describe("what is found", () => {
  test("functions and objects show all they have, classes their prototype, and nothing is constructed", async () => {
    const folder = code({
      "package.json": '{ "type": "module" }',
      "app.ts": `
        class Base { predict() {} }
        export class Model extends Base {
          constructor() { super(); throw new Error("constructed"); }
          call() {}
          reconfigure(config: unknown) { void config; }
        }
        export const fetcher = { fetch: () => new Response("hi") };
        export default () => "hello";
        export const number = 4;
        export const promised = Promise.resolve(() => 1);
      `,
    });
    const no = { batches: "no", reconfigures: "no" };
    expect(
      await offersOf(folder.url("app.ts"), ["default", "fetcher", "Model", "number", "promised", "Modell"]),
    ).toEqual([
      { kind: "possible", offers: { door: "function", methods: [], ...no } },
      { kind: "possible", offers: { door: "fetch", methods: [], ...no } },
      { kind: "possible", offers: { door: "call", methods: ["predict"], ...no, reconfigures: "yes" } },
      { kind: "impossible", error: expect.objectContaining({ code: "target-invalid" }) },
      { kind: "impossible", error: expect.objectContaining({ code: "target-invalid" }) },
      {
        kind: "impossible",
        error: expect.objectContaining({ code: "export-not-found", message: expect.stringMatching(/"Model"\?/) }),
      },
    ]);
  }, 60_000);

  test("what a constructor may add is possible as soon as any file names it", async () => {
    const folder = code({
      "package.json": '{ "type": "module" }',
      "app.ts":
        'import { mixin } from "./mixin.ts";\nexport default class { constructor() { Object.assign(this, mixin); } call() {} }',
      "mixin.ts": "export const mixin = { reconfigure() {}, predict: (batch: number[]) => batch };",
    });
    expect(await offersOf(folder.url("app.ts"), ["default"])).toMatchObject([
      { offers: { batches: "maybe", reconfigures: "maybe" } },
    ]);
  }, 60_000);

  test("a batch() can only come of a constructor, of start() or of reconfigure(): a function has all it will have", async () => {
    const folder = code({
      "package.json": '{ "type": "module" }',
      "app.ts": `
        // Whoever wants batches: predict = batch(...)
        export default () => "hello";
        export const plain = { call() {} };
        export const started = { start() {}, call() {} };
        export class Model { call() {} }
      `,
    });
    expect(await offersOf(folder.url("app.ts"), ["default", "plain", "started", "Model"])).toMatchObject([
      { offers: { batches: "no" } },
      { offers: { batches: "no" } },
      { offers: { batches: "maybe" } },
      { offers: { batches: "maybe" } },
    ]);
  }, 60_000);

  test("environment, envFile, folder and Node's arguments are those of a replica", async () => {
    const folder = code({
      "package.json": '{ "type": "module" }',
      "app.ts":
        "const { FROM_FILE, FROM_BOTH } = process.env; throw new Error([FROM_FILE, FROM_BOTH, process.cwd(), process.title].join());",
    });
    folder.write({ ".env": "FROM_FILE=file\nFROM_BOTH=file\n" });
    const config = {
      envFile: join(folder.path, ".env"),
      env: { FROM_BOTH: "env" },
      cwd: folder.path,
      nodeArgs: ["--title=probed"],
    };
    expect(await look(folder.url("app.ts"), { config })).toMatchObject({
      kind: "failed",
      error: { code: "module-load-failed", message: expect.stringContaining(`file,env,${folder.path},probed`) },
    });
  }, 60_000);

  test("surroundings in which nothing can start are told by their field, their value and the cure", async () => {
    const folder = code({ "package.json": '{ "type": "module" }', "app.ts": "export default () => 1;" });
    const file = join(folder.path, "app.ts");
    const gone = join(folder.path, "gone");
    const BAD: readonly (readonly [BackendConfigInput, string])[] = [
      [{ cwd: gone }, `cwd ${gone} does not exist. Create the folder, or set cwd to one that exists.`],
      [{ cwd: file }, `cwd ${file} is not a folder. Set cwd to one.`],
      [
        { envFile: gone },
        `envFile ${gone} cannot be read: ENOENT: no such file or directory, open '${gone}'. Mend the file, or set envFile to another one.`,
      ],
      [
        { nodeArgs: ["--bogus-flag"] },
        'Node ended (exit 9) before it imported anything; nodeArgs is ["--bogus-flag"]. Correct nodeArgs, or NODE_OPTIONS in env.',
      ],
      [
        { nodeArgs: ["--import", gone] },
        `Node ended (exit 1) before it imported anything; nodeArgs is ["--import","${gone}"]. Correct nodeArgs, or NODE_OPTIONS in env.`,
      ],
    ];
    for (const [config, says] of BAD) {
      expect(await look(folder.url("app.ts"), { config })).toMatchObject({
        kind: "failed",
        error: { code: "config-invalid", message: `module ${file} was not loaded: ${says}` },
      });
    }
  }, 60_000);
});

describe("a probe", () => {
  test("keeps code before it answers, and none that is too large", async () => {
    const folder = code({ "app.js": "export default () => 1;", "package.json": '{ "type": "module" }' });
    const before = existsSync(join(stateDir, "code")) ? readdirSync(join(stateDir, "code")).length : 0;
    const answer = await look(folder.url("app.js"), { keep: "code" });
    expect(answer).toMatchObject({ kind: "loaded" });
    expect(readdirSync(join(stateDir, "code"))).toHaveLength(before + 1);
    folder.write({
      "app.js": 'import data from "./data.json" with { type: "json" }; export default () => data.length;',
      "data.json": JSON.stringify("x".repeat(33_000_000)),
    });
    expect(await look(folder.url("app.js"), { keep: "code" })).toMatchObject({
      kind: "failed",
      error: { code: "code-too-large", message: expect.stringMatching(/loads code of 33\d{6} bytes/) },
    });
    expect(readdirSync(join(stateDir, "code"))).toHaveLength(before + 1);
  }, 60_000);

  test("ends with all that the code has started, whether it answers or not", async () => {
    const leaves = `
      import { spawn } from "node:child_process";
      import { writeFileSync } from "node:fs";
      const { pid } = spawn("sleep", ["617"], { stdio: "ignore" });
      writeFileSync(new URL("pid", import.meta.url), String(pid));
    `;
    const ends: readonly (readonly [string, RegExp | undefined])[] = [
      ["export default () => 1;", undefined],
      ["process.exit(3);", /its import ended the process \(exit 3\)\. Import must end by itself/],
      ["for (;;);", /its import did not end within 2 s/],
      ["await new Promise((resolve) => setTimeout(resolve, 600_000));", /its import did not end within 2 s/],
      ["process.kill(process.pid, 'SIGSEGV'); await 0;", /ended the process|did not end/],
    ];
    for (const [then, says] of ends) {
      const folder = code({ "package.json": '{ "type": "module" }', "app.ts": `${leaves}\n${then}` });
      const answer = await look(folder.url("app.ts"), { timeoutMs: 2_000 });
      if (says === undefined) expect(answer).toMatchObject({ kind: "loaded" });
      else
        expect(answer).toMatchObject({
          kind: "failed",
          error: { code: "module-load-failed", message: expect.stringMatching(says) },
        });
      const pid = Number(readFileSync(join(folder.path, "pid"), "utf8"));
      await waitFor(`the process that "${then}" has left is gone`, () => !isAlive(pid), 5_000);
    }
  }, 60_000);

  test("may take longer than a timer of Node's can count", async () => {
    const folder = code({ "package.json": '{ "type": "module" }', "app.ts": "export default () => 1;" });
    expect(await look(folder.url("app.ts"), { timeoutMs: 3_000_000_000 })).toMatchObject({ kind: "loaded" });
  }, 60_000);

  test("tells an await at top level that nothing settles from an import that ends the process", async () => {
    const folder = code({
      "package.json": '{ "type": "module" }',
      "app.ts": 'import "./deep.ts";\nexport default () => 1;',
      "deep.ts": "await new Promise(() => {});",
    });
    const failed = (message: RegExp) => ({
      kind: "failed",
      error: { code: "module-load-failed", message: expect.stringMatching(message) },
    });
    expect(await look(folder.url("app.ts"))).toMatchObject(
      failed(/app\.ts: its import never ends: an `await` at its top level, or of a module that it imports, waits/),
    );
    folder.write({ "deep.ts": "process.exit(0);" });
    expect(await look(folder.url("app.ts"))).toMatchObject(failed(/its import ended the process \(exit 0\)\./));
  }, 60_000);

  test("says what threw after its import had begun it", async () => {
    const folder = code({
      "package.json": '{ "type": "module" }',
      "app.ts":
        'setTimeout(() => { throw new Error("too late"); }, 10);\nawait new Promise((resolve) => setTimeout(resolve, 5_000));',
    });
    expect(await look(folder.url("app.ts"))).toMatchObject({
      error: {
        code: "module-load-failed",
        message: expect.stringMatching(/something that it had begun threw: too late \(.*app\.ts:1/),
      },
    });
  }, 60_000);
});
