/**
 * Which code runs: what was there when a backend was created, whatever has become of its files since. On a real instance, with sources
 * that are edited, deleted and mended under its eyes.
 */
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { backend } from "../../src/index.ts";
import { settled } from "../harness/census.ts";
import { CodeFolder } from "../harness/code-folder.ts";
import { expectError } from "../harness/expect-error.ts";
import { ask } from "../harness/http.ts";
import { type Started, useLab } from "../harness/lab.ts";
import { commandOf, kill, killAndWait, markedPids } from "../harness/processes.ts";
import { rest } from "../harness/rest.ts";
import { waitFor } from "../harness/wait-for.ts";

const lab = useLab("file");
const DEADLINE_MS = 20_000;

let instance: Started;
beforeAll(async () => {
  instance = await lab().start();
}, 60_000);

const codeIn = (name: string, files: Readonly<Record<string, string>>) => new CodeFolder(files, lab().folder(name));
const read = async (path: string) => (await ask(`${instance.url}${path}`)).text;
const replicasOf = async (tag: string) =>
  (await instance.status()).processes.filter(({ name, state }) => name.startsWith(`${tag}#`) && state === "ready");
const backendOf = async (tag: string) => (await instance.status()).backends.find((it) => it.tag === tag);

const serve = async (tag: string, module: string, config: { readonly nodeArgs?: readonly string[] } = {}) => {
  await instance.client.createBackend(tag, backend({ module, export: "default" }), config);
  await instance.client.createEndpoint(tag, { route: `/${tag}`, backend: tag });
};

/** Kills the replica and waits for its successor. */
const restartReplica = async (tag: string): Promise<void> => {
  const [replica] = await replicasOf(tag);
  await killAndWait(replica!.pid!);
  await waitFor(
    `${tag} runs again`,
    async () => (await replicasOf(tag)).some(({ pid }) => pid !== undefined && pid !== replica!.pid),
    DEADLINE_MS,
  );
};

describe("a replica that starts again runs the code that was deployed", () => {
  const PLAIN = {
    "package.json": '{ "type": "module" }',
    "app.ts": `
      import { readFileSync } from "node:fs";
      import { word } from "./lib/word.ts";
      import names from "./names.json" with { type: "json" };
      import { read } from "./lib/old.cjs";
      const data = () => readFileSync(new URL("data.txt", import.meta.url), "utf8");
      export default (): string => [word, names[0], read(), data(), import.meta.url].join(" ");
    `,
    "lib/word.ts": 'export const word: string = "first";',
    "lib/old.cjs": 'const { deep } = require("./deep.cjs"); exports.read = () => deep;',
    "lib/deep.cjs": 'exports.deep = "deep";',
    "names.json": '["Ada"]',
    "data.txt": "data",
  };

  test("after its files were edited, and after they were deleted; data files and URLs are where they were", async () => {
    const folder = codeIn("plain", PLAIN);
    await serve("plain", folder.url("app.ts"));
    const first = `first Ada deep data ${folder.url("app.ts")}`;
    expect(await read("/plain")).toBe(first);
    const { digest, codeFrom } = (await backendOf("plain"))!;
    expect(codeFrom).toBe("kept");

    folder.write({ "lib/word.ts": "export const word = broken;", "names.json": "[]", "data.txt": "new data" });
    await restartReplica("plain");
    const second = first.replace("data", "new data");
    expect(await read("/plain")).toBe(second);
    for (const file of ["app.ts", "lib", "names.json", "package.json"]) folder.remove(file);
    await restartReplica("plain");
    expect(await read("/plain")).toBe(second);
    await instance.client.updateBackendConfig("plain", { numReplicas: 2, nodeArgs: ["--expose-gc"] });
    expect(await read("/plain")).toBe(second);

    const after = await backendOf("plain");
    // Other arguments of Node are another digest; the files are the same.
    expect(after!.digest).not.toBe(digest);
    await waitFor(
      "both replicas say that they have loaded it",
      async () => (await replicasOf("plain")).filter(({ loadedDigest }) => loadedDigest === after!.digest).length === 2,
      DEADLINE_MS,
    );
    expect(await backendOf("plain")).not.toHaveProperty("drift");
  }, 60_000);

  test("also code that only tsx runs, as ES modules and as CommonJS", async () => {
    for (const [tag, type] of [
      ["esm", "module"],
      ["cjs", "commonjs"],
    ] as const) {
      const folder = codeIn(`tsx-${tag}`, {
        "package.json": `{ "type": "${type}" }`,
        "app.ts": `
          import { Level } from "./level";
          class Thing { constructor(private readonly level: Level) {} tell() { return Level[this.level]; } }
          export default () => new Thing(1).tell();
        `,
        "level.ts": "export enum Level { low, high }",
      });
      await serve(tag, folder.url("app.ts"), { nodeArgs: ["--import", "tsx"] });
      expect(await read(`/${tag}`)).toBe("high");
      folder.write({ "level.ts": "export enum Level { high, low }" });
      folder.remove("app.ts");
      await restartReplica(tag);
      expect(await read(`/${tag}`)).toBe("high");
    }
  }, 60_000);

  test("and says what to do when its kept code is gone", async () => {
    const keptFiles = () => readdirSync(join(instance.stateDir, "code"));
    const before = keptFiles();
    const folder = codeIn("gone", { "app.mjs": "export default () => 1;" });
    await serve("gone", folder.url("app.mjs"));
    const kept = keptFiles().filter((name) => !before.includes(name));
    expect(kept).toHaveLength(1);
    rmSync(join(instance.stateDir, "code", kept[0]!));
    const [replica] = await replicasOf("gone");
    kill(replica!.pid!);
    await waitFor(
      "its replica says why it does not start",
      async () => {
        const says =
          /the code that was kept of \S+app\.mjs is not in \S+\.json\. Deploy it again, or create the backend again/;
        return (await instance.status()).processes.some(({ error = "" }) => says.test(error));
      },
      DEADLINE_MS,
    );
    await instance.client.deleteEndpoint("gone");
    await instance.client.deleteBackend("gone");
  }, 60_000);
});

describe("a deploy of changed files", () => {
  const deploy = async (folder: CodeFolder, goalId: string) => {
    const body = {
      backends: {
        rolled: { module: folder.url("app.ts"), export: "App", config: { maxStartAttempts: 1, numReplicas: 2 } },
      },
      endpoints: { rolled: { route: "/rolled", backend: "rolled" } },
    };
    const headers = { "idempotency-key": goalId };
    const answer = await rest(instance, "/v1/apps/rolled", { method: "PUT", body, headers });
    expect(answer.status).toBe(202);
    return instance.client.waitForGoal(goalId);
  };
  const source = (version: string, more = "") => ({
    "app.ts": 'import { version } from "./version.ts";\nexport class App { call(): string { return version; } }',
    "version.ts": `export const version: string = "${version}";\n${more}`,
  });
  const versions = async () => new Set(await Promise.all(Array.from({ length: 20 }, () => read("/rolled"))));

  test("rolls; one whose replicas fail stops by itself, and the old replicas serve and start again with their own code", async () => {
    const folder = codeIn("rolled", { "package.json": '{ "type": "module" }', ...source("1") });
    await deploy(folder, "rolled-1");
    expect(await versions()).toEqual(new Set(["1"]));
    const names = async () => (await replicasOf("rolled")).map(({ name }) => name).sort();
    const first = await names();

    folder.write({
      "app.ts": 'export class App { constructor() { throw new Error("no weights"); } call() { return "2"; } }',
    });
    const failed = await expectError(deploy(folder, "rolled-2"), "goal-failed");
    expect(failed.message).toMatch(/no weights/);
    expect(await names()).toEqual(first);
    expect((await backendOf("rolled"))?.reason).toMatch(
      /the roll-out stopped: .*no weights.* 2 of 2 replicas run the version before it \(code \w{8}, configuration 1\)/,
    );
    await killAndWait((await replicasOf("rolled"))[0]!.pid!);
    await waitFor("it runs again", async () => (await replicasOf("rolled")).length === 2, DEADLINE_MS);
    expect(await versions()).toEqual(new Set(["1"]));
    expect(await backendOf("rolled")).not.toHaveProperty("drift");

    folder.write(source("3"));
    await deploy(folder, "rolled-3");
    expect(await versions()).toEqual(new Set(["3"]));
    await deploy(folder, "rolled-4");
    const last = await names();
    expect(last.filter((name) => first.includes(name))).toEqual([]);
    expect(last).toHaveLength(2);
  }, 90_000);
});

describe("while code is looked at", () => {
  const SLOW = 'Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2_000);\nexport default () => "slow";';
  const probesOf = (folder: CodeFolder) =>
    markedPids(lab().mark).filter(
      (pid) => commandOf(pid).includes("/main/probe.") && commandOf(pid).includes(folder.path),
    );

  test.each(["controller", "agent"] as const)(
    "the death of the %s changes nothing: the call is made, once",
    async (kind) => {
      const tag = `slow-${kind}`;
      const folder = codeIn(tag, { "app.mjs": SLOW });
      const created = instance.client.createBackend(tag, backend({ module: folder.url("app.mjs"), export: "default" }));
      await waitFor("the code is looked at", () => probesOf(folder).length === 1, DEADLINE_MS);
      const victim = (await instance.status()).processes.find((it) => it.kind === kind);
      await killAndWait(victim!.pid!);
      expect((await created).state).toBe("reached");
      expect(await replicasOf(tag)).toHaveLength(1);
      await waitFor("no probe is left", () => probesOf(folder).length === 0, DEADLINE_MS);
      await settled(lab(), instance);
    },
    90_000,
  );
});
