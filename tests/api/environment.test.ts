/** `env`, `envFile`, `cwd` and `nodeArgs`: what a replica gets of each, what a change of it does, and who may read it. */
import { mkdirSync, readdirSync, readFileSync, realpathSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { backend } from "../../src/index.ts";
import { processesOf } from "../harness/census.ts";
import { fixture } from "../harness/echo.ts";
import { useLab } from "../harness/lab.ts";
import { killAndWait } from "../harness/processes.ts";
import { waitFor } from "../harness/wait-for.ts";

const lab = useLab("test");
const SURROUNDINGS = { module: fixture("apps/surroundings.ts"), export: "surroundings" } as const;
const SECRET = "hunter2-of-the-test";
const DEADLINE_MS = 20_000;

interface Answer {
  readonly pid: number;
  readonly cwd: string;
  readonly nodeArgs: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

test("a replica gets them, a change of each replaces it, the file is read at each start, and values of env are shown to nobody", async () => {
  const instance = await lab().start();
  const { client } = instance;
  const envFile = join(lab().folder("env"), "b.env");
  const folders = ["one", "two"].map((name) => join(lab().folder("cwd"), name));
  for (const folder of folders) mkdirSync(folder);
  const cwds = folders.map((folder) => realpathSync(folder));
  writeFileSync(envFile, "SURROUNDINGS_A=file\nSURROUNDINGS_B=file\n");

  await client.createBackend("b", backend(SURROUNDINGS), {
    ...{ env: { SURROUNDINGS_A: SECRET }, envFile, cwd: folders[0], nodeArgs: ["--max-old-space-size=100"] },
  });
  await client.createEndpoint("b", { route: "/b", backend: "b" });
  const ask = async (): Promise<Answer> => (await (await fetch(`${instance.url}/b`)).json()) as Answer;
  const replica = async () => processesOf(await instance.status(), "replica")[0]?.name;

  const first = await ask();
  expect(first).toMatchObject({ cwd: cwds[0], env: { SURROUNDINGS_A: SECRET, SURROUNDINGS_B: "file" } });
  expect(first.nodeArgs).toContain("--max-old-space-size=100");

  // Each start reads the file anew.
  writeFileSync(envFile, "SURROUNDINGS_B=newer\n");
  const name = await replica();
  await killAndWait(first.pid);
  const again = await waitFor(
    "it is started again",
    async () => ((await ask()).pid === first.pid ? false : ask()),
    DEADLINE_MS,
  );
  expect(again.env).toEqual({ SURROUNDINGS_A: SECRET, SURROUNDINGS_B: "newer" });
  expect(await replica()).toBe(name);

  // Saying the same path again brings what the file holds by now, by a new replica; once.
  await client.updateBackendConfig("b", { envFile });
  const second = await replica();
  expect(second).not.toBe(name);
  await client.updateBackendConfig("b", { envFile });
  expect(await replica()).toBe(second);

  await client.updateBackendConfig("b", { cwd: folders[1]! });
  expect(await ask()).toMatchObject({ cwd: cwds[1] });
  await client.updateBackendConfig("b", { nodeArgs: ["--max-old-space-size=101"] });
  expect((await ask()).nodeArgs).toContain("--max-old-space-size=101");
  await client.updateBackendConfig("b", { env: { SURROUNDINGS_C: SECRET } });
  expect((await ask()).env).toEqual({ SURROUNDINGS_B: "newer", SURROUNDINGS_C: SECRET });
  expect(await replica()).not.toBe(second);

  // A file that is not there fails the roll-out; what runs runs on.
  const failed = await client
    .updateBackendConfig("b", { envFile: `${envFile}.gone`, maxStartAttempts: 1 })
    .catch((error: unknown) => error);
  expect(failed).toMatchObject({ code: "goal-failed", message: expect.stringContaining("cannot be read") });
  // So does a folder; the sentence names the backend, the field and the cure.
  const nowhere = await client
    .updateBackendConfig("b", { cwd: `${folders[0]}/gone`, maxStartAttempts: 1 })
    .catch((error: unknown) => error);
  expect(nowhere).toMatchObject({
    code: "goal-failed",
    message: expect.stringMatching(/backend "b".*cwd .*\/gone does not exist\. Create the folder, or set cwd/),
  });
  expect((await ask()).env).toMatchObject({ SURROUNDINGS_C: SECRET });

  // With its envFile and its folder taken away it is what the instance gives it.
  await client.updateBackendConfig("b", { envFile: null, cwd: null });
  const plain = await ask();
  expect(plain.env).toEqual({ SURROUNDINGS_C: SECRET });
  expect(cwds).not.toContain(plain.cwd);
  expect(Object.keys(await client.getBackendConfig("b")).sort()).toEqual(["env", "maxStartAttempts", "nodeArgs"]);

  const shown = JSON.stringify([await client.status(), await client.getBackendConfig("b"), await client.explain("b")]);
  expect(shown).not.toContain(SECRET);
  expect(shown).toContain('"SURROUNDINGS_C":"***"');
  const logs = join(instance.stateDir, "logs");
  for (const file of readdirSync(logs)) expect(readFileSync(join(logs, file), "utf8")).not.toContain(SECRET);
}, 60_000);
